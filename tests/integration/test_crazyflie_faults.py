"""What protects a Crazyflie, with the unmodified cflib between the driver and the emulated vehicle."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("cflib")

from drivers.crazyflie.driver import Crazyflie
from drivers.crazyflie.fault import FaultLatch
from drivers.crazyflie.outlet import Outlet
from drivers.crazyflie.paths import PathPiece
from drivers.crazyflie.setpoints import full_state_setpoint
from drivers.crazyflie.settings import CrazyflieConfig
from drivers.crazyflie.state import Flags, FlightSample
from drivers.emulators.crazyflie.crtp import Packet, Port
from drivers.emulators.crazyflie.firmware import EmulatedCrazyflie, EmulatorSettings
from drivers.emulators.crazyflie.server import CrazyflieServer
from robot_rl.core.errors import (
    InvalidActionError,
    RobotFaultError,
    RobotRlError,
    StaleStateError,
    VehicleError,
)
from robot_rl.core.types import Pose
from tests.integration.emulated_crazyflie import PATIENCE, connected, take_off, wait


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Tables of contents, downloaded once."""
    return str(tmp_path_factory.mktemp("tables"))


class InThread:
    """Something that is done in a thread, and what became of it."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action
        self.error: RobotRlError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._action()
        except RobotRlError as error:
            self.error = error

    def end(self) -> RobotRlError | None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "it hangs"
        return self.error

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()


def test_an_emergency_stop_waits_for_no_other_command_and_is_repeated_until_it_is_heard(cache: str) -> None:
    with connected(cache, link_timeout=60.0, state_timeout=60.0) as (crazyflie, server):
        take_off(crazyflie)
        server.conditions.dead = True
        other = InThread(lambda: crazyflie.go_to(np.array([0.5, 0.0, 0.5]), 0.0, 2.0))
        time.sleep(0.05)
        assert other.is_running
        crazyflie.emergency_stop()
        assert isinstance(other.end(), RobotFaultError)
        assert not server.firmware.supervisor.is_locked
        with pytest.raises(VehicleError, match="not confirmed"):
            crazyflie.clear_fault()
        server.conditions.dead = False
        wait(lambda: Flags.LOCKED in crazyflie.health.flags, "that it has heard")
        wait(lambda: server.truth.position[2] == 0.0, "the floor")
        with pytest.raises(VehicleError, match="switch it off and on"):
            crazyflie.clear_fault()


def cleared(crazyflie: Crazyflie) -> bool:
    with contextlib.suppress(VehicleError):
        crazyflie.clear_fault()
    return not crazyflie.fault


def switch_off_and_on(server: CrazyflieServer) -> None:
    """It answers pings again before anybody has noticed, but has forgotten what it shall log."""
    with server.lock:
        server.firmware = EmulatedCrazyflie()


def test_one_that_was_switched_off_and_on_is_flown_again(cache: str) -> None:
    samples: list[FlightSample] = []
    with connected(cache, link_timeout=1.0) as (crazyflie, server):
        crazyflie.record(samples.append)
        take_off(crazyflie)
        crazyflie.emergency_stop()
        wait(lambda: Flags.LOCKED in crazyflie.health.flags, "that it is locked")
        switch_off_and_on(server)
        before = len(samples)
        wait(lambda: cleared(crazyflie), "that it obeys again")
        take_off(crazyflie)
        wait(lambda: len(samples) > before + 50, "samples")
        assert all(b.time > a.time for a, b in itertools.pairwise(samples))


def test_one_that_restarts_in_flight_is_a_fault(cache: str) -> None:
    """As with a battery that breaks down for a moment."""
    with connected(cache, link_timeout=1.0) as (crazyflie, server):
        take_off(crazyflie)
        switch_off_and_on(server)
        wait(lambda: "was it restarted?" in crazyflie.fault, "the fault")


def test_packets_that_were_held_up_are_as_old_as_they_are(cache: str) -> None:
    with connected(cache, state_timeout=0.5, link_timeout=60.0) as (crazyflie, server):
        wait(lambda: crazyflie.state().stamp > 0, "a fresh state")
        server.conditions.latency = 1.0

        def is_refused() -> bool:
            try:
                crazyflie.state()
            except StaleStateError:
                return True
            return False

        wait(is_refused, "an old state")
        # They come as often as before.
        stamp = crazyflie.last_state.stamp
        wait(lambda: crazyflie.last_state.stamp > stamp, "the next state")
        assert is_refused()


def test_an_estimate_that_is_not_a_number_lands_it_though_setpoints_go_on(cache: str) -> None:
    with connected(cache) as (crazyflie, server):
        take_off(crazyflie)
        ended = threading.Event()

        def push() -> None:
            while not ended.wait(0.002):
                with contextlib.suppress(RobotRlError):
                    crazyflie.send_velocity(np.array([0.0, 0.0, 0.2]), 0.0)

        pusher = InThread(push)
        server.firmware.estimator.variance = math.nan
        wait(lambda: "knows its place to inf m" in crazyflie.fault, "the fault")
        wait(lambda: server.truth.position[2] == 0.0, "the floor")
        ended.set()
        assert pusher.end() is None
        wait(lambda: not crazyflie.is_flying, "the end of the flight")
        crazyflie.clear_fault()
        with pytest.raises(StaleStateError, match="knows its place to inf m"):
            crazyflie.arm()


class Ear:
    """Hears the packets of an emulated vehicle, and may keep some from it."""

    def __init__(self, firmware: EmulatedCrazyflie) -> None:
        self.heard: list[tuple[int, int]] = []
        self.deaf_to: set[int] = set()
        """Ports."""
        self.first: Callable[[], None] | None = None
        """Done before the next high-level command is taken."""
        self._receive = firmware.receive
        firmware.receive = self.take  # type: ignore[method-assign]

    def take(self, packet: Packet) -> list[Packet]:
        self.heard.append((packet.port, packet.channel))
        if packet.port == Port.HIGH_LEVEL and self.first is not None:
            first, self.first = self.first, None
            first()
        return [] if packet.port in self.deaf_to else self._receive(packet)

    @property
    def ends(self) -> int:
        """How often the end of a stream was told."""
        return self.heard.count((Port.SETPOINT, 1))


def test_a_stream_ends_only_when_somebody_else_has_the_vehicle(cache: str) -> None:
    """Given back to a high-level commander without a path, it would stop its motors."""
    with connected(cache, setpoint_timeout=0.1) as (crazyflie, server):
        take_off(crazyflie)
        ear = Ear(server.firmware)
        ear.deaf_to = {Port.HIGH_LEVEL}
        crazyflie.send_velocity(np.array([0.3, 0.0, 0.0]), 0.0)
        wait(lambda: ear.heard.count((Port.HIGH_LEVEL, 0)) > 5, "that it is told to hold")
        assert ear.ends == 0
        ear.deaf_to = set()
        wait(lambda: ear.ends, "the end of the stream")
        wait(lambda: abs(server.truth.velocity[0]) < 0.05, "that it holds its place")
        crazyflie.send_velocity(np.zeros(3), 0.0)
        ends = ear.ends
        with pytest.raises(VehicleError, match="refuses the command 13"):
            crazyflie.follow(7)
        assert server.firmware.rotor_command.all()
        wait(lambda: ear.ends > ends, "the end of the stream")
        crazyflie.send_velocity(np.zeros(3), 0.0)
        crazyflie.land(1.0)
        crazyflie.land(1.0)  # it does so already
        wait(lambda: server.truth.position[2] == 0.0, "the floor")
        assert not crazyflie.fault


def test_a_setpoint_that_follows_a_command_keeps_the_vehicle(cache: str) -> None:
    """It has made the high-level commander forget its path, so nothing may be given back to that."""
    with connected(cache, setpoint_timeout=60.0) as (crazyflie, server):
        take_off(crazyflie)
        ear = Ear(server.firmware)
        ear.first = lambda: crazyflie.send_velocity(np.zeros(3), 0.0)
        crazyflie.go_to(np.array([0.0, 0.0, 0.5]), 0.0, 1.0)
        time.sleep(0.2)
        assert ear.ends == 0
        crazyflie.go_to(np.array([0.0, 0.0, 0.5]), 0.0, 1.0)
        wait(lambda: ear.ends, "the end of the stream")


def test_a_stream_that_ends_on_the_floor_leaves_no_path(cache: str) -> None:
    """Or the motors would start when somebody arms it."""
    with connected(cache, setpoint_timeout=0.1) as (crazyflie, server):
        crazyflie.arm()
        ear = Ear(server.firmware)
        crazyflie.disarm()
        crazyflie.send_velocity(np.zeros(3), 0.0)
        wait(lambda: ear.ends, "the end of the stream")
        assert (Port.HIGH_LEVEL, 0) not in ear.heard
        crazyflie.arm()
        time.sleep(0.3)
        assert not server.firmware.rotor_command.any()


def test_outside_its_box_it_is_not_tilted(cache: str) -> None:
    with connected(cache, highest=(0.3, 0.3, 1.0)) as (crazyflie, server):
        take_off(crazyflie)

        def push() -> None:
            with contextlib.suppress(InvalidActionError):
                crazyflie.send_attitude(0.0, 0.15, 0.0, 0.45)

        wait(lambda: push() or server.truth.position[0] > 0.45, "that it is out")
        with pytest.raises(InvalidActionError, match="outside the box"):
            crazyflie.send_attitude(0.0, 0.15, 0.0, 0.45)
        # The stream has ended with that, and whoever goes on with it is not heard.
        wait(lambda: push() or abs(server.truth.position[0] - 0.3) < 0.05, "the edge of the box")


@pytest.mark.parametrize(
    ("quaternion", "acceleration", "yaw_rate"),
    [((0, 0, 0, 0), 0.0, 0.0), ((0, 0, 0, 1), 40.0, 0.0), ((0, 0, 0, 1), 0.0, -50.0)],
)
def test_whole_states_that_no_packet_holds(
    quaternion: tuple[float, ...], acceleration: float, yaw_rate: float
) -> None:
    pose = Pose(np.array([0.0, 0.0, 0.5]), np.array(quaternion, float))
    with pytest.raises(InvalidActionError):
        full_state_setpoint(CrazyflieConfig(), pose, np.zeros(3), np.full(3, acceleration), yaw_rate)


def test_no_setpoint_leaves_after_a_fault(cache: str) -> None:
    """Not even one that was on its way when the fault came: it would take the vehicle from its landing."""
    with connected(cache) as (crazyflie, _):
        fault, sent = FaultLatch(), []
        outlet = Outlet(crazyflie.config, fault, crazyflie.connection)
        outlet.stream(lambda commander, place: sent.append(place), crazyflie.state())
        fault.latch("it does not know its place")
        with pytest.raises(RobotFaultError):
            outlet.stream(lambda commander, place: sent.append(place), crazyflie.state())
        with pytest.raises(RobotFaultError):
            outlet.command(7, lambda: sent.append(np.zeros(3)))
        assert len(sent) == 1


def test_an_empty_battery(cache: str) -> None:
    settings = EmulatorSettings(charge=0.6, capacity=0.006)
    with connected(cache, settings, empty_battery=3.5) as (crazyflie, server):
        take_off(crazyflie)
        wait(lambda: "the battery has 3." in crazyflie.fault, "the fault")
        assert "in flight" in crazyflie.fault
        wait(lambda: server.truth.position[2] == 0.0, "the floor")


def test_one_with_a_low_battery_is_not_armed_and_does_not_take_off(cache: str) -> None:
    low = r"less than 3\.3 V"
    with connected(cache) as (crazyflie, server):
        crazyflie.arm()
        server.firmware.battery.charge = 0.02
        wait(lambda: crazyflie.health.battery < 3.3, "the low battery")
        with pytest.raises(VehicleError, match=low):
            crazyflie.take_off(0.5)
        crazyflie.disarm()
        with pytest.raises(VehicleError, match=low):
            crazyflie.arm()


def test_it_is_never_faster_than_allowed(cache: str) -> None:
    with connected(cache, max_speed=0.4) as (crazyflie, server):
        take_off(crazyflie, 0.4)
        fastest = 0.0
        crazyflie.go_to(np.array([0.6, 0.0, 0.4]), 0.0, 0.1)

        def is_there() -> bool:
            nonlocal fastest
            fastest = max(fastest, float(np.linalg.norm(server.truth.velocity)))
            return abs(server.truth.position[0] - 0.6) < 0.02

        wait(is_there, "the goal")
        assert fastest < 0.5


def test_durations_that_are_none(cache: str) -> None:
    with connected(cache) as (crazyflie, _):
        for command in (
            lambda: crazyflie.take_off(0.5, 0.0),
            lambda: crazyflie.go_to(np.array([0.0, 0.0, 0.5]), 0.0, -1.0),
            lambda: crazyflie.land(math.nan),
            lambda: crazyflie.follow(1, 0.5),
        ):
            with pytest.raises(InvalidActionError):
                command()


def test_a_link_that_dies_while_a_path_is_uploaded(cache: str) -> None:
    pieces = [PathPiece(0.5, np.zeros((4, 8))) for _ in range(20)]
    with connected(cache, link_timeout=1.0) as (crazyflie, server):
        server.conditions.dead = True
        upload = InThread(lambda: crazyflie.upload(1, pieces))
        assert isinstance(upload.end(), RobotFaultError)
        assert crazyflie.fault.startswith("link lost")


def test_let_go_of_in_flight_it_lands(cache: str) -> None:
    with connected(cache) as (crazyflie, server):
        take_off(crazyflie, 0.8)
        closing = InThread(crazyflie.close)
        refused = 0
        while closing.is_running:
            try:
                crazyflie.send_velocity(np.array([0.0, 0.0, 0.3]), 0.0)
            except VehicleError as error:
                assert "let go of" in str(error)
                refused += 1
            time.sleep(0.02)
        assert refused > 10
        assert closing.end() is None
        assert server.truth.position[2] == 0.0
        assert not server.firmware.rotor_command.any()
        crazyflie.close()


def test_an_emergency_stop_is_obeyed_while_it_lands_and_is_let_go_of(cache: str) -> None:
    with connected(cache) as (crazyflie, server):
        take_off(crazyflie, 0.8)
        server.conditions.loss = 0.5
        closing = InThread(crazyflie.close)
        wait(lambda: server.truth.velocity[2] < -0.05, "that it sinks")
        crazyflie.emergency_stop()
        assert closing.end() is None
        assert server.firmware.supervisor.is_locked
        wait(lambda: server.truth.position[2] == 0.0, "the floor")


def test_a_port_that_is_taken(cache: str) -> None:
    with CrazyflieServer(EmulatedCrazyflie()) as server:
        port = int(server.uri.rpartition(":")[2])
        with pytest.raises(VehicleError, match="choose another port"):
            CrazyflieServer(EmulatedCrazyflie(), port)
