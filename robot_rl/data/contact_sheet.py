"""Contact sheets: small pictures of logged frames with a line of text each, as one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robot_rl.core.errors import MissingDependencyError
from robot_rl.data.dataset import Dataset, outcome_text
from robot_rl.data.images import images, picture_stamps

COLUMNS = 6
"""Frames in a row."""
_LINE = 12
"""Height of the text [pixels]."""
_GAP = 4
"""Between the frames [pixels]."""


class Caption(NamedTuple):
    """A frame and what to write below it."""

    path: Path
    """The log that holds it."""
    stamp: int
    """Of its pictures [ns]; the nearest ones are shown."""
    text: str


def write_sheet(path: Path, captions: Sequence[Caption], cameras: Sequence[str]) -> None:
    """Write the frames, the pictures of the cameras side by side, in the order given.

    Nothing is written for no frames, or where a log has lost its pictures.
    """
    tiles = _tiles(captions, cameras)
    if not tiles:
        return
    try:
        from PIL import Image, ImageDraw  # heavy, and needed only here
    except ImportError:
        raise MissingDependencyError("pillow", "a contact sheet", "pip install 'robot-rl[data]'") from None
    width = max(tile.shape[1] for _, tile in tiles) + _GAP
    height = max(tile.shape[0] for _, tile in tiles) + _GAP + _LINE
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (text, tile) in enumerate(tiles):
        left, top = _GAP + (i % columns) * width, _GAP + (i // columns) * height
        sheet.paste(Image.fromarray(tile), (left, top))
        draw.text((left + 1, top + height - _LINE - _GAP), text, fill="black")
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _tiles(captions: Sequence[Caption], cameras: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """Text and pictures of each caption, each log read once."""
    found: dict[Caption, np.ndarray] = {}
    for log in {caption.path for caption in captions}:
        seen = {camera: [p for name, p in images(log, cameras) if name == camera] for camera in cameras}
        if not all(seen.values()):
            continue
        for caption in captions:
            if caption.path == log:
                row = [
                    min(pictures, key=lambda p: abs(p.stamp - caption.stamp)).image
                    for pictures in seen.values()
                ]
                found[caption] = _beside(row)
    return [(caption.text, found[caption]) for caption in captions if caption in found]


def _beside(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures side by side, black below the lower ones."""
    height = max(picture.shape[0] for picture in pictures)
    padded = [np.pad(p, ((0, height - p.shape[0]), (0, 0), (0, 0))) for p in pictures]
    return np.concatenate(padded, axis=1)


def episode_captions(dataset: Dataset, most: int) -> list[Caption]:
    """The first, middle and last frame of each episode that has pictures, of at most `most` in equal steps.

    Below each is the episode's index and mode, and below the last one how it ended.
    """
    seen = [(info, stamps) for info in dataset.episodes if (stamps := picture_stamps(info.path))]
    captions = []
    for i in sorted({round(place) for place in np.linspace(0, len(seen) - 1, min(most, len(seen)))}):
        info, tracks = seen[i]
        track = next(iter(tracks.values()))
        name = f"{info.episode.index} {info.episode.mode.value}"
        captions += [Caption(info.path, int(track[k]), name) for k in (0, len(track) // 2)]
        captions.append(Caption(info.path, int(track[-1]), f"{name}: {outcome_text(info)}"))
    return captions
