"""Labelled frames from episode logs.

While she shows success and failure the person holds a key for the stage that she sees reached. Each answer is
logged on `intervention/event` with the stamp of the state that she saw; the pictures of that tick have the
same stamp, or the nearest one. What the keys got wrong is put right by hand in a file beside the logs, which
outranks them and is taken to be exact: `robot-rl label` writes it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_rl.core.errors import ClassifierError, LogError
from robot_rl.core.protocols import Encoder
from robot_rl.core.types import CameraFeatures, Mode
from robot_rl.data.episode_log import EpisodeInfo, attempt_of
from robot_rl.data.frame_labels import (
    CORRECTIONS,
    Correction,
    key_answers,
    load_corrections,
    save_corrections,
    ticks,
    tolerance,
)
from robot_rl.data.views import episodes

UNLABELLED = -1
"""A frame of which nothing is known."""
UNTOUCHED = -2
"""A frame that nobody corrected."""


@dataclass(frozen=True, eq=False)
class LabelledEpisode:
    """The frames of one episode, with what is said about them."""

    path: Path
    """Its log."""
    index: int
    rate: float
    """Frames a second [Hz]."""
    stamps: np.ndarray
    """(T,) int64 [ns]."""
    keys: np.ndarray
    """(T,) int64: the stage of the key that was held down when the person saw the frame; late. -1: none."""
    corrected: np.ndarray
    """(T,) int64: the stage that was set by hand, exact; -1: left out by hand, -2: not corrected."""
    features: np.ndarray
    """(T, 1 + K, D) float16: of the whole frame and of its crops, cameras side by side."""

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def said(self) -> np.ndarray:
        """(T,) int64: the labels as they stand, corrections above keys."""
        return np.where(self.corrected == UNTOUCHED, self.keys, self.corrected)


def logs_folder(run: Path) -> Path:
    """Where the label episodes of a run are: its folder `labels` where there is one, else `run` itself."""
    folder = run / "labels"
    return folder if folder.is_dir() else run


def label_logs(logs: Path) -> list[EpisodeInfo]:
    """The episodes below `logs` that were recorded for labels or corrected by hand, in order.

    An episode that ran again after a kill counts once: the attempt that came to its end, else the last.
    """
    by_hand = {correction.episode for correction in read_corrections(logs)}
    newest: dict[int, EpisodeInfo] = {}
    for info in episodes(logs_folder(logs)):
        if info.episode.mode is not Mode.LABEL and info.episode.index not in by_hand:
            continue
        known = newest.get(info.episode.index)
        if known is None or _attempt(info) > _attempt(known):
            newest[info.episode.index] = info
    return list(newest.values())


def read_episode(
    info: EpisodeInfo, cameras: Sequence[str], encoder: Encoder | None, corrections: Collection[Correction]
) -> LabelledEpisode:
    """Read one log; without an encoder the episode has no features."""
    stamps, views = [], []
    for tick in ticks(info, cameras):
        stamps.append(tick.stamp)
        if encoder is not None:
            views.append(side_by_side(encoder.encode(tick.images), cameras))
    if not stamps:
        raise LogError(
            f"{info.path} holds no frame with a picture of each of {', '.join(cameras)}: was it recorded "
            "with these cameras?"
        )
    corrected = np.full(len(stamps), UNTOUCHED)
    for correction in corrections:
        if correction.episode == info.episode.index:
            corrected[correction.first : correction.last + 1] = correction.stage
    return LabelledEpisode(
        path=info.path,
        index=info.episode.index,
        rate=info.spec.control_rate,
        stamps=np.array(stamps, np.int64),
        keys=_keys(info, np.array(stamps, np.int64)),
        corrected=corrected,
        features=np.stack(views) if views else np.zeros((len(stamps), 1, 0), np.float16),
    )


def read_episodes(logs: Path, encoder: Encoder) -> list[LabelledEpisode]:
    """All episodes with labels below `logs`, encoded; `ClassifierError` when there is none."""
    corrections = read_corrections(logs)
    found = [read_episode(info, encoder.cameras, encoder, corrections) for info in label_logs(logs)]
    labelled = [episode for episode in found if (episode.said != UNLABELLED).any()]
    if not labelled:
        raise ClassifierError(
            f"{logs} holds no labels. Record label episodes, in which the person holds a key for what she "
            "sees, or set labels by hand with: robot-rl label RUN --episode N --frames A:B --stage K"
        )
    return labelled


def side_by_side(features: Mapping[str, CameraFeatures], cameras: Sequence[str]) -> np.ndarray:
    """(1 + K, D) float16: whole frame and crops, cameras side by side."""
    rows = [np.concatenate([features[name].centre[None], features[name].crops]) for name in cameras]
    return np.concatenate(rows, axis=1)


def corrections_file(logs: Path) -> Path:
    """Where the corrections of the logs below `logs` are kept."""
    folder = logs.parent if logs.is_file() else logs_folder(logs)
    return (folder / "episodes" if (folder / "episodes").is_dir() else folder) / CORRECTIONS


def read_corrections(logs: Path) -> list[Correction]:
    """The corrections of these logs, older ones first; a later one outranks an earlier one."""
    return load_corrections(corrections_file(logs))


def write_corrections(logs: Path, corrections: Sequence[Correction]) -> Path:
    """Keep these corrections for the logs below `logs`, instead of those that are there."""
    path = corrections_file(logs)
    save_corrections(path, corrections)
    return path


def _keys(info: EpisodeInfo, stamps: np.ndarray) -> np.ndarray:
    """The key that was held at each frame, -1 where the person did not answer."""
    answers = key_answers(info)
    if not answers:
        return np.full(len(stamps), UNLABELLED)
    times = np.array(sorted(answers), np.int64)
    labels = np.array([answers[stamp] for stamp in times.tolist()])
    apart = np.abs(stamps[:, None] - times)
    nearest = apart.argmin(axis=1)
    close = apart[np.arange(len(stamps)), nearest] <= tolerance(info)
    return np.where(close, labels[nearest], UNLABELLED)


def _attempt(info: EpisodeInfo) -> tuple[bool, int]:
    """Whether it came to its end, and which attempt it was: 000003.mcap is the first, 000003-1.mcap later."""
    return info.result is not None, attempt_of(info.path)
