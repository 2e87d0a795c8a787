"""The flight program, here and on a microcontroller: what its policy sees, and what stops it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from policies.bundle import Bundle
from policies.dense import bound_vectors
from policies.export_c import c_export
from policies.firmware import (
    CORTEX_M4,
    HOST,
    SANITIZED,
    Image,
    actions,
    build,
    build_header,
    build_rows,
    missing_tools,
)
from policies.flight_process import FlightProcess, Status
from policies.mlp_policy import MlpPolicy
from robot_rl.core.errors import MissingDependencyError, PolicyError
from robot_rl.core.spec import ArraySpec, EnvSpec, Spec
from tests.unit.c_samples import cross
from tests.unit.flight_samples import bundle_of, flight_spec

HISTORY, PREVIEW = 3, 3
FLIGHT = flight_spec(HISTORY, PREVIEW)
BUNDLE = bundle_of(FLIGHT, (12, 8))
LEVEL = np.array([0.1, 0.2, -0.1, 0.0, 0.0, 0.0, 1.0, 0.3, 0.0, 0.0, 0.0, 0.1, 0.0])
GOAL = np.zeros(6 + 3 * PREVIEW)
OUT_OF_REACH = 2**32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("firmware")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((SANITIZED, 2000), id="500Hz"),
        pytest.param((SANITIZED, 10_000), id="100Hz"),
        pytest.param((CORTEX_M4, 2000), id="cortex-m4", marks=cross),
    ],
)
def image(request: pytest.FixtureRequest, folder: Path) -> Image:
    """On this host with sanitizers: any test fails where they find something."""
    target, tick = request.param
    return build(BUNDLE, folder / str(tick), target, tick_us=tick)


@pytest.fixture
def vehicle(image: Image) -> Iterator[FlightProcess]:
    with FlightProcess(image) as process:
        yield process


def tick_of(image: Image) -> int:
    return int(image.path.parents[1].name)


def rotation(q: np.ndarray) -> np.ndarray:
    """By Rodrigues' formula, another way than the firmware's."""
    sine = np.linalg.norm(q[:3])
    angle = 2.0 * math.atan2(sine, q[3])
    x, y, z = q[:3] / sine
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + math.sin(angle) * cross + (1.0 - math.cos(angle)) * cross @ cross


@pytest.mark.parametrize("start", [0, OUT_OF_REACH - 15_000], ids=["early", "wrapping"])
@pytest.mark.parametrize("jitter", [0.0, 0.45])
def test_on_board_it_sees_what_it_was_trained_to_see(
    image: Image, vehicle: FlightProcess, jitter: float, start: int
) -> None:
    tick, substeps = tick_of(image), 10_000 // tick_of(image)
    policy, rng = MlpPolicy(FLIGHT, BUNDLE.weights), np.random.default_rng(0)
    periods = [np.zeros((1, 4))] * HISTORY  # the actions of each training period
    for n in range(4 * substeps + 3):
        # The first tick says when periods begin.
        now = start + n * tick + round(jitter * tick * rng.uniform(-1.0, 1.0) * (n > 0))
        state, goal = rng.uniform(-0.4, 0.4, 13), rng.uniform(-0.4, 0.4, len(GOAL))
        state[3:7] = rng.normal(size=4)
        state[3:7] /= np.linalg.norm(state[3:7])
        error = state[:3] - goal[:3], state[7:10] - goal[3:6]
        seen = [error[0], rotation(state[3:7]).ravel(), error[1], state[10:], goal[6:]]
        seen += [np.mean(actions, axis=0) for actions in periods[-HISTORY:]]
        status, action = vehicle.step(now, state, goal)
        assert status is Status.FLYING
        np.testing.assert_allclose(action, policy.act(np.concatenate(seen, dtype=np.float32)), atol=2e-6)
        if n % substeps == 0:
            periods.append(action[None])
        else:
            periods[-1] = np.vstack([periods[-1], action])


def seen_by(vehicle: FlightProcess, now: int, entries: list[np.ndarray]) -> np.ndarray:
    """The action of a tick at the origin, which must be the one for this history, oldest entry first."""
    level = np.array([0.0] * 6 + [1.0] + [0.0] * 6)
    vector = np.concatenate([np.zeros(3), np.eye(3).ravel(), np.zeros(6 + 3 * PREVIEW), *entries])
    status, action = vehicle.step(now, level, GOAL)
    assert status is Status.FLYING
    expected = MlpPolicy(FLIGHT, BUNDLE.weights).act(vector.astype(np.float32))
    np.testing.assert_allclose(action, expected, atol=2e-6)
    return action


def test_where_ticks_are_missing_the_history_says_what_the_rotors_held(vehicle: FlightProcess) -> None:
    none = np.zeros(4)
    first = seen_by(vehicle, 0, [none, none, none])
    # The tick at 10 ms is missing and the next one late: till then the rotors held the first action.
    second = seen_by(vehicle, 23_000, [none, none, first])
    third = seen_by(vehicle, 30_000, [first, first, second])
    fourth = seen_by(vehicle, 200_000, [first, second, third])
    # The gap was longer than the history. A clock that goes back a little moves nothing.
    fifth = seen_by(vehicle, 199_000, [third, third, fourth])
    seen_by(vehicle, 200_500, [third, third, (fourth + fifth) / 2])


def test_what_the_rotors_held_is_their_last_action_not_the_mean(vehicle: FlightProcess) -> None:
    none, moved = np.zeros(4), LEVEL.copy()
    first = seen_by(vehicle, 0, [none, none, none])
    moved[:3], moved[3:7] = 0.3, (0.0, 0.0, 0.0, 1.0)
    _, second = vehicle.step(2_000, moved, GOAL)  # in the same period
    mean = (first + second) / 2
    assert np.abs(second - mean).max() > 0.01
    third = seen_by(vehicle, 20_000, [none, none, mean])
    seen_by(vehicle, 30_000, [mean, second, third])


def test_errors_beyond_the_bounds_are_shown_as_these(vehicle: FlightProcess) -> None:
    policy = MlpPolicy(FLIGHT, BUNDLE.weights)
    far = LEVEL.copy()
    far[0], far[8], far[12] = 40.0, -70.0, 1e6
    seen = dict(FLIGHT.observation.zeros())
    seen |= {"position": np.array([1.0, 0.2, -0.1]), "velocity": np.array([0.3, -5.0, 0.0])}
    seen |= {"rotation": np.eye(3).ravel(), "rates": np.array([0.0, 0.1, 35.0])}
    status, action = vehicle.step(0, far, GOAL)
    assert status is Status.FLYING
    vector = FLIGHT.observation.vector({k: np.asarray(v, np.float32) for k, v in seen.items()})
    np.testing.assert_allclose(action, policy.act(vector), atol=2e-6)


def with_value(at: int, value: float, array: np.ndarray = LEVEL) -> np.ndarray:
    changed = array.copy()
    changed[at] = value
    return changed


@pytest.mark.parametrize(
    ("change", "status"),
    [
        *(({"state": with_value(at, math.nan)}, Status.BAD_STATE) for at in (0, 4, 9, 12)),
        ({"state": with_value(7, math.inf)}, Status.BAD_STATE),
        ({"state": with_value(6, 0.9)}, Status.BAD_STATE),
        ({"reference": with_value(1, math.nan, GOAL)}, Status.BAD_REFERENCE),
        ({"reference": with_value(14, math.inf, GOAL)}, Status.BAD_REFERENCE),
        ({"state_us": 1_000_000 - 50_001}, Status.STALE_STATE),
        ({"state_us": 1_000_000 + 50_001}, Status.STALE_STATE),
        ({"command_us": 1_000_000 - 200_001}, Status.SILENCE),
    ],
)
def test_what_is_not_fit_to_fly_on_stops_the_rotors_for_good(
    vehicle: FlightProcess, change: dict, status: Status
) -> None:
    flying, before = vehicle.step(998_000, LEVEL, GOAL)
    assert flying is Status.FLYING
    assert (before > -1.0).all()
    tick = {"now_us": 1_000_000, "state": LEVEL, "reference": GOAL} | change
    for _ in range(2):
        found, action = vehicle.step(**tick)
        assert found is status
        np.testing.assert_array_equal(action, -1.0)
        tick = {"now_us": 1_002_000, "state": LEVEL, "reference": GOAL}  # well again, and still stopped


def test_almost_too_old_is_flown_on_also_where_the_clock_wraps_around(vehicle: FlightProcess) -> None:
    for now in (1_000_000, OUT_OF_REACH + 10):
        status, _ = vehicle.step(now, LEVEL, GOAL, state_us=now - 50_000, command_us=now - 200_000)
        assert status is Status.FLYING
        status, _ = vehicle.step(now, LEVEL, GOAL, state_us=now + 3)  # stamped while this tick began
        assert status is Status.FLYING


def test_a_tick_of_other_dimensions_is_refused(vehicle: FlightProcess) -> None:
    with pytest.raises(PolicyError, match="13 numbers and a reference of 15; it got 19 in all"):
        vehicle.step(0, LEVEL, np.zeros(6))


def test_it_ends_with_its_input(image: Image) -> None:
    process = FlightProcess(image)
    assert process.report["golden_repeated"] == process.report["weights_intact"] == 1
    assert process.report["golden_error_1e9"] < 1000
    assert process.close() == 0


def test_a_program_that_dies_in_flight_is_noticed(image: Image) -> None:
    process = FlightProcess(image)
    process._process.kill()
    with pytest.raises(PolicyError, match="ended in flight"):
        for now in range(0, 10_000, 2000):
            process.step(now, LEVEL, GOAL)


@pytest.mark.parametrize("target", [HOST, pytest.param(CORTEX_M4, marks=cross)])
@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        # One weight in its last place, which the golden pair alone would not show.
        (r"policy_weights_1\[\d+\] = \{\n\s+-?\d\.\d+(?=f)", ["weights_intact 0", "golden_repeated 1"]),
        (r"policy_golden_action\[4\] = \{\n\s+-?\d\.(?=\d+f)", ["weights_intact 1", "golden_repeated 0"]),
    ],
)
def test_a_policy_that_is_not_the_exported_one_does_not_arm(
    tmp_path: Path, target: str, pattern: str, found: list[str]
) -> None:
    header = c_export(BUNDLE).header
    intact = re.search(pattern, header).group()
    damaged = intact + "9" if intact.endswith(".") else intact[:-1] + str((int(intact[-1]) + 5) % 10)
    (tmp_path / "policy.h").write_text(header.replace(intact, damaged, 1))
    path = build_header(tmp_path, tmp_path / "build", target)
    with pytest.raises(PolicyError, match="does not arm") as refusal:
        FlightProcess(Image(path, target, 3 * PREVIEW))
    for text in found:
        assert text in str(refusal.value)


@cross
@pytest.mark.parametrize(
    ("weights", "gain", "tolerance"),
    [("float32", 1.0, 1e-5), ("float32", 8.0, 1e-4), ("fp16", 1.0, 2e-6), ("int8", 1.0, 2e-6)],
)
def test_the_microcontroller_computes_what_this_host_does(
    tmp_path: Path, weights: str, gain: float, tolerance: float
) -> None:
    spec = flight_spec(history=5)  # 38 inputs: not a multiple of the four that the kernels take at once
    bundle = bundle_of(spec, (21, 10), gain)
    bounds = [(a.low, a.high) for _, a in spec.observation.entries for _ in range(a.size)]
    low, high = np.array(bounds).T
    vectors = np.random.default_rng(3).uniform(low, high, (2000, len(low))).astype(np.float32)
    found = actions(build_rows(bundle, tmp_path, CORTEX_M4, weights), vectors, 4)
    expected = MlpPolicy(spec, bundle.weights).act(vectors)
    if weights != "float32":  # what fewer bits cost is the same everywhere
        expected = actions(build_rows(bundle, tmp_path, HOST, weights), vectors, 4)
    np.testing.assert_allclose(found, expected, atol=tolerance)


@cross
@pytest.mark.parametrize("weights", ["float32", "fp16"])
def test_its_own_loops_add_as_the_portable_ones_do(tmp_path: Path, weights: str) -> None:
    """Bit by bit, with layers of 38, 21 and 3 inputs: whole turns and a rest, and no whole turn at all."""
    bundle = bundle_of(flight_spec(history=5), (21, 3), gain=2.0)
    vectors = bound_vectors(bundle.spec, 1000)
    found = []
    for portable in (False, True):
        directory = tmp_path / str(portable)
        image = build_rows(bundle, directory, CORTEX_M4, weights)
        if portable:
            header = directory / "policy.h"
            loops = '#define MLP_PORTABLE\n#include "mlp.h"'
            header.write_text(header.read_text().replace('#include "mlp.h"', loops))
            other = build_header(directory, directory / "portable", CORTEX_M4, program="rows")
            assert image.memory() != Image(other, CORTEX_M4, 0).memory()  # they are two programs
            image = Image(other, CORTEX_M4, 0)
        found.append(actions(image, vectors, 4).view(np.uint32))
    np.testing.assert_array_equal(*found)
    assert len(np.unique(found[0])) > 2000


def test_rows_that_are_no_observations_are_refused(tmp_path: Path) -> None:
    image = build_rows(bundle_of(flight_spec(2), (5,)), tmp_path)
    with pytest.raises(PolicyError, match=r"gave 0 numbers and status 0"):
        actions(image, np.zeros((1, 3), np.float32), 4)


def other(**arrays: ArraySpec) -> EnvSpec:
    spec = flight_spec(2)
    return EnvSpec(Spec.of(spec.observation.arrays | arrays), spec.action, 100.0, "other")


@pytest.mark.parametrize(
    ("bundle", "message"),
    [
        (
            bundle_of(EnvSpec(FLIGHT.observation, ArraySpec((3,), low=-1.0, high=1.0), 100.0), (5,)),
            "4 outputs",
        ),
        (bundle_of(other(actions=ArraySpec((7,))), (5,)), "multiple of 4"),
        (bundle_of(other(wind=ArraySpec((3,))), (5,)), "nobody here knows"),
        (bundle_of(other(rotation=ArraySpec((4,))), (5,)), "other dimensions"),
        (bundle_of(EnvSpec(FLIGHT.observation, FLIGHT.action, 300.0), (5,)), "FLIGHT_TICK_US must divide"),
    ],
)
def test_a_policy_for_something_else_does_not_compile(tmp_path: Path, bundle: Bundle, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        build(bundle, tmp_path)


def test_a_header_for_other_kernels_does_not_compile(tmp_path: Path) -> None:
    header = c_export(BUNDLE).header
    (tmp_path / "policy.h").write_text(re.sub(r"MLP_FORMAT != \d", "MLP_FORMAT != 9", header))
    with pytest.raises(PolicyError, match="export it again"):
        build_header(tmp_path, tmp_path / "build")


def test_missing_tools_and_targets_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PolicyError, match="did you mean 'cortex-m4'"):
        build(BUNDLE, tmp_path, "cortex-m3")
    with pytest.raises(PolicyError, match=r"has no\s+policy\.h"):
        build_header(tmp_path / "nowhere", tmp_path / "build")
    monkeypatch.setenv("PATH", "")
    assert missing_tools([HOST, CORTEX_M4]) == ["cmake", "cc", "arm-none-eabi-gcc", "qemu-system-arm"]
    with pytest.raises(MissingDependencyError, match=r"cmake is not installed.*apt-get install cmake make"):
        build(BUNDLE, tmp_path)
    with pytest.raises(MissingDependencyError, match="qemu-system-arm is not installed"):
        Image(tmp_path / "fly.elf", CORTEX_M4, 0).command()
