"""Files of an export that grow with its episodes, a new one when one is full."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data import lerobot_format as fmt
from robot_rl.data.arrow import parquet_writer
from robot_rl.data.video import VideoWriter, video_info


class DataFiles:
    """Files of frames, a new one when one is full."""

    def __init__(self, out: Path, limit: int) -> None:
        self._out = out
        self._limit = limit
        self._count = 0
        """Files begun."""
        self._path: Path | None = None
        self._writer: Any = None

    def add(self, table: Any) -> dict[str, int]:
        """Write the frames of an episode; returns where they are, as the episode's metadata says it."""
        if self._path is not None and self._path.stat().st_size >= self._limit:
            self.close()
        if self._writer is None:
            self._path = self._out / fmt.DATA.format(**fmt.place(self._count))
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = parquet_writer(self._path, table.schema)
            self._count += 1
        self._writer.write_table(table)
        return {f"data/{name}": value for name, value in fmt.place(self._count - 1).items()}

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer, self._path = None, None


class VideoFiles:
    """Videos of one camera, a new one when one is full."""

    def __init__(self, out: Path, key: str, limit: int, rate: float, lossless: bool) -> None:
        self._out = out
        self._key = key
        self._limit = limit
        self._rate = rate
        self._lossless = lossless
        self._count = 0
        """Files begun."""
        self._writer: VideoWriter | None = None

    def add(self, images: Sequence[np.ndarray]) -> dict[str, float]:
        """Write the pictures of an episode; returns where they are, as the episode's metadata says it."""
        if self._writer is not None and self._writer.size >= self._limit:
            self.close()
        if self._writer is None:
            height, width, _ = images[0].shape
            self._writer = VideoWriter(self._path(self._count), self._rate, height, width, self._lossless)
            self._count += 1
        start = self._writer.count
        for image in images:
            self._writer.write(image)
        where = fmt.place(self._count - 1) | {
            "from_timestamp": start / self._rate,
            "to_timestamp": (start + len(images)) / self._rate,
        }
        return {f"videos/{self._key}/{name}": value for name, value in where.items()}

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def info(self) -> dict[str, Any]:
        """What LeRobot keeps about the videos; they are closed."""
        return video_info(self._path(0))

    def _path(self, number: int) -> Path:
        return self._out / fmt.VIDEO.format(video_key=self._key, **fmt.place(number))
