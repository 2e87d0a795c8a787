# pyright: reportMissingImports=false
"""The driver of the Crazyflie, on the unmodified cflib, with the emulated vehicle at the other end."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cflib")

from drivers.crazyflie.driver import Crazyflie
from drivers.crazyflie.paths import PathPiece
from drivers.crazyflie.settings import CrazyflieConfig
from drivers.crazyflie.state import Flags, FlightSample
from drivers.emulators.crazyflie import encoding
from drivers.emulators.crazyflie.airframe import Airframe
from drivers.emulators.crazyflie.firmware import EmulatorSettings
from drivers.emulators.crazyflie.vehicle import RigidVehicle
from robot_rl.core.errors import (
    InvalidActionError,
    RobotFaultError,
    RobotRlError,
    StaleStateError,
    VehicleError,
)
from robot_rl.core.types import Pose
from tests.integration.emulated_crazyflie import PATIENCE, SLOW, connected, take_off, wait


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Tables of contents, downloaded once."""
    return str(tmp_path_factory.mktemp("tables"))


def test_it_connects_logs_arms_flies_and_lands(cache: str) -> None:
    with connected(cache) as (crazyflie, server):
        assert crazyflie.health.flags & (Flags.CAN_ARM | Flags.FLYING | Flags.ARMED) == Flags.CAN_ARM
        assert crazyflie.health.battery == pytest.approx(4.1, abs=0.03)
        stamps = set()
        take_off(crazyflie)
        assert crazyflie.is_flying
        crazyflie.go_to(np.array([0.4, -0.3, 0.7]), 0.5, 2.0)
        goal = np.array([0.4, -0.3, 0.7])

        def is_there() -> bool:
            state = crazyflie.state()
            stamps.add(state.stamp)
            return bool(np.abs(state.position - goal).max() < 0.03)

        wait(is_there, "the goal")
        state, truth = crazyflie.state(), server.truth
        assert truth.position == pytest.approx(goal, abs=0.08)
        assert abs(float(state.quaternion @ truth.quaternion)) > 0.99
        assert len(stamps) > 20

        def follow(x: float) -> bool:
            crazyflie.send_position(np.array([x, 0.0, 0.6]), 0.0)
            return abs(crazyflie.state().position[0] - x) < 0.05

        wait(lambda: follow(-0.3), "the setpoint")
        crazyflie.land(1.0)
        wait(lambda: server.truth.position[2] == 0.0, "the floor")
        wait(lambda: not crazyflie.is_flying, "the end of the flight")
    assert not server.firmware.rotor_command.any()


def test_every_stream_moves_it_and_its_end_holds_it(cache: str) -> None:
    with connected(cache) as (crazyflie, server):
        take_off(crazyflie)

        def push(send: Callable[[], None], reached: Callable[[], bool], what: str) -> None:
            def again() -> bool:
                send()
                return reached()

            wait(again, what)

        push(
            lambda: crazyflie.send_velocity(np.array([0.4, 0.0, 0.0]), 0.0),
            lambda: server.truth.velocity[0] > 0.3,
            "the velocity",
        )
        wait(lambda: abs(server.truth.velocity[0]) < 0.05, "that it holds its place")
        assert not crazyflie.fault
        pose = Pose(np.array([0.2, 0.3, 0.6]), np.array([0.0, 0, math.sin(0.2), math.cos(0.2)]))
        push(
            lambda: crazyflie.send_full_state(pose, np.zeros(3), np.zeros(3), 0.0),
            lambda: bool(np.abs(server.truth.position - pose.position).max() < 0.05),
            "the reference",
        )
        push(
            lambda: crazyflie.send_attitude(0.1, 0.0, 0.0, 0.43),
            lambda: server.truth.velocity[1] < -0.2,
            "that it leans to the right",
        )


def test_a_path_in_its_memory(cache: str) -> None:
    with connected(cache) as (crazyflie, server):
        coefficients = np.zeros((2, 4, 8))
        coefficients[:, 2, 0] = 0.5
        coefficients[0, 0, :3] = 0.0, 0.0, 0.2
        coefficients[1, 0, :3] = 0.2, 0.4, -0.2
        pieces = [PathPiece(1.0, c) for c in coefficients]
        assert crazyflie.upload(1, pieces) == 2.0
        take_off(crazyflie)
        crazyflie.follow(1)
        wait(lambda: abs(server.truth.position[0] - 0.4) < 0.05, "the end of the path")
        far = PathPiece(1.0, coefficients[0] + np.array([0, 0, 5.0, 0])[:, None] * np.eye(1, 8))
        with pytest.raises(InvalidActionError, match="leaves the box"):
            crazyflie.upload(1, [far])
        with pytest.raises(VehicleError, match="refuses the command 13"):
            crazyflie.follow(7)


def test_parameters(cache: str) -> None:
    with connected(cache, parameters=("posCtlPid.xyVelMax=1.5",)) as (crazyflie, server):
        link = crazyflie.connection
        assert server.firmware.parameters["posCtlPid.xyVelMax"].value == 1.5
        link.set_parameter("stabilizer.controller", 2)
        assert link.parameter("stabilizer.controller") == 2
        with pytest.raises(VehicleError, match=r"did you mean 'stabilizer\.controller'"):
            link.set_parameter("stabilizer.controler", 1)
        with pytest.raises(VehicleError, match="only be read"):
            link.set_parameter("deck.bcFlow2", 1)
        with pytest.raises(VehicleError, match="has made 44 of it"):
            link.set_parameter("stabilizer.controller", 44.5)


@pytest.mark.parametrize(
    "command",
    [
        lambda c: c.send_position(np.array([math.nan, 0, 0.5]), 0.0),
        lambda c: c.send_position(np.zeros(2), 0.0),
        lambda c: c.send_velocity(np.array([0, math.inf, 0]), 0.0),
        lambda c: c.send_attitude(0.0, math.nan, 0.0, 0.4),
        lambda c: c.go_to(np.zeros(3), math.nan, 1.0),
        lambda c: c.take_off(math.nan),
        lambda c: c.send_pose(Pose(np.full(3, math.nan), np.array([0.0, 0, 0, 1]))),
    ],
)
def test_numbers_that_are_none_are_refused(steady: Crazyflie, command: Callable[[Crazyflie], None]) -> None:
    with pytest.raises(InvalidActionError):
        command(steady)


@pytest.mark.parametrize(
    "command",
    [
        lambda c: c.take_off(0.5),
        lambda c: c.go_to(np.array([0.0, 0.0, 0.5]), 0.0, 1.0),
        lambda c: c.hold(),
        lambda c: c.follow(1),
    ],
)
def test_nothing_waits_for_it_to_be_armed(steady: Crazyflie, command: Callable[[Crazyflie], None]) -> None:
    with pytest.raises(VehicleError, match="not armed: arm it first"):
        command(steady)


@pytest.fixture(scope="module")
def steady(cache: str) -> Iterator[Crazyflie]:
    """One that stands on the ground."""
    with connected(cache) as (crazyflie, _):
        yield crazyflie


def test_it_stays_in_its_box(cache: str) -> None:
    with connected(cache, highest=(0.3, 0.3, 0.6)) as (crazyflie, server):
        take_off(crazyflie, 0.4)
        crazyflie.go_to(np.array([5.0, 0.0, 9.0]), 0.0, 1.5)
        wait(lambda: abs(server.truth.position[0] - 0.3) < 0.02, "the edge of the box")
        assert server.truth.position[2] < 0.7


def test_a_third_of_all_packets_lost(cache: str) -> None:
    with connected(cache):
        pass  # the tables are in the cache now
    with connected(cache, loss=0.3) as (crazyflie, server):
        take_off(crazyflie)

        def follow() -> bool:
            crazyflie.send_position(np.array([0.3, 0.0, 0.6]), 0.0)
            return bool(np.abs(server.truth.position - [0.3, 0.0, 0.6]).max() < 0.05)

        wait(follow, "the setpoint")
        crazyflie.land(1.0)
        wait(lambda: server.truth.position[2] == 0.0, "the floor")
        assert not crazyflie.fault
        server.conditions.loss = 0.0


@pytest.mark.parametrize("fail_safe", ["land", "hold"])
def test_a_link_that_dies_in_flight(cache: str, fail_safe: str) -> None:
    settings = EmulatorSettings(fail_safe=fail_safe)  # type: ignore[arg-type]
    with connected(cache, settings, link_timeout=1.0, connect_timeout=5.0) as (crazyflie, server):
        take_off(crazyflie)
        crazyflie.send_velocity(np.array([0.4, 0.0, 0.0]), 0.0)
        server.conditions.dead = True
        wait(lambda: crazyflie.fault.startswith("link lost"), "the fault")
        with pytest.raises(RobotFaultError, match="link lost"):
            crazyflie.send_velocity(np.zeros(3), 0.0)
        wait(lambda: abs(server.truth.velocity[0]) < 0.02, "that it does not drift")
        if fail_safe == "land":
            wait(lambda: server.truth.position[2] == 0.0, "the floor")
            with pytest.raises(VehicleError, match="has answered"):
                crazyflie.clear_fault()
            assert crazyflie.fault
        else:
            assert server.truth.position[2] == pytest.approx(0.5, abs=0.1)
        server.conditions.dead = False
        crazyflie.clear_fault()
        assert not crazyflie.fault
        wait(lambda: crazyflie.is_flying == (fail_safe == "hold"), "what it says of its flight")


def test_a_stale_state_is_refused(cache: str) -> None:
    with connected(cache, state_timeout=0.3, link_timeout=60.0) as (crazyflie, server):
        server.conditions.dead = True
        time.sleep(0.5)
        with pytest.raises(StaleStateError, match="s old, more than"):
            crazyflie.state()
        for command in (crazyflie.arm, lambda: crazyflie.send_velocity(np.zeros(3), 0.0)):
            with pytest.raises(StaleStateError):
                command()
        server.conditions.dead = False


def test_with_optical_flow_it_flies_though_x_and_y_are_unknown(cache: str) -> None:
    with connected(cache, EmulatorSettings(positioning="flow"), positioning="flow") as (crazyflie, server):
        take_off(crazyflie)
        server.firmware.estimator.variance = 0.04
        wait(lambda: "to 0.20 m" in crazyflie.fault, "the fault")
        wait(lambda: server.truth.position[2] == 0.0, "the floor")


def test_poses_from_outside_that_stop_make_it_land(cache: str) -> None:
    settings = EmulatorSettings(positioning="external")
    with connected(cache, settings, positioning="external", state_timeout=1.0) as (crazyflie, server):
        with pytest.raises(StaleStateError, match="no pose"):
            crazyflie.arm()

        def tracked() -> bool:
            truth = server.truth
            crazyflie.send_pose(Pose(truth.position, truth.quaternion))
            return crazyflie.health.deviation < 0.01

        wait(tracked, "that it knows its place")
        crazyflie.arm()
        crazyflie.take_off(0.5, 1.0)
        wait(lambda: tracked() and server.truth.position[2] > 0.45, "the height")
        wait(lambda: "no pose" in crazyflie.fault or "knows its place" in crazyflie.fault, "the fault")
        wait(lambda: server.truth.position[2] == 0.0, "the floor")
        with pytest.raises(RobotFaultError):
            crazyflie.take_off(0.5)


def test_the_emergency_stop(cache: str) -> None:
    with connected(cache) as (crazyflie, server):
        take_off(crazyflie)
        crazyflie.emergency_stop()
        wait(lambda: server.truth.position[2] == 0.0, "the floor")
        with pytest.raises(RobotFaultError, match="emergency stop"):
            crazyflie.arm()
        wait(lambda: Flags.LOCKED in crazyflie.health.flags, "that it is locked")
        with pytest.raises(VehicleError, match="switch it off and on"):
            crazyflie.clear_fault()


def test_a_crash_is_a_fault_until_it_stands_again(cache: str) -> None:
    """It is turned over in the air, and put back on its feet by hand."""
    with connected(cache) as (crazyflie, server):
        take_off(crazyflie)
        with server.lock:
            over = server.firmware.truth._replace(quaternion=np.array([1.0, 0, 0, 0]), rates=np.zeros(3))
            fallen = RigidVehicle(Airframe())
            fallen.place(over)
            server.firmware.vehicle = fallen
        wait(lambda: crazyflie.fault, "the fault")
        assert "crashed" in crazyflie.fault or "tumbled" in crazyflie.fault
        with pytest.raises(RobotFaultError):
            crazyflie.take_off(0.5)
        wait(lambda: server.truth.position[2] == 0.0, "the floor")
        with pytest.raises(VehicleError, match="has recovered"):
            crazyflie.clear_fault()
        with server.lock:
            server.firmware.vehicle = RigidVehicle(Airframe())
        wait(lambda: Flags.TUMBLED not in crazyflie.health.flags, "that it stands")
        crazyflie.clear_fault()
        assert not crazyflie.fault
        wait(lambda: Flags.CAN_ARM in crazyflie.health.flags, "that it may be armed")


def test_what_identifies_it_can_be_recorded(cache: str) -> None:
    with connected(cache) as (crazyflie, _):
        samples: list[FlightSample] = []
        crazyflie.record(samples.append)
        take_off(crazyflie)
        wait(lambda: len(samples) > 100, "samples")
        flying = [s for s in samples if s.motors.min() > 0.3]
        assert np.mean([s.lift for s in flying]) == pytest.approx(9.81, abs=1.0)
        assert all(b.time > a.time for a, b in itertools.pairwise(samples))


def test_nobody_there() -> None:
    config = CrazyflieConfig(uri="udp://127.0.0.1:9", connect_timeout=1.0)
    with pytest.raises(VehicleError, match="no Crazyflie"):
        Crazyflie(config)


@pytest.mark.parametrize(
    "change",
    [
        {"uri": "nonsense"},
        {"positioning": "stars"},
        {"log_rate": 1000.0},
        {"max_speed": 0.0},
        {"lowest": (1.0, 0.0, 0.0), "highest": (0.0, 1.0, 1.0)},
        {"parameters": ("stabilizer.controller",)},
    ],
)
def test_settings_that_make_no_sense(change: dict) -> None:
    with pytest.raises(RobotRlError):
        CrazyflieConfig(**change)


def test_quaternions_are_packed_as_cflib_packs_them() -> None:
    from cflib.utils.encoding import compress_quaternion

    rng = np.random.default_rng(0)
    for _ in range(100):
        q = rng.normal(size=4)
        q /= np.linalg.norm(q)
        assert encoding.compress_quaternion(q) == compress_quaternion(q)


def test_as_a_process_of_its_own(cache: str) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "drivers.emulators.crazyflie", "--port", "0", "--link.loss", "0.02"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root, env=dict(os.environ))
    try:
        assert process.stdout is not None
        uri = process.stdout.readline().strip()
        with Crazyflie(CrazyflieConfig(uri=uri, cache=cache, **SLOW)) as crazyflie:  # type: ignore[arg-type]
            assert crazyflie.state().position == pytest.approx([0, 0, 0], abs=0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()
