"""The pictures of frames: which ones they are, and as PNG files inside of tables."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np

from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import DatasetError
from robot_rl.core.types import StampedImage
from robot_rl.data.arrow import need
from robot_rl.data.dataset import CameraTrack
from robot_rl.data.episode_log import EpisodeInfo
from robot_rl.data.images import LONGEST_GAP


def picture_at(info: EpisodeInfo, camera: str, track: CameraTrack, tick: int) -> StampedImage:
    """The picture that was the newest at the stamp `tick` [ns]; the oldest when all are newer.

    Raises:
        DatasetError: None is near enough that an actor would have acted on it.
    """
    place = max(0, bisect_right(track.stamps, tick) - 1)
    stamp = int(track.stamps[place])
    if abs(stamp - tick) > nanoseconds(LONGEST_GAP):
        raise DatasetError(
            f"episode {info.episode.index} ({info.path}) has no picture of {camera} within {LONGEST_GAP} s "
            f"of {tick} ns: trim the episode, or export without pictures (images='none')"
        )
    return StampedImage(stamp, track.images[place])


def encode_picture(image: np.ndarray) -> bytes:
    """(h, w, 3) uint8 RGB as a PNG file."""
    buffer = io.BytesIO()
    need("PIL.Image", "pillow").fromarray(np.ascontiguousarray(image)).save(buffer, "PNG")
    return buffer.getvalue()


def decode_picture(data: bytes, what: str) -> np.ndarray:
    """(h, w, 3) uint8 RGB of an image file; `DatasetError` when it is none."""
    image = need("PIL.Image", "pillow")
    try:
        with image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{what} is not an image file, or a damaged one: {error}") from None


def picture_column(images: Sequence[np.ndarray]) -> Any:
    """An Arrow array of PNG files, as the `datasets` library lays out pictures: their bytes and a name."""
    pa = need("pyarrow", "pyarrow")
    rows = [{"bytes": encode_picture(image), "path": f"frame-{i:06d}.png"} for i, image in enumerate(images)]
    return pa.array(rows, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
