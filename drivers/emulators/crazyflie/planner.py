"""The high-level commander: paths that the vehicle flies by itself, and the memory that holds uploaded ones.

A path is a row of pieces; each has for x, y, z and yaw a polynomial of degree 7 in the time since its start.
Taking off, landing and going somewhere is one piece that begins with the position, velocity and acceleration
of now and ends at rest, without jerk at either end (Mellinger and Kumar, ICRA 2011, use the same family).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from enum import Enum

import numpy as np

from drivers.emulators.crazyflie.setpoints import Setpoint

MEMORY_SIZE = 4096
"""Of uploaded paths [bytes]."""
PIECE = struct.Struct("<33f")
"""An uploaded piece: eight coefficients for each of x, y, z, yaw, the constant first; its duration [s]."""
MAX_PATHS = 10
"""Paths that can be defined."""

_END = np.array([[math.perm(k, d) for k in range(8)] for d in range(4)], dtype=float)
_START = np.diag([math.factorial(k) for k in range(8)])[:4].astype(float)
_FROM_CONDITIONS = np.linalg.inv(np.vstack([_START, _END]))
"""From value and three derivatives at time 0 and at time 1 to the coefficients."""


@dataclass(frozen=True)
class Piece:
    """Polynomials over a stretch of time."""

    duration: float
    """[s]."""
    coefficients: np.ndarray
    """(4, 8) of x, y, z [m] and yaw [rad], the constant first."""

    def at(self, time: float) -> np.ndarray:
        """(3, 4) value, velocity and acceleration of x, y, z, yaw at this time since its start [s]."""
        powers = time ** np.arange(8.0)
        rows = np.zeros((3, 8))
        for d in range(3):
            rows[d, d:] = [math.perm(k, d) * powers[k - d] for k in range(d, 8)]
        return rows @ self.coefficients.T


def smooth_piece(start: np.ndarray, goal: np.ndarray, duration: float) -> Piece:
    """From (3, 4) value, velocity, acceleration of x, y, z, yaw to rest at `goal` (4,)."""
    scale = np.array([1.0, duration, duration**2])[:, None]
    conditions = np.zeros((8, 4))
    conditions[:3] = start * scale
    conditions[4] = goal
    coefficients = (_FROM_CONDITIONS @ conditions).T / duration ** np.arange(8.0)
    return Piece(duration, coefficients)


def straight_piece(start: np.ndarray, goal: np.ndarray, duration: float) -> Piece:
    """At constant speed from (4,) to (4,)."""
    coefficients = np.zeros((4, 8))
    coefficients[:, 0], coefficients[:, 1] = start, (goal - start) / duration
    return Piece(duration, coefficients)


class Phase(Enum):
    """What the planner is doing."""

    STOPPED = "stopped"
    """Without a path: motors off, unless setpoints are streamed."""
    FLYING = "flying"
    """On a path, or at its end."""
    LANDING = "landing"
    """On a path at whose end the motors stop."""


class Planner:
    """Follows paths. Times are the firmware's [s]."""

    def __init__(self) -> None:
        self.memory = bytearray(MEMORY_SIZE)
        self.phase = Phase.STOPPED
        self._defined: dict[int, tuple[int, int]] = {}
        self._pieces: list[Piece] = []
        self._begun = 0.0
        self._stretch = 1.0
        self._reversed = False

    @property
    def is_active(self) -> bool:
        """Whether it flies the vehicle."""
        return self.phase in (Phase.FLYING, Phase.LANDING)

    def is_finished(self, now: float) -> bool:
        """Whether it is at the end of its path."""
        return not self.is_active or now - self._begun >= self._duration

    @property
    def _duration(self) -> float:
        return self._stretch * sum(piece.duration for piece in self._pieces)

    def stop(self) -> None:
        """Forget the path."""
        self.phase, self._pieces = Phase.STOPPED, []

    def go_to(
        self, now: float, start: np.ndarray, goal: np.ndarray, duration: float, straight: bool = False
    ) -> None:
        """Fly to x, y, z, yaw and stay.

        Args:
            now: [s].
            start: (3, 4) where it is and how it moves.
            goal: (4,) [m] and [rad].
            duration: [s].
            straight: At constant speed.
        """
        goal = goal.copy()
        goal[3] = start[0, 3] + math.remainder(goal[3] - start[0, 3], 2.0 * math.pi)
        piece = straight_piece(start[0], goal, duration) if straight else smooth_piece(start, goal, duration)
        self._begin(now, [piece], Phase.FLYING)

    def land(self, now: float, start: np.ndarray, height: float, yaw: float, duration: float) -> None:
        """Descend where it is, then stop the motors."""
        goal = np.array([start[0, 0], start[0, 1], height, yaw])
        self.go_to(now, start, goal, duration)
        self.phase = Phase.LANDING

    def define(self, number: int, offset: int, pieces: int) -> bool:
        """Give a number to a path in memory; whether it lies in memory."""
        if number >= MAX_PATHS or pieces < 1 or offset + pieces * PIECE.size > len(self.memory):
            return False
        self._defined[number] = (offset, pieces)
        return True

    def follow(
        self,
        now: float,
        number: int,
        stretch: float,
        backwards: bool = False,
        start: np.ndarray | None = None,
        turned: bool = False,
    ) -> bool:
        """Fly a defined path; whether there is one that can be flown.

        Args:
            now: [s].
            number: Of the path.
            stretch: How much slower than it was defined.
            backwards: From its end to its start.
            start: (4,) x, y, z, yaw that the path is moved to; None leaves it where it is.
            turned: Whether the path is turned to that yaw too.
        """
        if number not in self._defined or not 0.0 < stretch < math.inf:
            return False
        offset, count = self._defined[number]
        pieces = []
        for i in range(count):
            values = np.array(PIECE.unpack_from(self.memory, offset + i * PIECE.size))
            if not np.isfinite(values).all() or values[32] <= 0.0:
                return False
            pieces.append(Piece(float(values[32]), values[:32].reshape(4, 8)))
        if start is not None:
            pieces = _moved(pieces, start, backwards, turned)
        self._begin(now, pieces, Phase.FLYING, stretch, backwards)
        return True

    def _begin(
        self, now: float, pieces: list[Piece], phase: Phase, stretch: float = 1.0, backwards: bool = False
    ) -> None:
        self._pieces, self._begun, self.phase = pieces, now, phase
        self._stretch, self._reversed = stretch, backwards

    def reference(self, now: float) -> np.ndarray:
        """(3, 4) value, velocity and acceleration of x, y, z, yaw; the end of the path once it is over."""
        elapsed = min(max(now - self._begun, 0.0), self._duration)
        over = now - self._begun >= self._duration
        time = elapsed / self._stretch
        if self._reversed:
            time = self._duration / self._stretch - time
        for piece in self._pieces[:-1]:
            if time <= piece.duration:
                break
            time -= piece.duration
        else:
            piece = self._pieces[-1]
        values = piece.at(min(time, piece.duration))
        sign = -1.0 if self._reversed else 1.0
        values[1] *= 0.0 if over else sign / self._stretch
        values[2] *= 0.0 if over else 1.0 / self._stretch**2
        return values

    def setpoint(self, now: float) -> Setpoint:
        """Where to be now; for an active planner. After a landing it stops."""
        if self.phase is Phase.LANDING and self.is_finished(now):
            self.stop()
        if not self.is_active:
            return Setpoint()
        (x, y, z, yaw), (vx, vy, vz, rate), (ax, ay, az, _) = self.reference(now).tolist()
        return Setpoint((x, y, z), (vx, vy, vz), (ax, ay, az), yaw, rate)


def _moved(pieces: list[Piece], start: np.ndarray, backwards: bool, turned: bool) -> list[Piece]:
    """The path, moved so that it starts in x, y, z (and at the yaw) of `start`."""
    first = pieces[-1].at(pieces[-1].duration)[0] if backwards else pieces[0].at(0.0)[0]
    angle = float(start[3] - first[3]) if turned else 0.0
    c, s = math.cos(angle), math.sin(angle)
    turn = np.eye(4)
    turn[:2, :2] = [[c, -s], [s, c]]
    shift = start - turn @ first
    shift[3] = angle
    moved = []
    for piece in pieces:
        coefficients = turn @ piece.coefficients
        coefficients[:, 0] += shift
        moved.append(Piece(piece.duration, coefficients))
    return moved
