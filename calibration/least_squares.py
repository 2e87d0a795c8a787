"""Nonlinear least squares with outliers, what is known before, and an honest uncertainty.

Gauss-Newton steps with a Jacobian by central differences. The residuals come in groups of different units,
each weighted by its own noise; what is known before joins as rows of its own. The uncertainty is that of a
bootstrap over blocks of `BLOCK` seconds (Künsch, Annals of Statistics 1989), one step each, because residuals
that follow each other are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from robot_rl.core.errors import LogError

BLOCK = 0.5
"""Length of a block of the bootstrap [s]."""
REPLICATES = 300
"""Of the bootstrap."""
ITERATIONS = 30
"""Most Gauss-Newton steps."""
OUTLIER = 6.0
"""Residuals beyond this many standard deviations are left out."""

Residuals = tuple[tuple[np.ndarray, np.ndarray], ...]
"""For each group the residuals, and when each was measured [s]."""


@dataclass(frozen=True)
class Guess:
    """What is known before."""

    value: float
    """The value to start from."""
    std: float = float("inf")
    """Its standard deviation; infinite where nothing is known."""

    def scaled(self, unit: float) -> Guess:
        """The same in another unit."""
        return Guess(self.value / unit, self.std / unit)


class Fit(NamedTuple):
    """A minimum."""

    x: np.ndarray
    """(n,) where it is."""
    std: np.ndarray
    """(n,) standard deviations."""
    noises: tuple[float, ...]
    """Root mean square of each group's residuals, without the outliers."""
    kept: tuple[np.ndarray, ...]
    """For each group, which residuals are no outliers."""


def minimised(
    residuals: Callable[[np.ndarray], Residuals],
    start: np.ndarray,
    least: np.ndarray,
    priors: Mapping[int, Guess],
    seed: int,
) -> Fit:
    """Find the minimum.

    Args:
        residuals: Of (n,) unknowns, which are scaled so that all are of the order of 1.
        start: (n,) where to begin.
        least: (n,) bounds from below.
        priors: What is known before, by the unknown's place.
        seed: Of the bootstrap.

    Raises:
        LogError: There is no minimum: the residuals do not tell the unknowns.
    """
    x = start
    known = np.zeros((len(priors), len(start)))
    aim = np.array([guess.value / guess.std for guess in priors.values()])
    for row, (place, guess) in enumerate(priors.items()):
        known[row, place] = 1.0 / guess.std
    step_size = np.inf
    for _ in range(ITERATIONS):
        matrix, weighted, *_ = _linearised(residuals, x)
        rows = np.vstack([matrix, known])
        step = np.linalg.lstsq(rows, -np.concatenate([weighted, known @ x - aim]), rcond=None)[0]
        x = np.maximum(x + np.clip(step, -0.5, 0.5), least)
        step_size = float(np.abs(step).max())
        if step_size < 1e-6:
            break
    if step_size > 1e-2:
        raise LogError("the flights do not tell what the quadrotor is: fly longer, and with more motion")
    matrix, weighted, noises, kept = _linearised(residuals, x)
    times = np.concatenate([times for _, times in residuals(x)])
    std = _bootstrap(matrix, weighted, (times / BLOCK).astype(int), known, seed)
    return Fit(x, std, noises, kept)


def _linearised(
    residuals: Callable[[np.ndarray], Residuals], x: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...], tuple[np.ndarray, ...]]:
    """The linear problem at `x`: Jacobian and residuals in units of their noise, outliers 0; noises; kept."""
    noises, kept = zip(*(_scatter(group) for group, _ in residuals(x)), strict=True)
    weights = np.concatenate([k / noise for k, noise in zip(kept, noises, strict=True)])

    def weighted(at: np.ndarray) -> np.ndarray:
        return np.concatenate([group for group, _ in residuals(at)]) * weights

    columns = []
    for i in range(len(x)):
        shift = np.zeros(len(x))
        shift[i] = 1e-4 * max(abs(x[i]), 1e-2)
        columns.append((weighted(x + shift) - weighted(x - shift)) / (2.0 * shift[i]))
    return np.column_stack(columns), weighted(x), noises, kept


def _scatter(residual: np.ndarray) -> tuple[float, np.ndarray]:
    """Root mean square of what is no outlier, and what that is, by the median of the absolute values."""
    kept = np.abs(residual) <= OUTLIER * 1.4826 * float(np.median(np.abs(residual))) + 1e-12
    return max(float(np.sqrt(np.mean(residual[kept] ** 2))), 1e-12), kept


def _bootstrap(
    matrix: np.ndarray, weighted: np.ndarray, blocks: np.ndarray, known: np.ndarray, seed: int
) -> np.ndarray:
    """(n,) standard deviations."""
    rng = np.random.default_rng(seed)
    _, index = np.unique(blocks, return_inverse=True)
    count, unknowns = int(index.max()) + 1, matrix.shape[1]
    # Sums over each block once, so that a replicate costs next to nothing.
    normal = np.zeros((count, unknowns, unknowns))
    right = np.zeros((count, unknowns))
    for block in range(count):
        rows = index == block
        normal[block] = matrix[rows].T @ matrix[rows]
        right[block] = matrix[rows].T @ weighted[rows]
    steps = []
    for _ in range(REPLICATES):
        times = rng.multinomial(count, np.full(count, 1.0 / count))
        # What was known before is drawn anew too: its error is one for all samples.
        error = known.T @ rng.normal(size=len(known))
        total = np.tensordot(times, normal, 1) + known.T @ known
        steps.append(np.linalg.lstsq(total, -(times @ right) - error, rcond=None)[0])
    return np.std(np.array(steps), axis=0)
