"""Pictures out of episode logs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.core.clock import NANOSECONDS
from robot_rl.core.errors import LogError
from robot_rl.core.types import StampedImage
from robot_rl.data.episode_log import read_raw
from robot_rl.data.messages import IMAGE, deserialize

ENCODINGS = ("rgb8", "bgr8")
"""What `picture` reads; colours always come out as RGB."""

LONGEST_GAP = 0.5
"""No actor acts on a picture that is further from its tick [s]; there the log lacks the right one."""


def picture(message: Any) -> StampedImage:
    """The picture of a `sensor_msgs/Image`; `LogError` when its encoding or size is not one that we read."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    if message.encoding not in ENCODINGS:
        raise LogError(f"the image is encoded as {message.encoding!r}; valid: {', '.join(ENCODINGS)}")
    data = np.asarray(message.data, np.uint8)
    if step < 3 * width or data.size != height * step:
        raise LogError(f"the image has {data.size} bytes in rows of {step}, expected {height} x {width} x 3")
    pixels = data.reshape(height, step)[:, : 3 * width].reshape(height, width, 3)
    stamp = message.header.stamp.sec * NANOSECONDS + message.header.stamp.nanosec
    return StampedImage(stamp, pixels if message.encoding == "rgb8" else pixels[..., ::-1])


def image_topic(camera: str) -> str:
    """Topic of the pictures of a camera: `sensor_msgs/Image`, stamped at its exposure."""
    return f"{camera}/image_raw"


def images(path: Path, cameras: Collection[str]) -> Iterator[tuple[str, StampedImage]]:
    """Camera and picture, in the order of the log, of one episode log; a cut off one as far as it goes."""
    for message in read_raw(path, tolerant=True):
        for camera in cameras:
            if message.msgtype == IMAGE and f"/{message.topic}".endswith(f"/{image_topic(camera)}"):
                try:
                    yield camera, picture(deserialize(message.data, message.msgtype))
                except LogError as error:
                    raise LogError(f"{path}: {message.topic} at {message.stamp} ns: {error}") from None


def picture_stamps(path: Path) -> dict[str, np.ndarray]:
    """Camera to (n,) int64, when each of its pictures in an episode log was exposed [ns], in log order."""
    stamps: dict[str, list[int]] = {}
    for message in read_raw(path, tolerant=True):
        if message.msgtype == IMAGE and message.topic.endswith("/image_raw"):
            stamp = deserialize(message.data, message.msgtype).header.stamp
            track = stamps.setdefault(message.topic.rsplit("/", 2)[-2], [])
            track.append(stamp.sec * NANOSECONDS + stamp.nanosec)
    return {camera: np.array(track, np.int64) for camera, track in stamps.items()}


def logged_cameras(path: Path) -> tuple[str, ...]:
    """The cameras whose pictures an episode log holds, in the order of their first picture."""
    return tuple(picture_stamps(path))
