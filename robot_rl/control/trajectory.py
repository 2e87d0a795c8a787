"""Minimum-jerk trajectories between two rests, in joint and in Cartesian space.

The path parameter s goes from 0 to 1 in the time T with zero velocity and acceleration at both ends
(Flash and Hogan, J. Neuroscience 5(7), 1985):

    s(t) = 10 x^3 - 15 x^4 + 6 x^5,    x = t / T

Its speed is at most 15/8 / T (at T / 2), its acceleration at most 10 / sqrt(3) / T^2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robot_rl.core.frames import conjugate, multiply, rotation_vector, slerp
from robot_rl.core.types import Pose

PEAK_SPEED = 15.0 / 8.0
"""Largest ds/dx."""


def minimum_jerk(x: float) -> float:
    """S at the fraction `x` of the duration; 0 before the start and 1 after the end."""
    x = min(max(x, 0.0), 1.0)
    return x**3 * (10.0 - 15.0 * x + 6.0 * x * x)


@dataclass(frozen=True, slots=True)
class JointTrajectory:
    """From rest to rest in joint space."""

    start: np.ndarray
    """(n,) [rad]."""
    goal: np.ndarray
    """(n,) [rad]."""
    duration: float
    """[s]."""

    @classmethod
    def within(cls, start: np.ndarray, goal: np.ndarray, speed: np.ndarray | float) -> JointTrajectory:
        """The fastest one with every joint below `speed` [rad/s]."""
        duration = PEAK_SPEED * float(np.max(np.abs(goal - start) / speed))
        return cls(start, goal, duration)

    def at(self, time: float) -> np.ndarray:
        """(n,) joint positions [rad] at `time` [s] after the start."""
        return self.start + _progress(time, self.duration) * (self.goal - self.start)


@dataclass(frozen=True, slots=True)
class CartesianTrajectory:
    """From rest to rest along a line, turning about one axis."""

    start: Pose
    goal: Pose
    duration: float
    """[s]."""

    @classmethod
    def within(
        cls, start: Pose, goal: Pose, linear_speed: float, angular_speed: float
    ) -> CartesianTrajectory:
        """The fastest one below both speeds [m/s] and [rad/s]."""
        turn = rotation_vector(multiply(goal.quaternion, conjugate(start.quaternion)))
        linear = math.dist(start.position, goal.position) / linear_speed
        angular = math.sqrt(float(turn @ turn)) / angular_speed
        return cls(start, goal, PEAK_SPEED * max(linear, angular))

    def at(self, time: float) -> Pose:
        """The pose at `time` [s] after the start."""
        s = _progress(time, self.duration)
        position = self.start.position + s * (self.goal.position - self.start.position)
        return Pose(position, slerp(self.start.quaternion, self.goal.quaternion, s))


def _progress(time: float, duration: float) -> float:
    return minimum_jerk(time / duration) if duration > 0.0 else 1.0
