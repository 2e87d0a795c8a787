"""The compiled policy flies the simulated quadrotor, on this host and as the microcontroller's image."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from policies.bundle import Bundle
from policies.export_c import export_c
from policies.firmware import CORTEX_M4, FOLDER, SANITIZED, Image, build
from policies.flight_process import FlightProcess, Status
from robot_rl.tasks.quadrotor_firmware import fly, level_start
from sim.quadrotor.layout import flight_spec
from sim.quadrotor.parameters import L2F_PAPER
from tests.unit import c_samples
from tests.unit.flight_lqr import hover_bundle
from tests.unit.flight_samples import bundle_of

NEEDED = ("cmake", "arm-none-eabi-gcc", "qemu-system-arm")
cross = pytest.mark.skipif(
    not all(map(shutil.which, NEEDED)) and not os.environ.get("CI"),
    reason=f"needs {', '.join(NEEDED)}: make system-deps",
)
PUSH = np.array([0.005, -0.003, 0.0, 1e-6, 0.0, 0.0])
"""Constant force [N] and torque [Nm]."""
CRAZYFLIE = "ROBOT_RL_CRAZYFLIE_FIRMWARE"


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
    [("float32", 40_000, 64_000), ("fp16", 70_000, 37_000), ("int8", 70_000, 25_000)],
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


class Point(ctypes.Structure):
    _fields_ = [(axis, ctypes.c_float) for axis in "xyz"]


class Attitude(ctypes.Structure):
    _fields_ = [(axis, ctypes.c_float) for axis in "xyzw"]


class State(ctypes.Structure):
    """`state_t` of our declarations."""

    _fields_ = [("attitude", Attitude), ("position", Point), ("velocity", Point)]


class Setpoint(ctypes.Structure):
    """`setpoint_t` of our declarations."""

    _fields_ = [
        ("timestamp", ctypes.c_uint32),
        ("position", Point),
        ("velocity", Point),
        ("acceleration", Point),
        ("mode", ctypes.c_int * 3),
    ]


class Control(ctypes.Structure):
    """`control_t` of our declarations."""

    _fields_ = [("forces", ctypes.c_float * 4), ("mode", ctypes.c_int)]


class Crazyflie:
    """Our app, called as the stabiliser calls it."""

    def __init__(self, folder: Path) -> None:
        app = FOLDER / "crazyflie"
        sources = (app / "controller_robot_rl.c", app / "flight_sources.c")
        self.library = c_samples.compiled(folder, *sources, includes=(app / "declarations",))
        self.library.controllerOutOfTreeInit()
        self.state = State(Attitude(0, 0, 0, 1))
        self.setpoint = Setpoint(mode=(ctypes.c_int * 3)(1, 1, 1))
        self.gyro = Point()
        self.step = 0

    def call(self, ticks: int = 1, alive: bool = True, commanded: bool = True) -> list[float]:
        control = Control()
        for _ in range(ticks):
            self.step += 1
            self.setpoint.timestamp += commanded
            self.state.velocity.x += 1e-6 * alive
            arguments = (control, self.setpoint, self.gyro, self.state)
            self.library.controllerOutOfTree(*map(ctypes.byref, arguments), ctypes.c_uint32(self.step))
        assert control.mode == 2  # forces
        return list(control.forces)


@pytest.fixture
def crazyflie(tmp_path: Path, hover: Bundle) -> Crazyflie:
    export_c(hover, tmp_path / "policy.h")
    return Crazyflie(tmp_path)


def test_the_crazyflie_app_commands_forces_for_speeds(crazyflie: Crazyflie) -> None:
    assert crazyflie.library.controllerOutOfTreeTest() & 0xFF == 1
    at_rest = crazyflie.call(1000)
    # Hovering takes a quarter of the weight from each rotor, whose largest thrust is 2.2476 times that.
    np.testing.assert_allclose(at_rest, 1.0 / L2F_PAPER.thrust_to_weight, rtol=0.1)
    crazyflie.state.position.z = -0.1
    assert min(crazyflie.call(2)) > max(at_rest)
    crazyflie.state.position.z = 0.0
    crazyflie.gyro.x = 90.0  # degrees a second: the left side rises, and the right one has to push
    right, left = np.split(np.array(crazyflie.call(2)), 2)
    assert right.min() > left.max() + 0.1


def test_the_crazyflie_app_computes_every_second_call_and_holds_between(crazyflie: Crazyflie) -> None:
    crazyflie.call(2)
    before = crazyflie.call(2)
    crazyflie.state.position.z = -0.2
    assert crazyflie.call(1) == before
    assert crazyflie.call(1) != before


@pytest.mark.parametrize("silent", [{"alive": False}, {"commanded": False}])
def test_the_crazyflie_app_stops_when_nobody_speaks_until_it_is_let_go(
    crazyflie: Crazyflie, silent: dict[str, bool]
) -> None:
    assert min(crazyflie.call(100)) > 0.0
    assert crazyflie.call(250, **silent) == [0.0] * 4
    assert crazyflie.call(100) == [0.0] * 4  # still: the fault is latched
    crazyflie.setpoint.mode[2] = 0
    assert crazyflie.call(2) == [0.0] * 4
    crazyflie.setpoint.mode[2] = 1
    assert min(crazyflie.call(2)) > 0.0


def test_the_crazyflie_app_takes_a_preview_from_velocity_and_acceleration(
    tmp_path: Path, hover: Bundle
) -> None:
    # The same network with a preview that it ignores, but for one output that shows the last element.
    spec = flight_spec(32, (0.1, 0.2, 0.4))
    weights = {name: array.copy() for name, array in hover.weights.items()}
    weights["layers.0.weight"] = np.insert(weights["layers.0.weight"], [18] * 9, 0.0, axis=0)
    weights["layers.0.weight"][26, 0] = 0.001
    shown = dataclasses.replace(hover, spec=spec, weights=weights)
    export_c(shown, tmp_path / "policy.h")
    crazyflie = Crazyflie(tmp_path)
    crazyflie.call(2)
    level = crazyflie.call(2)
    crazyflie.setpoint.acceleration.z = 1.0
    ahead = crazyflie.call(2)
    assert ahead[0] > level[0] + 0.01
    np.testing.assert_allclose(ahead[1:], level[1:], atol=0.01)


@pytest.mark.skipif(CRAZYFLIE not in os.environ, reason=f"{CRAZYFLIE} names no copy of the vendor's firmware")
def test_the_crazyflie_app_fits_the_vendors_headers(tmp_path: Path, hover: Bundle) -> None:
    export_c(hover, tmp_path / "policy.h")
    source = Path(os.environ[CRAZYFLIE]) / "src"
    folders = ["modules/interface", "modules/interface/controller", "hal/interface", "utils/interface"]
    folders += ["utils/interface/lighthouse", "config", "drivers/interface", "platform/interface"]
    includes = [f"-I{folder}" for folder in (FOLDER / "include", tmp_path, *(source / f for f in folders))]
    command = ["arm-none-eabi-gcc", "-std=gnu11", "-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16"]
    command += ["-mfloat-abi=hard", "-Os", "-fsyntax-only", "-Wall", "-Werror", "-DCONFIG_CONTROLLER_OOT"]
    app = FOLDER / "crazyflie" / "controller_robot_rl.c"
    done = subprocess.run([*command, *includes, str(app)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
