"""Statistics of features, as LeRobot keeps them to normalise by.

Minimum, maximum, mean, standard deviation of the population, count of frames, and quantiles; of each element
of a vector, and of each colour of pictures, as (3, 1, 1) with white at 1. Over all frames, where LeRobot's
own tools sample pictures and estimate quantiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

Stats = dict[str, np.ndarray]
"""Name of a statistic to its values."""

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
NAMES = ("min", "max", "mean", "std", "count", *QUANTILES)
_WHITE = 255


def number_stats(column: np.ndarray) -> Stats:
    """Of (n,) or (n, d) numbers: (1,) or (d,) float64 each, and the count."""
    values = column.reshape(len(column), -1).astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):  # Of what is not finite they are not finite either.
        quantiles = np.quantile(values, list(QUANTILES.values()), axis=0)
        return {
            "min": values.min(axis=0),
            "max": values.max(axis=0),
            "mean": values.mean(axis=0),
            "std": values.std(axis=0),
            "count": np.array([len(values)]),
            **dict(zip(QUANTILES, quantiles, strict=True)),
        }


class PictureStats:
    """Counts the values of pictures."""

    def __init__(self) -> None:
        self.count = 0
        """Pictures."""
        self.histogram = np.zeros((3, _WHITE + 1), np.int64)
        """(3, 256): how often each value occurs in each colour."""

    def add(self, image: np.ndarray) -> None:
        """Count (h, w, 3) uint8 RGB."""
        self.count += 1
        for colour in range(3):
            self.histogram[colour] += np.bincount(image[..., colour].reshape(-1), minlength=_WHITE + 1)

    def merge(self, other: PictureStats) -> None:
        """Count what another one has counted."""
        self.count += other.count
        self.histogram += other.histogram

    def stats(self) -> Stats:
        """(3, 1, 1) float64 each, in [0, 1], and the count."""
        levels = np.arange(_WHITE + 1) / _WHITE
        share = self.histogram / self.histogram.sum(axis=1, keepdims=True)
        mean = share @ levels
        below = np.cumsum(share, axis=1)
        present = self.histogram > 0
        values = {
            "min": levels[present.argmax(axis=1)],
            "max": levels[_WHITE - present[:, ::-1].argmax(axis=1)],
            "mean": mean,
            "std": np.sqrt((share * (levels - mean[:, None]) ** 2).sum(axis=1)),
            **{name: levels[(below < q).sum(axis=1).clip(max=_WHITE)] for name, q in QUANTILES.items()},
        }
        return {name: value.reshape(3, 1, 1) for name, value in values.items()} | {
            "count": np.array([self.count])
        }


class DatasetStats:
    """Of all features, episode after episode."""

    def __init__(self) -> None:
        self._numbers: dict[str, list[np.ndarray]] = {}
        self._pictures: dict[str, PictureStats] = {}

    def add(
        self, frames: Mapping[str, np.ndarray], pictures: Mapping[str, Sequence[np.ndarray]]
    ) -> dict[str, Stats]:
        """Take in an episode and return what it amounts to alone; text has no statistics."""
        stats = {}
        for name, column in frames.items():
            if column.dtype.kind != "U":
                self._numbers.setdefault(name, []).append(column)
                stats[name] = number_stats(column)
        for name, images in pictures.items():
            counted = PictureStats()
            for image in images:
                counted.add(image)
            self._pictures.setdefault(name, PictureStats()).merge(counted)
            stats[name] = counted.stats()
        return stats

    def total(self) -> dict[str, Stats]:
        """Of all episodes together."""
        numbers = {name: number_stats(np.concatenate(columns)) for name, columns in self._numbers.items()}
        return numbers | {name: counted.stats() for name, counted in self._pictures.items()}


def to_json(stats: Mapping[str, Stats]) -> dict[str, dict[str, list]]:
    """Feature to statistic to nested lists."""
    return {
        feature: {name: values[name].tolist() for name in NAMES} for feature, values in sorted(stats.items())
    }
