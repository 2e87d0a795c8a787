"""The compiled policy flies the simulated quadrotor, on this host and as the microcontroller's image."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from policies.bundle import Bundle
from policies.firmware import CORTEX_M4, HOST, SANITIZED, Image, build
from policies.flight_process import FlightProcess, Status
from robot_rl.cli import main
from robot_rl.cli.fly import buildable
from robot_rl.tasks.quadrotor_firmware import fly, level_start
from sim.quadrotor.layout import flight_spec
from sim.quadrotor.parameters import L2F_PAPER
from tests.unit.c_samples import cross
from tests.unit.flight_lqr import hover_bundle
from tests.unit.flight_samples import bundle_of

PUSH = np.array([0.005, -0.003, 0.0, 1e-6, 0.0, 0.0])
"""Constant force [N] and torque [Nm]."""


@pytest.fixture(scope="module")
def hover() -> Bundle:
    return hover_bundle(L2F_PAPER)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("firmware")


@pytest.fixture(scope="module")
def sanitized(hover: Bundle, folder: Path) -> Image:
    """With sanitizers: a flight ends where they find something."""
    return build(hover, folder, SANITIZED)


@pytest.fixture(scope="module")
def microcontroller(hover: Bundle, folder: Path) -> Image:
    return build(hover, folder, CORTEX_M4)


@pytest.mark.parametrize("image", ["sanitized", pytest.param("microcontroller", marks=cross)])
def test_the_compiled_policy_hovers_for_ten_seconds(image: str, request: pytest.FixtureRequest) -> None:
    start = level_start((0.2, -0.1, 0.1))
    flight = fly(request.getfixturevalue(image), L2F_PAPER, start, 10.0, wrench=PUSH, noise=0.001)
    assert flight.status is Status.FLYING
    assert len(flight.time) == 5000
    assert flight.errors.max() < 0.3
    assert flight.errors[-500:].max() < 0.06  # the push holds it off, there is no integrator


@cross
def test_host_and_microcontroller_agree(sanitized: Image, microcontroller: Image) -> None:
    rng = np.random.default_rng(0)
    level = level_start((0.0, 0.0, 0.0))[:13]
    with FlightProcess(sanitized) as host, FlightProcess(microcontroller) as emulated:
        for now in range(0, 400_000, 2000):
            state = level + 0.02 * rng.normal(size=13)
            state[3:7] /= np.linalg.norm(state[3:7])
            ours, theirs = (process.step(now, state, np.zeros(6)) for process in (host, emulated))
            assert ours[0] is theirs[0] is Status.FLYING
            # The gains of linear feedback magnify the last places of the sums.
            np.testing.assert_allclose(ours[1], theirs[1], atol=1e-5)


def test_it_follows_a_reference_that_moves(sanitized: Image) -> None:
    def climb(time: float) -> np.ndarray:
        return np.array([0.0, 0.0, 0.2 * time, 0.0, 0.0, 0.2])

    flight = fly(sanitized, L2F_PAPER, level_start((0.0, 0.0, 0.0)), 3.0, climb)
    assert flight.states[-1, 2] == pytest.approx(0.6, abs=0.03)


def test_a_flight_that_leaves_the_numbers_ends(sanitized: Image) -> None:
    def lost(time: float) -> np.ndarray:
        return np.full(6, np.nan if time > 0.5 else 0.0)

    flight = fly(sanitized, L2F_PAPER, level_start((0.0, 0.0, 0.0)), 3.0, lost)
    assert flight.status is Status.BAD_REFERENCE
    assert 0.5 < flight.time[-1] < 0.51
    np.testing.assert_array_equal(flight.actions[-1], -1.0)


@cross
@pytest.mark.parametrize(
    ("weights", "instructions", "flash"),
    [("float32", 25_000, 64_000), ("fp16", 40_000, 37_000), ("int8", 72_000, 25_000)],
)
def test_the_papers_network_fits_the_microcontroller(
    tmp_path: Path, weights: str, instructions: int, flash: int
) -> None:
    bundle = bundle_of(flight_spec(32), (64, 64))
    image = build(bundle, tmp_path, CORTEX_M4, weights)
    with FlightProcess(image) as process:
        report = process.report
    assert 13_696 < report["inference_instructions"] <= instructions
    assert report["tick_instructions"] < report["inference_instructions"] + 1500
    assert report["golden_error_1e9"] < 1000
    memory = image.memory()
    assert memory["flash"] <= flash
    assert memory["ram"] <= 1024
    names = subprocess.run(
        ["arm-none-eabi-nm", str(image.path)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "policy_run" in names
    assert not {"malloc", "calloc", "_sbrk", "tanhf", "expf"} & set(names)  # no heap, no library's maths


def test_what_is_missing_to_fly_is_said_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tools = {name: shutil.which(name) for name in ("cmake", "cc")}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["fly", "--out", str(tmp_path / "run")]) == 1
    assert "cmake, cc is not installed" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    for name, path in tools.items():
        (tmp_path / name).symlink_to(str(path))
    assert buildable() == [HOST]
    assert "flies on this machine only" in capsys.readouterr().err
