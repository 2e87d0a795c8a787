"""A Crazyflie: connect, see where it is, arm, fly, and stop.

Everything that protects it holds here, for every caller: commands are clipped to the settings' box and speed,
refused while its state is old or not to be trusted, and a fault latches. When it does not know its place any
more it lands, where it can still be told to; on a lost link it looks after itself. Streams of setpoints that
pause are ended by holding the place.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import numpy as np

from drivers.crazyflie.connection import HIGH_LEVEL_PORT, SUPERVISOR_PORT, Connection
from drivers.crazyflie.limits import checked, limited_position, limited_tilt, limited_velocity
from drivers.crazyflie.paths import PathPiece, check_path, uploaded
from drivers.crazyflie.settings import CrazyflieConfig
from drivers.crazyflie.state import (
    FLIGHT_VARIABLES,
    HEALTH_RATE,
    HEALTH_VARIABLES,
    RATE_VARIABLES,
    STATE_VARIABLES,
    CrazyflieState,
    Flags,
    FlightSample,
    Health,
    LogClock,
    health_from,
    rates_from,
    sample_from,
    state_from,
)
from robot_rl.core.clock import SteadyClock, seconds
from robot_rl.core.errors import RobotFaultError, StaleStateError, VehicleError
from robot_rl.core.protocols import Clock
from robot_rl.core.types import Pose

Commander = Any
"""cflib's, which has no types."""

WATCH_PERIOD = 0.02
"""Time between two looks at the vehicle's health [s]."""
PATIENCE = 0.5
"""An estimate may be bad for this long in flight before it lands [s]."""
ARM_TIMEOUT = 3.0
"""[s]."""
FIRST_STATE = 3.0
"""Longest wait for the first state after connecting [s]."""
LANDING_SPEED = 0.3
"""Of landings that nobody has asked for [m/s]."""
CLOSING_LANDING = 1.5
"""Duration of the landing of a vehicle that is let go of in flight [s]."""
LANDED_TIMEOUT = 6.0
"""Longest wait for its end [s]; it counts as flying for two more seconds."""
ARM, RECOVER, TAKE_OFF, LAND, GO_TO, DEFINE, FOLLOW = 1, 2, 7, 8, 12, 6, 13
"""First bytes of commands that are answered."""


class Crazyflie:
    """A connected Crazyflie. All methods may be called from any one thread.

    Args:
        config: Which one, and its limits.
        clock: For stamps.
    """

    def __init__(self, config: CrazyflieConfig, clock: Clock | None = None) -> None:
        self.config = config
        self._clock = clock or SteadyClock()
        self._lock = threading.RLock()
        self._fault = ""
        self._stop = threading.Event()
        self._connect()
        self._watch = threading.Thread(target=self._run, name="crazyflie watch", daemon=True)
        self._watch.start()

    def _connect(self) -> None:
        self._log_clock = LogClock()
        self._rates = np.zeros(3)
        self._state: CrazyflieState | None = None
        self._health: Health | None = None
        self._streamed_at = math.nan
        self._pose_sent_at = -math.inf
        self._bad_since = math.nan
        config = self.config
        self.connection = Connection(config.uri, config.connect_timeout, config.cache)
        try:
            for text in config.parameters:
                name, _, value = text.partition("=")
                self.connection.set_parameter(name, float(value))
            period = 0.01 * round(100.0 / config.log_rate)
            self.connection.log("rates", period, RATE_VARIABLES, self._on_rates)
            self.connection.log("state", period, STATE_VARIABLES, self._on_state)
            self.connection.log("health", 1.0 / HEALTH_RATE, HEALTH_VARIABLES, self._on_health)
            self._wait(lambda: self._state is not None and self._health is not None, FIRST_STATE, "its state")
        except VehicleError:
            self.connection.close(stop_motors=False)
            raise

    def _wait(self, ready: Callable[[], bool], timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        while not ready():
            if time.monotonic() > deadline:
                raise VehicleError(f"the Crazyflie at {self.config.uri} has not told {what} in {timeout:g} s")
            time.sleep(0.005)

    def _on_rates(self, milliseconds: int, values: Mapping[str, float]) -> None:
        self._rates = rates_from(values)

    def _on_state(self, milliseconds: int, values: Mapping[str, float]) -> None:
        stamp = self._log_clock.stamp(milliseconds, self._clock.now())
        state = state_from(values, self._rates, stamp)
        if state is not None and (self._state is None or stamp > self._state.stamp):
            self._state = state

    def _on_health(self, milliseconds: int, values: Mapping[str, float]) -> None:
        self._health = health_from(values)

    @property
    def fault(self) -> str:
        """Why it is not obeyed any more, "" when all is well."""
        return self._fault

    @property
    def health(self) -> Health:
        """As it was told last."""
        if self._health is None:
            raise StaleStateError("the Crazyflie has not told its health yet")
        return self._health

    @property
    def is_flying(self) -> bool:
        return Flags.FLYING in self.health.flags

    def state(self) -> CrazyflieState:
        """The newest state.

        Raises:
            StaleStateError: It is older than `state_timeout`.
        """
        state = self._state
        if state is None:
            raise StaleStateError("the Crazyflie has not told its state yet")
        age = seconds(self._clock.now() - state.stamp)
        if age > self.config.state_timeout:
            raise StaleStateError(
                f"the Crazyflie's state is {age:.2f} s old, more than {self.config.state_timeout:g} s: "
                "is the link good?"
            )
        return state

    def check_estimate(self) -> CrazyflieState:
        """The newest state, if it is to be trusted.

        Raises:
            StaleStateError: It is old, its filter does not know where it is, or no poses are sent to it.
        """
        state = self.state()
        if self.config.positioning == "external":
            age = time.monotonic() - self._pose_sent_at
            if age > self.config.state_timeout:
                ever = f"for {age:.2f} s" if math.isfinite(age) else "yet"
                raise StaleStateError(
                    f"no pose was sent to the Crazyflie {ever}, by which it knows its place"
                )
        deviation = self.health.deviation
        if deviation > self.config.max_deviation:
            raise StaleStateError(
                f"the Crazyflie knows its place to {deviation:.2f} m only, not to "
                f"{self.config.max_deviation:g} m: does it see its {self.config.positioning} positioning?"
            )
        return state

    def record(self, on_sample: Callable[[FlightSample], None]) -> None:
        """Call `on_sample` with what identifies the vehicle, at the log rate, in the link's thread."""

        def on_log(milliseconds: int, values: Mapping[str, float]) -> None:
            on_sample(sample_from(values, milliseconds))

        period = 0.01 * round(100.0 / self.config.log_rate)
        self.connection.log("flight", period, FLIGHT_VARIABLES, on_log)

    def arm(self) -> None:
        """Allow the motors to turn.

        Raises:
            VehicleError: It refuses, or its battery is low.
        """
        self._check()
        self.check_estimate()
        if self.health.battery < self.config.low_battery:
            raise VehicleError(
                f"the battery has {self.health.battery:.2f} V, less than {self.config.low_battery:g} V"
            )
        self._arm(True)

    def disarm(self) -> None:
        """Forbid the motors to turn; in flight it falls."""
        self._arm(False)

    def _arm(self, wanted: bool) -> None:
        send = self.connection.client.supervisor.send_arming_request
        granted = self.connection.ask(SUPERVISOR_PORT, ARM, lambda: send(wanted))[0]
        if not granted:
            raise VehicleError(f"the Crazyflie refuses to arm: {_why_not(self.health.flags)}")
        self._wait(lambda: (Flags.ARMED in self.health.flags) == wanted, ARM_TIMEOUT, "that it is armed")

    def take_off(self, height: float, duration: float = 2.0) -> None:
        """Rise to a height [m] where it stands; returns at once, as all commands that take time."""
        checked("height and duration", height, duration)
        state = self._ready()
        goal = limited_position(self.config, np.array([*state.position[:2], height]))
        take_off = self.connection.client.high_level_commander.takeoff
        self._command(TAKE_OFF, lambda: take_off(float(goal[2]), duration, yaw=None))

    def go_to(self, position: np.ndarray, yaw: float, duration: float) -> None:
        """Fly smoothly to (3,) [m] and a yaw [rad] in some time [s], and stay there."""
        checked("yaw and duration", yaw, duration)
        self._ready()
        x, y, z = limited_position(self.config, position).tolist()
        go_to = self.connection.client.high_level_commander.go_to
        self._command(GO_TO, lambda: go_to(x, y, z, yaw, duration))

    def land(self, duration: float = 2.0) -> None:
        """Descend where it is and stop the motors. It is never refused but by a fault."""
        checked("duration", duration)
        self._check()
        self._land(duration)

    def _land(self, duration: float) -> None:
        land = self.connection.client.high_level_commander.land
        self._command(LAND, lambda: land(0.0, duration, yaw=None))

    def hold(self) -> None:
        """Stay here."""
        state = self._ready()
        yaw = 2.0 * math.atan2(state.quaternion[2], state.quaternion[3])
        self.go_to(state.position, yaw, 0.5)

    def upload(self, number: int, pieces: list[PathPiece]) -> float:
        """Upload a path under a number; its duration [s]. Paths share the memory: the last one counts."""
        check_path(self.config, pieces)
        self._check()
        client = self.connection.client
        uploaded(client, pieces)
        define = client.high_level_commander.define_trajectory
        self._command(DEFINE, lambda: define(number, 0, len(pieces)))
        return sum(piece.duration for piece in pieces)

    def follow(self, number: int, stretch: float = 1.0) -> None:
        """Fly an uploaded path where it lies; a stretch above 1 is slower."""
        checked("stretch", stretch)
        self._ready()
        start = self.connection.client.high_level_commander.start_trajectory
        self._command(FOLLOW, lambda: start(number, stretch))

    def _command(self, command: int, send: Callable[[], None]) -> None:
        """A high-level command, which the end of a stream goes before."""
        with self._lock:
            if not math.isnan(self._streamed_at):
                self.connection.client.commander.send_notify_setpoint_stop()
                self._streamed_at = math.nan
        status = self.connection.ask(HIGH_LEVEL_PORT, command, send)[2]
        if status:
            raise VehicleError(f"the Crazyflie refuses the command {command}: error {status}")

    def send_position(self, position: np.ndarray, yaw: float) -> None:
        """Setpoint: be at (3,) [m] with a yaw [rad]."""
        checked("yaw", yaw)
        x, y, z = limited_position(self.config, position).tolist()
        self._stream(lambda c, _: c.send_position_setpoint(x, y, z, math.degrees(yaw)))

    def send_velocity(self, velocity: np.ndarray, yaw_rate: float) -> None:
        """Setpoint: move with (3,) in the world [m/s], turn with a yaw rate [rad/s]."""
        checked("yaw_rate", yaw_rate)
        limited_velocity(self.config, velocity)

        def send(commander: Commander, state: CrazyflieState) -> None:
            vx, vy, vz = limited_velocity(self.config, velocity, state.position).tolist()
            commander.send_velocity_world_setpoint(vx, vy, vz, math.degrees(yaw_rate))

        self._stream(send)

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
        checked("acceleration, yaw rate and attitude", acceleration, yaw_rate, pose.quaternion)
        position = limited_position(self.config, pose.position).tolist()
        speed = limited_velocity(self.config, velocity).tolist()
        push, quaternion = acceleration.tolist(), pose.quaternion.tolist()
        # cflib's text says degrees, but the firmware takes what it sends for milliradians.
        turn = (0.0, 0.0, yaw_rate)
        self._stream(lambda c, _: c.send_full_state_setpoint(position, speed, push, quaternion, *turn))

    def send_attitude(self, roll: float, pitch: float, yaw_rate: float, thrust: float) -> None:
        """Setpoint: roll and pitch about x and y [rad], yaw rate [rad/s], thrust in [0, 1] of the largest."""
        checked("yaw_rate and thrust", yaw_rate, thrust)
        roll, pitch = limited_tilt(self.config, roll, pitch)
        angles = math.degrees(roll), math.degrees(pitch), math.degrees(yaw_rate)
        percent = 100.0 * min(max(thrust, 0.0), 1.0)
        self._stream(lambda c, _: c.send_setpoint_manual(*angles, percent, False))

    def _stream(self, send: Callable[[Commander, CrazyflieState], None]) -> None:
        state = self._ready()
        with self._lock:
            self._streamed_at = time.monotonic()
            send(self.connection.client.commander, state)

    def send_pose(self, pose: Pose) -> None:
        """Tell it where it is, with positioning "external": at 10 Hz or more."""
        checked("pose", pose.position, pose.quaternion)
        if self._fault.startswith("link"):
            return
        self._pose_sent_at = time.monotonic()
        position, quaternion = pose.position.tolist(), pose.quaternion.tolist()
        self.connection.client.extpos.send_extpose(*position, *quaternion)

    def emergency_stop(self, reason: str = "emergency stop") -> None:
        """Stop the motors at once: it falls, and has to be started anew. Never refused."""
        self._latch(reason)
        for _ in range(5):  # nothing answers it
            self.connection.client.supervisor.send_emergency_stop()
            time.sleep(0.005)

    def _ready(self) -> CrazyflieState:
        self._check()
        return self.check_estimate()

    def _check(self) -> None:
        if self._fault:
            raise RobotFaultError(self._fault)

    def _latch(self, reason: str) -> None:
        with self._lock:
            if not self._fault:
                self._fault = reason
            self._streamed_at = math.nan

    def clear_fault(self) -> None:
        """Obey again; after a lost link it connects anew.

        Raises:
            VehicleError: It still cannot be reached, or has to be started anew.
        """
        if self._fault.startswith("link"):
            self.connection.close(stop_motors=False)
            self._connect()
        flags = self.health.flags
        if Flags.LOCKED in flags:
            raise VehicleError("the Crazyflie is locked: switch it off and on")
        if Flags.CRASHED in flags:
            recover = self.connection.client.supervisor.send_crash_recovery_request
            self.connection.ask(SUPERVISOR_PORT, RECOVER, recover)
            self._wait(lambda: Flags.CRASHED not in self.health.flags, ARM_TIMEOUT, "that it has recovered")
        self._bad_since = math.nan
        self._fault = ""

    def _run(self) -> None:
        while not self._stop.wait(WATCH_PERIOD):
            if not self._fault:
                self._look()

    def _look(self) -> None:
        """Find faults, and end streams that have paused."""
        now = time.monotonic()
        connection = self.connection
        if connection.trouble or connection.silence > self.config.link_timeout:
            why = connection.trouble or f"nothing was heard for {self.config.link_timeout:g} s"
            self._latch(f"link lost: {why}")
            return
        flags = self.health.flags
        for flag in (Flags.LOCKED, Flags.CRASHED, Flags.TUMBLED):
            if flag in flags:
                self._latch(f"the Crazyflie is {flag.name.lower() if flag.name else 'down'}")
                return
        if Flags.FLYING in flags:
            self._look_at_estimate(now)
        with self._lock:
            paused = now - self._streamed_at > self.config.setpoint_timeout
            state = self._state
            if paused and state is not None:
                self._streamed_at = math.nan
                client = self.connection.client
                x, y, z = limited_position(self.config, state.position).tolist()
                yaw = 2.0 * math.atan2(state.quaternion[2], state.quaternion[3])
                client.commander.send_notify_setpoint_stop()
                client.high_level_commander.go_to(x, y, z, yaw, 0.5)

    def _look_at_estimate(self, now: float) -> None:
        try:
            self.check_estimate()
        except StaleStateError as error:
            if math.isnan(self._bad_since):
                self._bad_since = now
            elif now - self._bad_since > PATIENCE:
                self._latch(str(error))
                self._land_anyway()
        else:
            self._bad_since = math.nan

    def _land_anyway(self) -> None:
        """Land with what is known, and without a word when even that fails: the fault is latched already."""
        height = 1.0 if self._state is None else float(self._state.position[2])
        client = self.connection.client
        for _ in range(3):
            client.commander.send_notify_setpoint_stop()
            client.high_level_commander.land(0.0, max(1.0, height / LANDING_SPEED), yaw=None)

    def close(self) -> None:
        """Land if it flies, and let go of the link; one that cannot be told to land looks after itself."""
        self._stop.set()
        self._watch.join()
        reachable = not self._fault.startswith("link") and not self.connection.trouble
        if reachable and not self._fault and self.is_flying:
            try:
                self._land(CLOSING_LANDING)
                self._wait(lambda: not self.is_flying, LANDED_TIMEOUT, "that it has landed")
            except VehicleError:
                reachable = False
        self.connection.close(stop_motors=reachable and not self.is_flying)

    def __enter__(self) -> Crazyflie:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _why_not(flags: Flags) -> str:
    """Why a vehicle does not arm."""
    for flag, why in (
        (Flags.LOCKED, "it is locked: switch it off and on"),
        (Flags.CRASHED, "it has crashed: stand it upright and clear the fault"),
        (Flags.TUMBLED, "it does not stand upright"),
    ):
        if flag in flags:
            return why
    return "it is not ready yet"
