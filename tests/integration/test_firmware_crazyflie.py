"""The app for the Crazyflie, called as the vehicle's stabiliser calls it."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from policies.bundle import Bundle
from policies.export_c import export_c
from policies.firmware import FOLDER
from robot_rl.cli.export import thrust_curve
from robot_rl.core.spec import ArraySpec, EnvSpec, Spec
from sim.quadrotor.layout import flight_spec
from sim.quadrotor.parameters import L2F_2, L2F_PAPER
from tests.unit import c_samples
from tests.unit.flight_lqr import hover_bundle
from tests.unit.flight_samples import bundle_of

SOURCE = "ROBOT_RL_CRAZYFLIE_FIRMWARE"
LARGEST = 0.12
"""THRUST_MAX of our declarations, and of the vendor's for the default propellers [N]."""
ABS = 1
"""`modeAbs`."""


@pytest.fixture(scope="module")
def hover() -> Bundle:
    return hover_bundle(L2F_PAPER)


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
        ("yaw", ctypes.c_float),
        ("attitude", Attitude),
        ("position", Point),
        ("velocity", Point),
        ("acceleration", Point),
        ("jerk", Point),
        ("mode", ctypes.c_int * 5),
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
        self.setpoint = Setpoint(mode=(ctypes.c_int * 5)(ABS, ABS, ABS))
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
    # Hovering takes a quarter of the weight from each rotor, whatever the largest thrust in training was.
    np.testing.assert_allclose(at_rest, L2F_PAPER.mass * L2F_PAPER.gravity / 4.0 / LARGEST, rtol=0.1)
    crazyflie.state.position.z = -0.1
    assert min(crazyflie.call(2)) > max(at_rest)
    crazyflie.state.position.z = 0.0
    crazyflie.gyro.x = 90.0  # degrees a second: the left side rises, and the right one has to push
    right, left = np.split(np.array(crazyflie.call(2)), 2)
    assert right.min() > left.max() + 0.1


@pytest.fixture
def disturbed(crazyflie: Crazyflie) -> Crazyflie:
    """Away from a moving setpoint in x and y, moving itself, with a tilt."""
    crazyflie.setpoint.position.x, crazyflie.setpoint.position.y = 0.03, 0.06
    crazyflie.setpoint.velocity.x, crazyflie.setpoint.velocity.y = -0.4, 0.3
    crazyflie.state.position.x, crazyflie.state.position.y = 0.1, -0.05
    crazyflie.state.velocity.y = 0.2
    crazyflie.state.attitude.x, crazyflie.state.attitude.w = 0.05, np.sqrt(1.0 - 0.05**2)
    return crazyflie


def turned_left(app: Crazyflie) -> None:
    """The same situation in a world that is turned by 90 degrees, but for the setpoint's yaw."""
    state, half = app.state, np.sqrt(0.5)
    for vector in (state.position, state.velocity, app.setpoint.position, app.setpoint.velocity):
        vector.x, vector.y = -vector.y, vector.x
    x, w = state.attitude.x, state.attitude.w
    state.attitude.x, state.attitude.y = half * x, half * x
    state.attitude.z, state.attitude.w = half * w, half * w


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("full_state", [False, True])
def test_the_yaw_of_the_setpoint_turns_all_that_the_policy_sees(
    disturbed: Crazyflie, full_state: bool, sign: float
) -> None:
    expected = disturbed.call(2)
    turned_left(disturbed)
    attitude = disturbed.state.attitude
    for axis in "xyzw":  # both quaternions mean the same attitude
        setattr(attitude, axis, sign * getattr(attitude, axis))
    if full_state:
        disturbed.setpoint.attitude, disturbed.setpoint.mode[4] = Attitude(0, 0, 0.6, 0.6), ABS
    else:
        disturbed.setpoint.yaw, disturbed.setpoint.mode[3] = 90.0, ABS
    disturbed.library.controllerOutOfTreeInit()  # the same history too
    np.testing.assert_allclose(disturbed.call(2), expected, atol=1e-5)


def test_a_yaw_far_away_is_turned_to_as_if_it_were_near(crazyflie: Crazyflie) -> None:
    crazyflie.setpoint.mode[3] = ABS
    level = crazyflie.call(2)
    found = {}
    for yaw in (30.0, 120.0, -30.0, -120.0):
        crazyflie.library.controllerOutOfTreeInit()
        crazyflie.setpoint.yaw = yaw
        found[yaw] = crazyflie.call(2)
    np.testing.assert_allclose(found[120.0], found[30.0], atol=1e-5)
    np.testing.assert_allclose(found[-120.0], found[-30.0], atol=1e-5)
    # The torque of a rotor about z is against its spin: rotors 2 and 4 turn the vehicle to the left.
    left = np.array(found[30.0]) - level
    assert min(left[1], left[3]) > max(left[0], left[2])


def test_a_yaw_that_is_no_number_stops_the_motors(crazyflie: Crazyflie) -> None:
    assert min(crazyflie.call(2)) > 0.0
    crazyflie.setpoint.mode[3], crazyflie.setpoint.yaw = ABS, np.nan
    assert crazyflie.call(2) == [0.0] * 4
    crazyflie.setpoint.yaw = 0.0
    assert crazyflie.call(2) == [0.0] * 4


def test_the_thrust_of_a_vehicle_comes_with_its_policy(tmp_path: Path, hover: Bundle) -> None:
    export_c(hover, tmp_path / "policy.h", constants=thrust_curve("l2f-2"))
    c0, c1, c2 = L2F_2.thrust
    forces = np.array(Crazyflie(tmp_path).call(1000)) * LARGEST
    speed = L2F_PAPER.hover_speed  # what this policy asks for
    np.testing.assert_allclose(forces, c0 + c1 * speed + c2 * speed**2, rtol=0.1)


def test_selected_in_flight_it_starts_anew(crazyflie: Crazyflie) -> None:
    assert min(crazyflie.call(100)) > 0.0
    assert crazyflie.call(600, commanded=False) == [0.0] * 4
    crazyflie.library.controllerOutOfTreeInit()
    assert min(crazyflie.call(2)) > 0.0


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


def test_the_crazyflie_app_takes_a_preview_from_how_the_setpoint_moves(tmp_path: Path, hover: Bundle) -> None:
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
    # Over 0.4 s a jerk of 5 moves the mean velocity as far as an acceleration of 2/3.
    crazyflie.setpoint.acceleration.z, crazyflie.setpoint.jerk.z = 1.0 - 2.0 / 3.0, 5.0
    assert crazyflie.call(2)[0] == pytest.approx(ahead[0], abs=2e-3)


def test_a_preview_of_unknown_times_does_not_compile(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    known = flight_spec(2)
    arrays = known.observation.arrays | {"preview": ArraySpec((3,), "m/s", "world")}
    spec = EnvSpec(Spec.of(arrays), known.action, known.control_rate)
    export_c(bundle_of(spec, (5,)), tmp_path / "policy.h")
    with pytest.raises(subprocess.CalledProcessError):
        Crazyflie(tmp_path)
    assert "how far ahead its preview looks" in capfd.readouterr().err


@pytest.mark.skipif(SOURCE not in os.environ, reason=f"{SOURCE} names no copy of the vendor's firmware")
def test_the_crazyflie_app_fits_the_vendors_headers(tmp_path: Path) -> None:
    export_c(bundle_of(flight_spec(8, (0.1, 0.2, 0.4)), (5,)), tmp_path / "policy.h")
    # What the vendor's build configures, for a Crazyflie 2.1+.
    configured = ("PLATFORM_CF2", "ENABLE_THRUST_BAT_COMPENSATED", "CRAZYFLIE_21_PLUS", "CONTROLLER_OOT")
    (tmp_path / "autoconf.h").write_text("".join(f"#define CONFIG_{name} 1\n" for name in configured))
    source = Path(os.environ[SOURCE]) / "src"
    folders = ["modules/interface", "modules/interface/controller", "hal/interface", "utils/interface"]
    folders += ["utils/interface/lighthouse", "config", "drivers/interface", "platform/interface"]
    includes = [f"-I{folder}" for folder in (FOLDER / "include", tmp_path, *(source / f for f in folders))]
    command = ["arm-none-eabi-gcc", "-std=gnu11", "-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16"]
    command += ["-mfloat-abi=hard", "-Os", "-fsyntax-only", "-Wall", "-Werror"]
    app = FOLDER / "crazyflie" / "controller_robot_rl.c"
    done = subprocess.run([*command, *includes, str(app)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
