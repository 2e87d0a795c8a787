"""What a person says about single frames of an episode: by the key that she holds, or afterwards by hand.

A frame is a tick at which every camera has a picture; frames are counted from 0 by the pictures of the first
camera. Answers by key are logged on `intervention/event`, with the stamp of the state that she saw. What is
put right by hand lies in a file beside the logs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import CodecError, LogError
from robot_rl.core.types import StampedImage
from robot_rl.data.episode_log import EpisodeInfo, read_raw
from robot_rl.data.images import images
from robot_rl.data.json_messages import Intervention, decode
from robot_rl.data.messages import deserialize

CORRECTIONS = "labels.json"
"""Name of the file of corrections, in the folder of the logs."""

_EVENTS = "intervention/event"
_FORMAT = 1
_APART = 0.75
"""Frames of two cameras, or a frame and an answer, belong together when they are no further apart than this
[control periods]."""


@dataclass(frozen=True)
class Correction:
    """Frames of an episode that a person labelled by hand."""

    episode: int
    """Index of the episode."""
    first: int
    """First frame, counted from 0."""
    last: int
    """Last frame, included."""
    stage: int
    """Stage that is reached there, 0 for none; -1: leave these frames out."""


class Tick(NamedTuple):
    """The pictures of one frame."""

    stamp: int
    images: dict[str, StampedImage]


def ticks(info: EpisodeInfo, cameras: Sequence[str]) -> Iterator[Tick]:
    """The frames of a log that every camera has seen, by the stamps of the first camera."""
    seen: dict[str, list[StampedImage]] = {camera: [] for camera in cameras}
    for camera, picture in images(info.path, cameras):
        seen[camera].append(picture)
    if not seen or not all(seen.values()):
        return
    stamps = {camera: np.array([p.stamp for p in pictures]) for camera, pictures in seen.items()}
    for stamp in stamps[cameras[0]].tolist():
        together = {}
        for camera in cameras:
            nearest = int(np.abs(stamps[camera] - stamp).argmin())
            if abs(int(stamps[camera][nearest]) - stamp) <= tolerance(info):
                together[camera] = seen[camera][nearest]
        if len(together) == len(cameras):
            yield Tick(stamp, together)


def key_answers(info: EpisodeInfo) -> dict[int, int]:
    """What she answered at each state that she saw: its stamp [ns] to the stage of her key, -1 for no key.

    Raises `LogError` for an answer that cannot be read.
    """
    answers: dict[int, int] = {}
    for message in read_raw(info.path, tolerant=True):
        if f"/{message.topic}".endswith(f"/{_EVENTS}"):
            text = deserialize(message.data, message.msgtype).data
            try:
                event = decode(Intervention, text)
            except CodecError as error:
                raise LogError(f"{info.path}: {message.topic} at {message.stamp} ns: {error}") from None
            answers[event.stamp] = event.label
    return answers


def tolerance(info: EpisodeInfo) -> int:
    """How far apart the stamps of what belongs to one frame may be [ns]."""
    return nanoseconds(_APART / info.spec.control_rate)


def load_corrections(file: Path) -> list[Correction]:
    """The corrections in a file, older ones first, which later ones outrank; [] where there is no file."""
    try:
        data = json.loads(file.read_text())
        if data["format"] != _FORMAT:
            raise LogError(f"{file} has format {data['format']!r}; this version reads format {_FORMAT}")
        return [Correction(**row) for row in data["corrections"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LogError(f"{file} is not a file of label corrections: {error!r}") from None


def save_corrections(file: Path, corrections: Sequence[Correction]) -> None:
    """Keep these corrections in the file, instead of those that are there."""
    data = {"format": _FORMAT, "corrections": [asdict(correction) for correction in corrections]}
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(data, indent=1) + "\n")
    temporary.replace(file)
