"""Who commands the vehicle: streamed setpoints, or the high-level commander.

A streamed setpoint takes the vehicle from the high-level commander, whose path is then forgotten, and keeps
it until the client gives it back ("notify stop"). A vehicle that is given back to a high-level commander
without a path stops its motors, as with the firmware. What happens to one that is not heard of again is the
fail-safe of `supervisor`.
"""

from __future__ import annotations

import errno
import math
import struct

import numpy as np

from drivers.emulators.crazyflie.planner import Phase, Planner
from drivers.emulators.crazyflie.setpoints import (
    STOP,
    Setpoint,
    decode_generic,
    decode_roll_pitch,
    levelled,
)
from drivers.emulators.crazyflie.supervisor import WARNING_AGE, FailSafe, Mode
from drivers.emulators.crazyflie.vehicle import VehicleState
from robot_rl.core.frames import matrix_from_quaternion

SILENCE = 1.0
"""A link without any packet for this long is lost [s]: clients send a ping ten times a second."""
HOLD_TIME = 1.0
"""A vehicle that lands for want of commands goes on for this long before [s]."""
DESCENT = 0.3
"""Twice the mean speed of such a landing, and near its highest [m/s]."""
OK = 0
BUSY = 1
"""Answer to a landing while it lands, and to taking off while it flies."""

_TAKE_OFF = struct.Struct("<Bff?f")
_GO_TO = struct.Struct("<BBfffff")
_GO_TO_2 = struct.Struct("<BBBfffff")
_START = struct.Struct("<BBBBf")
_START_2 = struct.Struct("<BBBBBf")
_DEFINE = struct.Struct("<BBBIB")


class Commander:
    """Holds the setpoint in force. Times are the firmware's [s]."""

    def __init__(self, fail_safe: FailSafe) -> None:
        self.fail_safe: FailSafe = fail_safe
        self.planner = Planner()
        self.rate_mode: tuple[bool, bool] = (False, False)
        """Whether roll and pitch of the port 3 are rates."""
        self._streamed = STOP
        self._streamed_at = -math.inf
        self._streaming = False
        self._alone_since = math.nan
        self._unlocked = False
        self._height = 0.0

    def roll_pitch(self, data: bytes, now: float) -> None:
        """Port 3. As in the firmware, thrust counts only after a packet with none."""
        setpoint = decode_roll_pitch(data, self.rate_mode)
        if setpoint is not None:
            self._unlocked = self._unlocked or setpoint.stops
            self._stream(setpoint if self._unlocked else STOP, now)

    def generic(self, channel: int, data: bytes, now: float) -> None:
        """Port 7: a setpoint, or on channel 1 the word that no more will come."""
        if channel == 1:
            if data[:1] == b"\0":
                self._streaming = False
            return
        setpoint = decode_generic(data)
        if setpoint is not None:
            self._stream(setpoint, now)

    def _stream(self, setpoint: Setpoint, now: float) -> None:
        self._streamed, self._streamed_at, self._streaming = setpoint, now, True
        self._alone_since = math.nan
        self.planner.stop()

    def high_level(self, data: bytes, now: float, state: VehicleState) -> int:
        """Port 8; the status that is answered."""
        self._alone_since = math.nan
        command, rest = (data[0], data[1:]) if data else (-1, b"")
        if command == 3:
            self._streaming = False
            self.planner.stop()
            return OK
        if command == 0:
            return OK  # one vehicle is in every group
        if command == 6 and len(rest) == _DEFINE.size:
            number, _, kind, offset, pieces = _DEFINE.unpack(rest)
            # Of the compressed form there is no reader here.
            return OK if kind == 0 and self.planner.define(number, offset, pieces) else errno.ENOEXEC
        start = self._start(now, state)
        if command in (7, 8) and len(rest) == _TAKE_OFF.size:
            _, height, yaw, keep_yaw, duration = _TAKE_OFF.unpack(rest)
            if not _sensible(duration, height, yaw):
                return errno.ENOEXEC
            yaw = float(start[0, 3]) if keep_yaw else yaw
            if self.planner.phase is Phase.LANDING if command == 8 else self.planner.is_active:
                return BUSY
            if command == 8:
                self.planner.land(now, start, height, yaw, duration)
            else:
                goal = np.array([start[0, 0], start[0, 1], height, yaw])
                self.planner.go_to(now, start, goal, duration)
            return OK
        if command in (4, 12):
            layout = _GO_TO if command == 4 else _GO_TO_2
            if len(rest) != layout.size:
                return errno.ENOEXEC
            _, relative, *straight, x, y, z, yaw, duration = layout.unpack(rest)
            if not _sensible(duration, x, y, z, yaw):
                return errno.ENOEXEC
            goal = np.array([x, y, z, yaw]) + (start[0] if relative else 0.0)
            self.planner.go_to(now, start, goal, duration, bool(straight and straight[0]))
            return OK
        if command in (5, 13):
            layout = _START if command == 5 else _START_2
            if len(rest) != layout.size:
                return errno.ENOEXEC
            _, relative, *turned, backwards, number, stretch = layout.unpack(rest)
            moved = start[0] if relative or any(turned) else None
            granted = self.planner.follow(now, number, stretch, bool(backwards), moved, any(turned))
            return OK if granted else errno.ENOENT
        return errno.ENOEXEC

    def _start(self, now: float, state: VehicleState) -> np.ndarray:
        """(3, 4) from where a path begins: the reference of the one under way, or the vehicle at rest."""
        if self.planner.is_active:
            return self.planner.reference(now)
        start = np.zeros((3, 4))
        start[0] = [*state.position, _heading(state)]
        start[1, :3] = state.velocity
        return start

    def _hold(self, now: float, state: VehicleState) -> None:
        start = self._start(now, state)
        start[1:] = 0.0
        self.planner.go_to(now, start, start[0], 0.1)

    def update(self, now: float, heard_at: float, state: VehicleState, flying: bool) -> float:
        """Look after a vehicle that nobody commands; the age of the setpoint in force [s].

        Args:
            now: [s].
            heard_at: When the last packet came [s].
            state: The estimate.
            flying: Whether it is in the air.
        """
        if self._streaming:
            age = now - self._streamed_at
            if age <= WARNING_AGE or self.fail_safe == "stock" or not flying or self._streamed.stops:
                return age
            self._streaming, self._alone_since = False, now
            self._hold(now, state)
        deserted = now - self._alone_since > HOLD_TIME or now - heard_at > SILENCE + HOLD_TIME
        if flying and deserted and self.fail_safe == "land" and self.planner.phase is Phase.FLYING:
            start = self._start(now, state)
            duration = max(1.0, 2.0 * float(start[0, 2]) / DESCENT)
            self.planner.land(now, start, 0.0, float(start[0, 3]), duration)
        return 0.0

    def setpoint(self, now: float, mode: Mode, state: VehicleState) -> Setpoint:
        """What the controller shall do now."""
        if mode is Mode.OFF:
            return STOP
        if not self._streaming:
            return self.planner.setpoint(now)
        if mode is Mode.LEVEL:
            return levelled(self._streamed, self._height)
        self._height = float(state.position[2])
        return self._streamed

    def shut_down(self) -> None:
        """The motors may not turn: forget everything that flies."""
        self.planner.stop()
        self._streaming, self._streamed, self._unlocked = False, STOP, False
        self._alone_since = math.nan


def _heading(state: VehicleState) -> float:
    forward = matrix_from_quaternion(state.quaternion)[:, 0]
    return math.atan2(float(forward[1]), float(forward[0]))


def _sensible(duration: float, *goal: float) -> bool:
    return 0.0 < duration < math.inf and all(math.isfinite(value) for value in goal)
