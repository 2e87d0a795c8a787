"""A data set: the episodes of one or more runs that share a spec, in a kept order.

It is a view of episode logs and owns no file. `digest` names its contents, so that two machines, or a run's
summary and a folder of logs, can tell whether they mean the same data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np

from robot_rl.core.errors import DatasetError, LogError, SpecError
from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import Key, Mode, StampedImage, Transition
from robot_rl.data.codec import TransitionCodec
from robot_rl.data.episode_log import EpisodeInfo, attempt_of
from robot_rl.data.frame_labels import CORRECTIONS, Correction, key_answers, load_corrections
from robot_rl.data.images import images, logged_cameras
from robot_rl.data.views import Outcome, assigned, ended, episodes

_DIGITS = 16
"""Hexadecimal digits of a digest, as many as a spec's has."""


@dataclass(frozen=True, eq=False)
class CameraTrack:
    """The pictures of one camera over an episode, oldest first."""

    stamps: np.ndarray
    """(n,) int64: exposures [ns]."""
    images: list[np.ndarray]
    """n pictures, each (h, w, 3) uint8 RGB."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Episodes of one spec. Make it with `Dataset.open`; it does not change when the folders do."""

    spec: EnvSpec
    """Of every episode; the name is the first one's."""
    episodes: tuple[EpisodeInfo, ...]
    """In the order of the paths that were opened, within a path in the order of their index."""
    _logs: tuple[EpisodeInfo, ...] = field(repr=False)
    """All logs that were opened: transitions that were sent again lie in the logs of other episodes too."""

    @classmethod
    def open(
        cls, *paths: Path | str, modes: Collection[Mode] = tuple(Mode), outcome: Outcome | None = None
    ) -> Dataset:
        """Open logs as one data set.

        Args:
            paths: Run directories, folders of logs, or single logs. Logs of killed writers count as far as
                they go.
            modes: Only episodes of these modes.
            outcome: Only episodes that ended like this; None: all.

        Raises:
            DatasetError: The logs are of different specs, one is named twice, or none is there.
        """
        logs: dict[Path, EpisodeInfo] = {}
        for path in map(Path, paths):
            for info in _episodes(path):
                if info.path.resolve() in logs:
                    raise DatasetError(f"{info.path} is named twice: give each log, or its folder, once")
                logs[info.path.resolve()] = info
        if not logs:
            raise DatasetError("a data set needs a run directory, a folder of logs or a log")
        first, *others = logs.values()
        for info in others:
            try:
                first.spec.check_same(info.spec, str(first.path), str(info.path))
            except SpecError as error:
                raise DatasetError(f"the episodes are not of one spec: {error}") from None
        return cls(first.spec, tuple(logs.values()), tuple(logs.values())).only(modes, outcome)

    def only(
        self,
        modes: Collection[Mode] = tuple(Mode),
        outcome: Outcome | None = None,
        where: Callable[[EpisodeInfo], bool] = lambda _: True,
    ) -> Dataset:
        """The episodes of these modes, that ended like this, for which `where` holds."""
        chosen = tuple(
            info
            for info in self.episodes
            if info.episode.mode in modes and ended(info, outcome) and where(info)
        )
        return Dataset(self.spec, chosen, self._logs)

    def find(self, index: int) -> EpisodeInfo:
        """The episode with this index; the attempt that came to its end, if it ran more than once.

        Raises:
            DatasetError: There is none, or several runs have one.
        """
        found = [info for info in self.episodes if info.episode.index == index]
        if not found:
            there = index_text(info.episode.index for info in self.episodes)
            raise DatasetError(f"there is no episode {index}; there are: {there}")
        _check_one_folder(found)
        return _latest(found)

    def check_numbering(self) -> None:
        """Raise `DatasetError` when two runs have an episode of the same index."""
        by_index: dict[int, list[EpisodeInfo]] = {}
        for info in self.episodes:
            by_index.setdefault(info.episode.index, []).append(info)
        for attempts in by_index.values():
            _check_one_folder(attempts)

    def counts(self, episode: EpisodeInfo) -> bool:
        """Whether this is the attempt at its episode that `find` gives."""
        return _latest(self._attempts[episode.path.parent, episode.episode.index]).path == episode.path

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.episodes)

    @cached_property
    def cameras(self) -> tuple[str, ...]:
        """The cameras whose features or pictures are part of an observation, in spec order."""
        names = (*self.spec.observation.feature_names, *self.spec.observation.image_names)
        return tuple(name.rpartition(".")[0] or name for name in names)

    def transitions(self, episode: EpisodeInfo) -> list[Transition]:
        """The transitions of an episode in sequence, each key once, from whichever logs they are in."""
        held = self._held.get(episode.path, {})
        if not held:
            return []
        keys, run = set().union(*held.values()), self._runs[episode.path.parent]
        found = assigned([info for info in run if info.path in held], run)
        own = (one.transition for one in found if one.transition.key in keys)
        return sorted(own, key=lambda transition: transition.key)

    def all_transitions(self) -> Iterator[Transition]:
        """The transitions of all episodes in order."""
        for episode in self.episodes:
            yield from self.transitions(episode)

    def pictures(self, episode: EpisodeInfo) -> dict[str, CameraTrack]:
        """Camera to its pictures in this episode: of all that were logged, the spec's cameras first.

        Raises:
            DatasetError: There is no picture of a camera that the spec names.
        """
        logged = logged_cameras(episode.path)
        missing = [camera for camera in self.cameras if camera not in logged]
        if missing:
            raise DatasetError(
                f"episode {episode.episode.index} ({episode.path}) has no pictures of {', '.join(missing)}, "
                f"which its spec names; it has pictures of: {', '.join(logged) or 'no camera'}"
            )
        names = (*self.cameras, *(camera for camera in logged if camera not in self.cameras))
        tracks: dict[str, list[StampedImage]] = {camera: [] for camera in names}
        for camera, picture in images(episode.path, names):
            tracks[camera].append(picture)
        return {
            camera: CameraTrack(np.array([p.stamp for p in track], np.int64), [p.image for p in track])
            for camera, track in tracks.items()
        }

    def corrections(self, episode: EpisodeInfo) -> tuple[Correction, ...]:
        """The frames of an episode that were labelled by hand, older ones first.

        Of an episode that ran again they are those of the attempt that `counts`.
        """
        if not self.counts(episode):
            return ()
        found = self._corrections[episode.path.parent]
        return tuple(one for one in found if one.episode == episode.episode.index)

    def episode_digest(self, episode: EpisodeInfo) -> str:
        """SHA-256 over what can be learned from an episode.

        That is mode, seed and outcome; the bytes of its transitions, keys included; the labels of its frames,
        by key and by hand; and, where it was recorded for labels, its pictures. Other topics, file names and
        how a log is cut into chunks have no part in it.
        """
        return self._episode_digests[episode.path]

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits over the spec and the episodes in order; equal for a copy."""
        total = hashlib.sha256(self.spec.digest.encode())
        for episode in self.episodes:
            total.update(self.episode_digest(episode).encode())
        return total.hexdigest()[:_DIGITS]

    @cached_property
    def _episode_digests(self) -> dict[Path, str]:
        return {episode.path: self._digest_of(episode) for episode in self.episodes}

    def _digest_of(self, info: EpisodeInfo) -> str:
        codec, total = TransitionCodec(self.spec), hashlib.sha256()
        success = info.result.success if info.result is not None else None
        corrections = [[c.first, c.last, c.stage] for c in self.corrections(info)]
        labels = [(stamp, label) for stamp, label in sorted(key_answers(info).items()) if label >= 0]
        facts = [info.episode.mode.value, info.episode.seed, success, labels, corrections]
        total.update(json.dumps(facts).encode())
        for transition in self.transitions(info):
            total.update(codec.record(transition))
        if info.episode.mode is Mode.LABEL:
            for camera, picture in images(info.path, logged_cameras(info.path)):
                total.update(f"{camera} {picture.stamp} {picture.image.shape}".encode())
                total.update(picture.image.tobytes())
        return total.hexdigest()

    @cached_property
    def _runs(self) -> dict[Path, list[EpisodeInfo]]:
        """Folder to the logs in it."""
        runs: dict[Path, list[EpisodeInfo]] = {}
        for info in self._logs:
            runs.setdefault(info.path.parent, []).append(info)
        return runs

    @cached_property
    def _attempts(self) -> dict[tuple[Path, int], list[EpisodeInfo]]:
        """Folder and index of an episode to its logs."""
        attempts: dict[tuple[Path, int], list[EpisodeInfo]] = {}
        for info in self._logs:
            attempts.setdefault((info.path.parent, info.episode.index), []).append(info)
        return attempts

    @cached_property
    def _held(self) -> dict[Path, dict[Path, set[Key]]]:
        """Path of an episode to the logs that hold its transitions, and their keys there."""
        held: dict[Path, dict[Path, set[Key]]] = {}
        for run in self._runs.values():
            for one in assigned(run, run):
                logs = held.setdefault(one.owner.path, {})
                logs.setdefault(one.log.path, set()).add(one.transition.key)
        return held

    @cached_property
    def _corrections(self) -> dict[Path, list[Correction]]:
        return {folder: load_corrections(folder / CORRECTIONS) for folder in self._runs}


def index_text(indices: Iterable[int]) -> str:
    """Episode indices for a message, runs of them shortened: "0-3, 7"."""
    ordered = sorted(set(indices))
    groups = [list(g) for _, g in groupby(enumerate(ordered), lambda pair: pair[1] - pair[0])]
    return ", ".join(str(g[0][1]) if len(g) == 1 else f"{g[0][1]}-{g[-1][1]}" for g in groups) or "none"


def outcome_text(info: EpisodeInfo) -> str:
    """How an episode ended: "success", "failure", "fault", or "unfinished"."""
    if info.result is None:
        return "unfinished"
    return "success" if info.result.success else "fault" if info.result.fault else "failure"


def _check_one_folder(attempts: Sequence[EpisodeInfo]) -> None:
    folders = dict.fromkeys(str(info.path.parent) for info in attempts)
    if len(folders) > 1:
        raise DatasetError(
            f"episode {attempts[0].episode.index} is ambiguous, since it is in {' and in '.join(folders)}: "
            "name one of them, or merge them first, which numbers their episodes anew"
        )


def _latest(attempts: Sequence[EpisodeInfo]) -> EpisodeInfo:
    """Of several attempts at an episode the last one that came to its end, else the last."""
    return max(attempts, key=lambda info: (info.result is not None, attempt_of(info.path)))


def _episodes(path: Path) -> list[EpisodeInfo]:
    if not path.exists():
        raise DatasetError(f"{path} does not exist: give a run directory, a folder of logs or a log")
    try:
        return episodes(path)
    except LogError as error:
        raise DatasetError(str(error)) from None
