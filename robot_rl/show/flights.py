"""Flights of quadrotors, recorded to be looked at: plain arrays, wherever they were flown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.core.errors import SpecError


@dataclass(frozen=True)
class Flights:
    """k flights of one quadrotor, recorded together: n rows, the first one at time 0.

    A flight that ends early goes on in its rows with anything, numbers or NaN: `rows` says how many count.
    """

    name: str
    """What they are, for a heading: "simulator"."""
    period: float
    """Time from row to row [s]."""
    position: np.ndarray
    """(n, k, 3) in the world [m]."""
    attitude: np.ndarray
    """(n, k, 4) body to world, xyzw."""
    rotors: np.ndarray
    """(n, k, 4) speeds, as parts of the highest one."""
    reference: np.ndarray
    """(n, k, 3) where each should be [m]."""
    push: np.ndarray
    """(n, k, 3) force of the disturbance, in the world, as a part of the weight."""
    length: np.ndarray
    """(k,) rows until a flight was ended; n for one that flew to the end."""
    places: np.ndarray
    """(4, 2) where the rotors are, x and y in the body [m]."""

    def __post_init__(self) -> None:
        n, k = self.position.shape[:2]
        if n == 0 or k == 0:
            raise SpecError(f"flights {self.name!r}: at least one row and one flight, not {n} and {k}")
        wanted = {
            "position": (n, k, 3),
            "attitude": (n, k, 4),
            "rotors": (n, k, 4),
            "reference": (n, k, 3),
            "push": (n, k, 3),
            "length": (k,),
            "places": (4, 2),
        }
        for name, shape in wanted.items():
            found = getattr(self, name).shape
            if found != shape:
                raise SpecError(f"flights {self.name!r}: {name} must have the shape {shape}, not {found}")

    @property
    def count(self) -> int:
        """Number of flights, k."""
        return self.position.shape[1]

    @property
    def time(self) -> np.ndarray:
        """(n,) [s]."""
        return self.period * np.arange(len(self.position))

    @property
    def rows(self) -> np.ndarray:
        """(k,) rows that show each flight: until it was ended, or until a number is not finite."""
        parts = (self.position, self.attitude, self.rotors, self.reference, self.push)
        sound = np.logical_and.accumulate(np.all([np.isfinite(a).all(axis=-1) for a in parts], axis=0))
        return np.minimum(self.length, sound.sum(axis=0))

    @property
    def completed(self) -> np.ndarray:
        """(k,) whether a flight lasted to the end."""
        return self.rows == len(self.position)

    @property
    def distance(self) -> np.ndarray:
        """(n, k) from the reference [m]; NaN after the end of a flight."""
        shown = np.arange(len(self.position))[:, None] < self.rows
        off = np.where(shown[..., None], self.position - self.reference, np.nan)
        return np.linalg.norm(off, axis=-1)
