"""A Crazyflie: connect, see where it is, arm, fly, and stop.

Everything that protects it holds here, for every caller: commands are clipped to the settings' box and speed
(but a tilt has no speed: outside the box it is refused), refused while its state is old or not to be trusted,
and a fault latches. When it does not know its place any more, or its battery is empty, it lands, where it can
still be told to; on a lost link it looks after itself. A stream of setpoints that pauses ends in holding.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable
from types import TracebackType

import numpy as np

from drivers.crazyflie.connection import SUPERVISOR_PORT, Connection
from drivers.crazyflie.fault import FaultLatch
from drivers.crazyflie.limits import check_inside, checked, limited_duration, limited_position
from drivers.crazyflie.outlet import HOLD_DURATION, LAND, TAKE_OFF, UNANSWERED, Outlet
from drivers.crazyflie.paths import PathPiece, check_path, uploaded
from drivers.crazyflie.setpoints import (
    Setpoint,
    attitude_setpoint,
    full_state_setpoint,
    position_setpoint,
    velocity_setpoint,
)
from drivers.crazyflie.settings import CrazyflieConfig
from drivers.crazyflie.state import CrazyflieState, Flags, FlightSample, Health, check_armed, why_not_armed
from drivers.crazyflie.telemetry import POLL, REBOOT_GAP, Telemetry
from drivers.crazyflie.watch import WATCH_PERIOD, Watch, lost_link
from robot_rl.core.clock import SteadyClock
from robot_rl.core.errors import InvalidActionError, RobotRlError, StaleStateError, VehicleError
from robot_rl.core.frames import swing_twist
from robot_rl.core.protocols import Clock
from robot_rl.core.types import Pose

ANSWER_TIMEOUT = 3.0
"""Longest wait until a change that was granted shows in what it tells [s]."""
CLOSING_SPEED = 0.6
"""Mean, of the landing of a vehicle that is let go of in flight [m/s]."""
LANDED_TIMEOUT = 4.5
"""Longest wait after the end of that landing [s]; it counts as flying for two more seconds."""
STOP_PAUSE = 0.005
"""Between two of the first emergency stops [s]."""
LAST_WORDS = 1.0
"""Longest wait, when it is let go of, for what has not reached it yet: an emergency stop, a landing [s]."""
ARM, RECOVER, GO_TO, DEFINE, FOLLOW = 1, 2, 12, 6, 13
"""First bytes of further commands that are answered."""


class Crazyflie:
    """A connected Crazyflie. Its methods may be called from several threads.

    Commands take turns and wait for their answers; setpoints and `emergency_stop` do not wait for them.

    Args:
        config: Which one, and its limits.
        clock: For stamps.

    Raises:
        VehicleError: It cannot be reached, or its firmware lacks what is needed.
    """

    def __init__(self, config: CrazyflieConfig, clock: Clock | None = None) -> None:
        self.config = config
        self._clock = clock or SteadyClock()
        self._fault = FaultLatch()
        self._pose_sent_at = -math.inf
        self._unconfirmed_stop = False
        self._on_sample: Callable[[FlightSample], None] | None = None
        self._sampled_at = -REBOOT_GAP
        self._watch = Watch(config)
        self._end = threading.Event()
        self.connection, self._telemetry = self._connect()
        self._outlet = Outlet(config, self._fault, self.connection)
        self._watcher = threading.Thread(target=self._run, name="crazyflie watch", daemon=True)
        self._watcher.start()

    def _connect(self) -> tuple[Connection, Telemetry]:
        config = self.config
        connection = Connection(config.uri, config.connect_timeout, config.cache)
        try:
            for text in config.parameters:
                name, _, value = text.partition("=")
                connection.set_parameter(name, float(value))
            telemetry = Telemetry(connection, config, self._clock)
            if self._on_sample is not None:
                telemetry.record(self._take_sample, self._sampled_at + REBOOT_GAP)
        except VehicleError:
            connection.close(stop_motors=False)
            raise
        return connection, telemetry

    @property
    def fault(self) -> str:
        """Why it is not obeyed any more, "" when all is well."""
        return self._fault.reason

    @property
    def health(self) -> Health:
        """As it was told last."""
        return self._telemetry.health

    @property
    def is_flying(self) -> bool:
        return Flags.FLYING in self.health.flags

    def state(self) -> CrazyflieState:
        """The newest state; raises `StaleStateError` when it is older than `state_timeout`."""
        return self._telemetry.state()

    @property
    def last_state(self) -> CrazyflieState:
        """The last state, however old."""
        return self._telemetry.last_state

    def check_estimate(self) -> CrazyflieState:
        """The newest state, if it is to be trusted.

        Raises:
            StaleStateError: It is old, its filter does not know where it is, or no poses are sent to it.
        """
        config, state = self.config, self.state()
        if config.positioning == "external":
            age = time.monotonic() - self._pose_sent_at
            if age > config.state_timeout:
                ever = f"for {age:.2f} s" if math.isfinite(age) else "yet"
                raise StaleStateError(
                    f"no pose was sent to the Crazyflie {ever}, by which it knows its place"
                )
        deviation = self.health.deviation
        if deviation > config.max_deviation:
            raise StaleStateError(
                f"the Crazyflie knows its place to {deviation:.2f} m only, not to "
                f"{config.max_deviation:g} m: does it see its {config.positioning} positioning, and does its "
                "Kalman filter run (parameter stabilizer.estimator=2)?"
            )
        return state

    def record(self, on_sample: Callable[[FlightSample], None]) -> None:
        """Call `on_sample` with what identifies the vehicle, at the log rate, in the link's thread.

        It goes on after a lost link, with times that go on too.
        """
        self._on_sample = on_sample
        self._telemetry.record(self._take_sample, self._sampled_at + REBOOT_GAP)

    def _take_sample(self, sample: FlightSample) -> None:
        self._sampled_at = max(self._sampled_at, sample.time)
        if self._on_sample is not None:
            self._on_sample(sample)

    def arm(self) -> None:
        """Allow the motors to turn.

        Raises:
            VehicleError: It refuses, or its battery is low.
        """
        self._fault.check()
        self.check_estimate()
        self._check_battery()
        self._arm(True)

    def _check_battery(self) -> None:
        voltage = self.health.battery
        if not voltage >= self.config.low_battery:
            raise VehicleError(f"the battery has {voltage:.2f} V, less than {self.config.low_battery:g} V")

    def disarm(self) -> None:
        """Forbid the motors to turn; in flight it falls."""
        self._arm(False)

    def _arm(self, wanted: bool) -> None:
        def send() -> None:
            if wanted:
                self._fault.check()
            self.connection.client.supervisor.send_arming_request(wanted)

        granted = self.connection.ask(SUPERVISOR_PORT, ARM, send)[0]
        if not granted:
            raise VehicleError(f"the Crazyflie refuses to arm: {why_not_armed(self.health.flags)}")
        done = f"that it is {'armed' if wanted else 'disarmed'}"
        self._wait(lambda: (Flags.ARMED in self.health.flags) == wanted, ANSWER_TIMEOUT, done)

    def _wait(self, ready: Callable[[], bool], timeout: float, what: str) -> None:
        count, deadline = self._fault.count, time.monotonic() + timeout
        while not ready():
            if self._fault.count != count:
                self._fault.check()
            if time.monotonic() > deadline:
                raise VehicleError(f"the Crazyflie at {self.config.uri} has not told {what} in {timeout:g} s")
            time.sleep(POLL)

    def take_off(self, height: float, duration: float = 2.0) -> None:
        """Rise to a height [m] where it stands; returns at once, as all commands that take time."""
        state = self._ready()
        if not self.is_flying:
            self._check_battery()  # some vehicles arm by themselves
        goal = limited_position(self.config, np.array([*state.position[:2], height]))
        duration = limited_duration(self.config, state.position, goal, duration)
        check_armed(self.health.flags)
        take_off = self.connection.client.high_level_commander.takeoff
        self._outlet.command(TAKE_OFF, lambda: take_off(float(goal[2]), duration, yaw=None))

    def go_to(self, position: np.ndarray, yaw: float, duration: float) -> None:
        """Fly smoothly to (3,) [m] and a yaw [rad] in some time [s], or longer if it is far; stay there."""
        checked("yaw", yaw)
        goal = limited_position(self.config, position)
        duration = limited_duration(self.config, self._ready().position, goal, duration)
        check_armed(self.health.flags)
        x, y, z = goal.tolist()
        go_to = self.connection.client.high_level_commander.go_to
        self._outlet.command(GO_TO, lambda: go_to(x, y, z, yaw, duration))

    def hold(self) -> None:
        """Stay here."""
        state = self._ready()
        self.go_to(state.position, swing_twist(state.quaternion)[1], HOLD_DURATION)

    def land(self, duration: float = 2.0) -> None:
        """Descend where it is and stop the motors. It is never refused but by a fault."""
        place = self.last_state.position
        duration = limited_duration(self.config, place, place * [1.0, 1.0, 0.0], duration)
        land = self.connection.client.high_level_commander.land
        self._outlet.command(LAND, lambda: land(0.0, duration, yaw=None))

    def upload(self, number: int, pieces: list[PathPiece]) -> float:
        """Upload a path under a number; its duration [s]. Paths share the memory: the last one counts."""
        check_path(self.config, pieces)
        self._fault.check()
        client = self.connection.client
        uploaded(client, pieces, self._fault.check)
        define = client.high_level_commander.define_trajectory
        self._outlet.command(DEFINE, lambda: define(number, 0, len(pieces)), moves=False)
        return sum(piece.duration for piece in pieces)

    def follow(self, number: int, stretch: float = 1.0) -> None:
        """Fly an uploaded path where it lies, slower by a factor of 1 or more."""
        checked("stretch", stretch)
        if stretch < 1.0:
            raise InvalidActionError(
                f"stretch must be at least 1, not {stretch}: paths are checked as they are"
            )
        self._ready()
        check_armed(self.health.flags)
        start = self.connection.client.high_level_commander.start_trajectory
        self._outlet.command(FOLLOW, lambda: start(number, stretch))

    def send_position(self, position: np.ndarray, yaw: float) -> None:
        """Setpoint: be at (3,) [m] with a yaw [rad]."""
        self._stream(position_setpoint(self.config, position, yaw))

    def send_velocity(self, velocity: np.ndarray, yaw_rate: float) -> None:
        """Setpoint: move with (3,) in the world [m/s], turn with a yaw rate [rad/s]."""
        self._stream(velocity_setpoint(self.config, velocity, yaw_rate))

    def send_full_state(
        self, pose: Pose, velocity: np.ndarray, acceleration: np.ndarray, yaw_rate: float
    ) -> None:
        """Setpoint: a whole state of a reference.

        Args:
            pose: [m] and xyzw.
            velocity: (3,) in the world [m/s].
            acceleration: (3,) in the world, without gravity [m/s^2].
            yaw_rate: [rad/s].
        """
        self._stream(full_state_setpoint(self.config, pose, velocity, acceleration, yaw_rate))

    def send_attitude(self, roll: float, pitch: float, yaw_rate: float, thrust: float) -> None:
        """Setpoint: roll and pitch about x and y [rad], yaw rate [rad/s], thrust in [0, 1] of the largest.

        Nothing bounds where that leads, so it is refused outside the box, where its end holds the vehicle.
        """
        setpoint = attitude_setpoint(self.config, roll, pitch, yaw_rate, thrust)
        state = self._ready()
        check_inside(self.config, state.position)
        self._outlet.stream(setpoint, state)

    def _stream(self, send: Setpoint) -> None:
        self._outlet.stream(send, self._ready())

    def _ready(self) -> CrazyflieState:
        self._fault.check()
        return self.check_estimate()

    def send_pose(self, pose: Pose) -> None:
        """Tell it where it is, with positioning "external": at 10 Hz or more."""
        checked("pose", pose.position, pose.quaternion)
        self._pose_sent_at = time.monotonic()
        position, quaternion = pose.position.tolist(), pose.quaternion.tolist()
        self.connection.client.extpos.send_extpose(*position, *quaternion)

    def emergency_stop(self, reason: str = "emergency stop") -> None:
        """Stop the motors at once: it falls, and has to be started anew. Never refused.

        It goes on being sent until the vehicle says that it is locked.
        """
        self._unconfirmed_stop = True
        self._fault.latch(reason, first=True)
        for _ in range(UNANSWERED):
            self.connection.client.supervisor.send_emergency_stop()
            time.sleep(STOP_PAUSE)

    def clear_fault(self) -> None:
        """Obey again; after a lost link, or a restart of the vehicle, it connects anew.

        Raises:
            VehicleError: It cannot be reached, has to be started anew, or is at fault again.
        """
        if not self._watcher.is_alive():
            raise VehicleError("nobody watches over the Crazyflie any more: start this program anew")
        count = self._fault.count
        if not self._is_reachable():
            self.connection.close(stop_motors=False)
            self.connection, self._telemetry = self._connect()
            self._outlet.use(self.connection)
            # One that was restarted knows of no stop; one that flies has never heard of it. A stop that came
            # meanwhile is sent on.
            if not self.is_flying and self._fault.count == count:
                self._unconfirmed_stop = False
        flags = self.health.flags
        if Flags.LOCKED in flags:
            raise VehicleError("the Crazyflie is locked: switch it off and on")
        if self._unconfirmed_stop:
            raise VehicleError("the Crazyflie has not confirmed the emergency stop yet")
        if Flags.CRASHED in flags:
            recover = self.connection.client.supervisor.send_crash_recovery_request
            self.connection.ask(SUPERVISOR_PORT, RECOVER, recover)
            recovered = "that it has recovered"
            self._wait(lambda: Flags.CRASHED not in self.health.flags, ANSWER_TIMEOUT, recovered)
        self._watch.forget()
        if not self._fault.clear(count):
            raise VehicleError(f"the Crazyflie is at fault again: {self.fault}")

    def _run(self) -> None:
        try:
            self._keep_watch()
        finally:
            if not self._end.is_set():
                self._fault.latch("nobody watches over the Crazyflie any more")

    def _keep_watch(self) -> None:
        while not self._end.wait(WATCH_PERIOD):
            now = time.monotonic()
            if self._unconfirmed_stop:
                self._stop_again()
            idle_at = self._telemetry.told(Flags.FLYING, wanted=False)
            self._outlet.hand_over(now, self._telemetry.told(Flags.PATH_ACTIVE), idle_at)
            if self.fault:
                continue
            finding = self._watch.look(now, self.connection, self._telemetry, self.check_estimate)
            if finding is None:
                self._outlet.end_pause(now, self.last_state, idle_at)
                continue
            self._fault.latch(finding.reason)
            if finding.lands:
                self._outlet.land_anyway(self.last_state)

    def _stop_again(self) -> None:
        if Flags.LOCKED in self.health.flags:
            self._unconfirmed_stop = False
        else:
            self.connection.client.supervisor.send_emergency_stop()

    def close(self) -> None:
        """Land if it flies, and let go of the link; one that cannot be told to land looks after itself.

        Meanwhile nothing is obeyed but an emergency stop.
        """
        self._outlet.retire()
        if self._is_reachable() and not self.fault and self.is_flying:
            duration = max(1.5, float(self.last_state.position[2]) / CLOSING_SPEED)
            with contextlib.suppress(RobotRlError):
                self.land(duration)
                self._await(lambda: not self.is_flying, duration + LANDED_TIMEOUT)
        self._await(lambda: not (self._unconfirmed_stop or self._outlet.is_handing_over), LAST_WORDS)
        self._end.set()
        self._watcher.join()
        self.connection.close(stop_motors=self._is_reachable() and not self.is_flying)

    def _is_reachable(self) -> bool:
        return not lost_link(self.config, self.connection, self._telemetry)

    def _await(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until this is so, the link is lost, or the time is over [s]."""
        deadline = time.monotonic() + timeout
        while not ready() and self._is_reachable() and time.monotonic() < deadline:
            time.sleep(POLL)

    def __enter__(self) -> Crazyflie:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
