"""Pictures as H.264 video in MP4 files, and back.

Every second frame is a key frame, as LeRobot writes them: training asks for frames in random order.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from robot_rl.core.errors import DatasetError
from robot_rl.data.arrow import need

_QUALITY = 18
"""Constant rate factor of lossy video: 0 is without loss, 51 the worst."""
_OPTIONS = {"g": "2", "bf": "0", "preset": "veryfast"}


class VideoWriter:
    """Writes the pictures of one camera into one file."""

    def __init__(self, path: Path, rate: float, height: int, width: int, lossless: bool) -> None:
        """Open the file.

        Args:
            path: A new MP4 file.
            rate: Pictures a second [Hz].
            height: Of the pictures [pixels].
            width: Of the pictures [pixels].
            lossless: RGB without loss; otherwise with loss, in half the resolution of colour where the size
                is even.
        """
        av = need("av", "av")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._av = av
        self.path = path
        self.rate = Fraction(rate).limit_denominator(1001)
        self.count = 0
        """Pictures taken."""
        self.size = 0
        """What has come out of the encoder [bytes]."""
        self._file = av.open(str(path), "w", format="mp4")
        codec, quality = ("libx264rgb", {"qp": "0"}) if lossless else ("libx264", {"crf": str(_QUALITY)})
        even = height % 2 == 0 and width % 2 == 0
        # One thread: a file does not depend on the machine, and a control loop next door keeps its cores.
        options = {**_OPTIONS, **quality, "threads": "1"}
        self._stream = self._file.add_stream(codec, rate=self.rate, options=options)
        self._stream.height, self._stream.width = height, width
        self._stream.pix_fmt = "rgb24" if lossless else "yuv420p" if even else "yuv444p"

    def write(self, image: np.ndarray) -> None:
        """Append a picture, (h, w, 3) uint8 RGB."""
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = self.count, 1 / self.rate
        self._mux(self._stream.encode(frame))
        self.count += 1

    def close(self) -> None:
        """Complete the file."""
        self._mux(self._stream.encode(None))
        self._file.close()

    def _mux(self, packets: Sequence[Any]) -> None:
        self.size += sum(packet.size for packet in packets)
        self._file.mux(packets)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def video_info(path: Path) -> dict[str, Any]:
    """What LeRobot keeps about a video."""
    av = need("av", "av")
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        rate = stream.average_rate
        return {
            "video.height": stream.height,
            "video.width": stream.width,
            "video.codec": stream.codec.canonical_name,
            "video.pix_fmt": stream.pix_fmt,
            "video.is_depth_map": False,
            "video.fps": int(rate) if rate.denominator == 1 else float(rate),
            "video.channels": 3,
            "has_audio": False,
        }


def read_video(path: Path, times: Sequence[float]) -> list[np.ndarray]:
    """The pictures that are shown at these times.

    Args:
        path: Any video file that FFmpeg reads.
        times: Rising, from the begin of the video [s].

    Returns:
        (h, w, 3) uint8 RGB each.

    Raises:
        DatasetError: The file is missing, damaged, or ends before a time.
    """
    av = need("av", "av")
    if not path.is_file():
        raise DatasetError(f"the video {path} is missing")
    if not times:
        return []
    try:
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            slack = 0.5 / float(stream.average_rate)
            file.seek(int(times[0] / stream.time_base), stream=stream)
            images: list[np.ndarray] = []
            for frame in file.decode(stream):
                if abs(frame.time - times[len(images)]) < slack:
                    images.append(frame.to_ndarray(format="rgb24"))
                    if len(images) == len(times):
                        return images
    except (av.FFmpegError, IndexError) as error:
        raise DatasetError(f"{path} is not a video, or a damaged one: {error}") from None
    raise DatasetError(
        f"the video {path} has no picture at {times[len(images)]:.3f} s: {len(images)} of {len(times)} found"
    )
