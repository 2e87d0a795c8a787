"""Limits of what a Crazyflie is asked for: they hold for every command, whoever gives it."""

from __future__ import annotations

import math

import numpy as np

from drivers.crazyflie.settings import CrazyflieConfig
from robot_rl.core.errors import InvalidActionError

PEAK = 35.0 / 16.0
"""Highest over mean speed on the firmware's polynomial of degree 7 from rest to rest."""

EDGE = 0.1
"""Around the box, where a vehicle on the floor may believe itself to be [m]."""


def checked(what: str, *values: float | np.ndarray) -> None:
    """Raise `InvalidActionError` for numbers that are not finite."""
    if not all(np.isfinite(value).all() for value in values):
        raise InvalidActionError(f"{what} must be finite, not {', '.join(map(str, values))}")


def limited_position(config: CrazyflieConfig, position: np.ndarray) -> np.ndarray:
    """(3,) inside the box [m]."""
    _has_shape("a position", position, 3)
    return np.clip(position, config.lowest, config.highest)


def limited_velocity(
    config: CrazyflieConfig, velocity: np.ndarray, position: np.ndarray | None = None
) -> np.ndarray:
    """(3,) not faster than allowed, and never further out of the box [m/s].

    Args:
        config: The limits.
        velocity: (3,) wanted, in the world.
        position: (3,) where the vehicle is; None leaves the box out.
    """
    _has_shape("a velocity", velocity, 3)
    speed = math.sqrt(float(velocity @ velocity))
    if speed > config.max_speed:
        velocity = velocity * (config.max_speed / speed)
    if position is not None:
        velocity = np.where(position <= config.lowest, np.maximum(velocity, 0.0), velocity)
        velocity = np.where(position >= config.highest, np.minimum(velocity, 0.0), velocity)
    return velocity


def check_inside(config: CrazyflieConfig, position: np.ndarray) -> None:
    """Raise `InvalidActionError` for a vehicle at (3,) [m] that has left the box by more than `EDGE`."""
    if (position < np.array(config.lowest) - EDGE).any() or (
        position > np.array(config.highest) + EDGE
    ).any():
        raise InvalidActionError(
            f"the vehicle is at {position.round(2).tolist()} m, outside the box from {config.lowest} to "
            f"{config.highest} m, where no tilt is commanded: send a position or a velocity"
        )


def limited_tilt(config: CrazyflieConfig, roll: float, pitch: float) -> tuple[float, float]:
    """Roll and pitch not steeper than allowed [rad]."""
    checked("roll and pitch", roll, pitch)
    limit = config.max_tilt
    return min(max(roll, -limit), limit), min(max(pitch, -limit), limit)


def limited_duration(config: CrazyflieConfig, start: np.ndarray, goal: np.ndarray, duration: float) -> float:
    """A duration in which the firmware flies from (3,) to (3,) [m] not faster than allowed [s]."""
    checked("duration", duration)
    if duration <= 0.0:
        raise InvalidActionError(f"duration must be more than 0 s, not {duration}")
    return max(duration, PEAK * math.dist(start, goal) / config.max_speed)


def _has_shape(what: str, value: np.ndarray, size: int) -> None:
    if np.shape(value) != (size,):
        raise InvalidActionError(f"{what} has {size} components, not the shape {np.shape(value)}")
    checked(what, value)
