"""What is in a data set, in numbers: arrays, lengths, outcomes, who acted, labels, pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from robot_rl.core.clock import NANOSECONDS
from robot_rl.core.spec import ArraySpec
from robot_rl.core.types import Mode, Source, Transition
from robot_rl.data.dataset import Dataset
from robot_rl.data.episode_log import EpisodeInfo
from robot_rl.data.frame_labels import key_answers
from robot_rl.data.images import picture_stamps

GRIPPER_THRESHOLD = 0.5
"""An action closes the gripper below minus this and opens it above; between them it stays as it is."""


@dataclass(frozen=True)
class ArrayStatistics:
    """Of one array over all steps: by element, or of all elements together for features and images."""

    count: int
    """Steps."""
    minimum: list[float]
    """In the array's unit, as are the others."""
    maximum: list[float]
    mean: list[float]
    deviation: list[float]
    """Standard deviation, with divisor `count` times the elements that were put together."""


@dataclass(frozen=True)
class LengthStatistics:
    """Of the lengths of episodes [steps]."""

    minimum: int
    median: float
    mean: float
    maximum: int


@dataclass(frozen=True)
class ModeStatistics:
    """Of the episodes of one mode."""

    episodes: int
    successes: int
    unfinished: int
    """Episodes without a result: given up, or their writer was killed."""
    length: LengthStatistics | None
    """Of the episodes with a result; None when there is none."""

    @property
    def success_rate(self) -> float | None:
        """Of the episodes with a result; None when there is none."""
        finished = self.episodes - self.unfinished
        return self.successes / finished if finished else None


@dataclass(frozen=True)
class CameraStatistics:
    """Of the pictures of one camera."""

    frames: int
    rate: float
    """Pictures a second, from the median time between two of them [Hz]; 0 when no episode has two."""
    without: tuple[int, ...]
    """Indices of the episodes that have no picture of it."""


@dataclass(frozen=True)
class DatasetStatistics:
    """What `measure` found."""

    task: str
    episodes: int
    transitions: int
    modes: dict[str, ModeStatistics]
    """Mode to its episodes, for the modes that occur."""
    sources: dict[str, int]
    """Who acted to the number of transitions."""
    human_share: float | None
    """Share of the transitions in which a person acted, scripted or not; None without transitions."""
    gripper_switches: int
    """How often an action opened or closed the gripper after another one had done the opposite."""
    key_labels: dict[int, int]
    """Stage of the key that the person held to the number of answers; 0: "not reached"."""
    corrected_frames: int
    """Frames labelled by hand afterwards."""
    cameras: dict[str, CameraStatistics] = field(default_factory=dict)
    """Of each camera that was logged or that the spec names."""
    arrays: dict[str, ArrayStatistics] = field(default_factory=dict)
    """Of each observation array, "action" and "reward"."""

    def to_json(self) -> dict[str, Any]:
        """A JSON form with the derived rates; the keys of a dict become text there."""
        data = asdict(self)
        for mode, found in self.modes.items():
            data["modes"][mode]["success_rate"] = found.success_rate
        return data


class RunningStatistics:
    """Minimum, maximum, mean and deviation of what comes in batches.

    Means and sums of squares of two parts are joined after Chan, Golub and LeVeque (1979):
    M2 = M2_a + M2_b + (mean_b - mean_a)^2 n_a n_b / (n_a + n_b). That loses no digits to a large mean.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._low = self._high = self._mean = self._squares = np.zeros(0)

    def add(self, batch: np.ndarray) -> None:
        """Take in (n, elements); n at least 1."""
        values = np.asarray(batch, np.float64)
        rows, mean = len(values), values.mean(axis=0)
        squares = ((values - mean) ** 2).sum(axis=0)
        low, high = values.min(axis=0), values.max(axis=0)
        if not self._rows:
            self._rows, self._low, self._high, self._mean, self._squares = rows, low, high, mean, squares
            return
        total, apart = self._rows + rows, mean - self._mean
        self._squares = self._squares + squares + apart**2 * self._rows * rows / total
        self._mean = self._mean + apart * rows / total
        self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)
        self._rows = total

    def result(self, count: int) -> ArrayStatistics:
        """What was found, in `count` steps."""
        deviation = np.sqrt(self._squares / max(self._rows, 1))
        columns = (self._low, self._high, self._mean, deviation)
        return ArrayStatistics(count, *(column.tolist() for column in columns))


def measure(dataset: Dataset) -> DatasetStatistics:
    """Read a data set, an episode at a time, and count."""
    running: dict[str, RunningStatistics] = {}
    sources: Counter[Source] = Counter()
    keys: Counter[int] = Counter()
    switches, corrected = 0, 0
    tracks: list[dict[str, np.ndarray]] = []
    for episode in dataset.episodes:
        rows = dataset.transitions(episode)
        sources.update(row.source for row in rows)
        switches += gripper_switches(dataset.spec.action, rows)
        _add(running, dataset, rows)
        keys.update(label for label in key_answers(episode).values() if label >= 0)
        corrected += len({i for c in dataset.corrections(episode) for i in range(c.first, c.last + 1)})
        tracks.append(picture_stamps(episode.path))
    steps = sources.total()
    return DatasetStatistics(
        task=dataset.spec.name,
        episodes=len(dataset),
        transitions=steps,
        modes={mode.value: found for mode in Mode if (found := _mode(dataset, mode)).episodes},
        sources={source.name: sources[source] for source in Source if sources[source]},
        human_share=1.0 - sources[Source.POLICY] / steps if steps else None,
        gripper_switches=switches,
        key_labels=dict(sorted(keys.items())),
        corrected_frames=corrected,
        cameras=_cameras(dataset, tracks),
        arrays={name: found.result(steps) for name, found in running.items()},
    )


def gripper_switches(action: ArraySpec, rows: Sequence[Transition]) -> int:
    """How often the actions of an episode switch the gripper; 0 where no element is called "gripper"."""
    if "gripper" not in action.names:
        return 0
    values = np.array([row.action[action.names.index("gripper")] for row in rows])
    commands = np.sign(values[np.abs(values) > GRIPPER_THRESHOLD])
    return int((np.diff(commands) != 0).sum())


def _add(running: dict[str, RunningStatistics], dataset: Dataset, rows: Sequence[Transition]) -> None:
    if not rows:
        return
    for name, array in dataset.spec.observation.entries:
        stacked = np.stack([row.observation[name] for row in rows])
        whole = bool(array.encoder) or len(array.shape) > 1
        running.setdefault(name, RunningStatistics()).add(stacked.reshape(-1, 1 if whole else array.size))
    running.setdefault("action", RunningStatistics()).add(np.stack([row.action for row in rows]))
    running.setdefault("reward", RunningStatistics()).add(np.array([[row.reward] for row in rows]))


def _mode(dataset: Dataset, mode: Mode) -> ModeStatistics:
    infos = [info for info in dataset.episodes if info.episode.mode is mode]
    results = [info.result for info in infos if info.result is not None]
    lengths = [result.steps for result in results]
    return ModeStatistics(
        episodes=len(infos),
        successes=sum(result.success for result in results),
        unfinished=len(infos) - len(results),
        length=_lengths(lengths) if lengths else None,
    )


def _lengths(steps: list[int]) -> LengthStatistics:
    return LengthStatistics(min(steps), float(np.median(steps)), float(np.mean(steps)), max(steps))


def _cameras(dataset: Dataset, tracks: Sequence[dict[str, np.ndarray]]) -> dict[str, CameraStatistics]:
    names = dict.fromkeys((*dataset.cameras, *(camera for track in tracks for camera in track)))
    return {camera: _camera(dataset.episodes, [t.get(camera) for t in tracks]) for camera in names}


def _camera(infos: Sequence[EpisodeInfo], tracks: Sequence[np.ndarray | None]) -> CameraStatistics:
    found = [stamps for stamps in tracks if stamps is not None]
    gaps = [np.diff(stamps) for stamps in found if len(stamps) > 1]
    rate = NANOSECONDS / float(np.median(np.concatenate(gaps))) if gaps else 0.0
    without = [i.episode.index for i, stamps in zip(infos, tracks, strict=True) if stamps is None]
    return CameraStatistics(sum(map(len, found)), round(rate, 3), tuple(without))
