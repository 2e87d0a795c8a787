"""Policies that need no weights: stand still, or act at random."""

from __future__ import annotations

import numpy as np

from robot_rl.core.spec import ArraySpec, Observation


class HoldStill:
    """Commands zero: the robot keeps its target."""

    version = 0

    def __init__(self, action: ArraySpec) -> None:
        self._zero = np.zeros(action.shape, np.float32)

    def __call__(self, observation: Observation, rng: np.random.Generator | None) -> np.ndarray:
        """(a,) zeros."""
        return self._zero.copy()


class RandomPolicy:
    """Uniform in [-1, 1] with a generator; holds without one, because its mean action is zero."""

    version = 0

    def __init__(self, action: ArraySpec) -> None:
        self._shape = action.shape

    def __call__(self, observation: Observation, rng: np.random.Generator | None) -> np.ndarray:
        """(a,) float32 in [-1, 1]."""
        if rng is None:
            return np.zeros(self._shape, np.float32)
        return rng.uniform(-1.0, 1.0, self._shape).astype(np.float32)
