"""Flights to look at, made up: circles around a moving reference."""

from __future__ import annotations

import numpy as np

from robot_rl.show.flights import Flights


def flights_of(steps: int, count: int, name: str = "made up", period: float = 0.01) -> Flights:
    """Flights that all last to the end, each at a distance of its own: 10 cm, 20 cm, and so on."""
    t = period * np.arange(steps)[:, None]
    angle = t + np.arange(count)
    still = np.zeros((steps, count))
    reference = np.stack([np.cos(t) + still, np.sin(2 * t) / 2 + still, still], axis=-1)
    circle = np.stack([np.cos(3 * angle), np.sin(3 * angle), still], axis=-1)
    tilt = 0.2 * np.sin(angle)
    return Flights(
        name=name,
        period=period,
        position=reference + 0.1 * np.arange(1, count + 1)[:, None] * circle,
        attitude=np.stack([np.sin(tilt / 2), still, still, np.cos(tilt / 2)], axis=-1),
        rotors=0.5 + 0.1 * np.stack([np.sin(angle + k) for k in range(4)], axis=-1),
        reference=reference,
        push=0.05 * circle,
        length=np.full(count, steps),
        places=0.028 * np.array([[1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]),
    )
