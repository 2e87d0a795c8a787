"""Folders in the LeRobot format, ours or anybody's, episode by episode."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.core.errors import DatasetError
from robot_rl.data import lerobot_format as fmt
from robot_rl.data.arrow import need, read_table, to_numpy
from robot_rl.data.lerobot_pictures import decode_picture
from robot_rl.data.video import read_video

Row = Mapping[str, Any]
"""What `meta/episodes` says of an episode."""


class LeRobotFolder:
    """A data set on the disk. Its files are read when they are asked for, and the newest one is kept."""

    def __init__(self, root: Path) -> None:
        """Read the metadata.

        Raises:
            DatasetError: It is no LeRobot data set, one of another version, or damaged.
        """
        self.root = root
        self.info = self._read_info()
        self.features: dict[str, dict[str, Any]] = self.info["features"]
        self._layout = fmt.numeric_layout(self.info)
        self._table: tuple[Path, Any] | None = None
        self.tasks = self._read_tasks()
        """Names of the tasks."""
        self.episodes = self._read_episodes()
        """In the order of their index."""

    @property
    def rate(self) -> float:
        """Frames a second [Hz]."""
        return float(self.info["fps"])

    @property
    def cameras(self) -> dict[str, str]:
        """Camera to the feature of its pictures."""
        keys = [key for key, row in self.features.items() if row["dtype"] in ("image", "video")]
        return {key.removeprefix(fmt.IMAGES).removeprefix("observation."): key for key in keys}

    @property
    def numeric(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Features that are numbers or text to their dtype and shape; () for one value a frame."""
        return self._layout

    def size(self, feature: str) -> int:
        """Elements of a numeric feature."""
        return math.prod(self._layout[feature][1])

    def names(self, feature: str) -> list[str]:
        """Names of the elements of a numeric feature; [] when it has none."""
        names = self.features[feature].get("names")
        if isinstance(names, dict):  # Axes to names, as some recorders write it.
            names = next((value for value in names.values() if isinstance(value, list)), None)
        return list(map(str, names)) if names and len(names) == self.size(feature) else []

    def numbers(self, row: Row) -> dict[str, np.ndarray]:
        """Feature to its values in the frames of an episode, (n,) or (n, ...); pictures apart."""
        table, columns = self._frames(row), {}
        for name, (dtype, shape) in self._layout.items():
            if name not in table.column_names:
                raise DatasetError(f"{self._data_file(row)} has no column {name!r}, which {fmt.INFO} names")
            try:
                columns[name] = to_numpy(table.column(name), dtype, shape)
            except DatasetError as error:
                raise DatasetError(f"{self._data_file(row)}: column {name!r}: {error}") from None
        return columns

    def pictures(self, row: Row, camera: str) -> list[np.ndarray]:
        """(h, w, 3) uint8 RGB of each frame of an episode."""
        key, table = self.cameras[camera], self._frames(row)
        if self.features[key]["dtype"] == "image":
            return [self._decode(cell, key) for cell in table.column(key).to_pylist()]
        path = self.root / self._format(
            "video_path",
            video_key=key,
            chunk_index=self._value(row, f"videos/{key}/chunk_index"),
            file_index=self._value(row, f"videos/{key}/file_index"),
        )
        start = self._value(row, f"videos/{key}/from_timestamp")
        times = to_numpy(table.column("timestamp"), "float32")
        return read_video(path, [start + time for time in times.tolist()])

    def _read_info(self) -> dict[str, Any]:
        path = self.root / fmt.INFO
        try:
            info = json.loads(path.read_text())
            fmt.check_version(info, str(self.root))
            for name in ("fps", "features", "data_path"):
                if name not in info:
                    raise DatasetError(f"{path} has no {name!r}")
            for name, row in info["features"].items():
                if not {"dtype", "shape"} <= set(row):
                    raise DatasetError(f"{path} does not say dtype and shape of the feature {name!r}")
            return info
        except (FileNotFoundError, NotADirectoryError):
            raise DatasetError(f"{self.root} is not a LeRobot data set: it has no {fmt.INFO}") from None
        except (ValueError, AttributeError, TypeError) as error:
            raise DatasetError(f"{path} is damaged: {error}") from None

    def _read_tasks(self) -> list[str]:
        table = read_table(self.root / fmt.TASKS)
        names = [name for name in table.column_names if name != "task_index"]
        return list(map(str, table.column(names[0]).to_pylist())) if names else []

    def _read_episodes(self) -> list[Row]:
        files = sorted((self.root / "meta/episodes").glob("*/*.parquet"))
        if not files:
            raise DatasetError(f"{self.root} has no meta/episodes/chunk-000/file-000.parquet")
        rows: list[Row] = []
        for file in files:
            table = read_table(file)
            names = [name for name in table.column_names if not name.startswith("stats/")]
            rows += table.select(names).to_pylist()
        rows = sorted(rows, key=lambda row: self._value(row, "episode_index"))
        count = self.info.get("total_episodes", len(rows))
        if count != len(rows):
            raise DatasetError(
                f"{self.root}: {fmt.INFO} says {count} episodes, meta/episodes has {len(rows)}"
            )
        return rows

    def _frames(self, row: Row) -> Any:
        """The rows of an episode in its file of frames."""
        path, number = self._data_file(row), self._value(row, "episode_index")
        if self._table is None or self._table[0] != path:
            self._table = (path, read_table(path))
        pc = need("pyarrow.compute", "pyarrow")
        table = self._table[1]
        for name in ("episode_index", "frame_index", "timestamp"):
            if name not in table.column_names:
                raise DatasetError(f"{path} has no column {name!r}")
        table = table.filter(pc.equal(table.column("episode_index"), number)).sort_by("frame_index")
        length = self._value(row, "length")
        if len(table) != length:
            raise DatasetError(
                f"{path} has {len(table)} frames of episode {number}, meta/episodes says {length}"
            )
        return table

    def _data_file(self, row: Row) -> Path:
        place = {name: self._value(row, f"data/{name}") for name in ("chunk_index", "file_index")}
        return self.root / self._format("data_path", **place)

    def _format(self, name: str, **values: Any) -> str:
        try:
            return str(self.info[name]).format(**values)
        except (KeyError, ValueError, IndexError) as error:
            raise DatasetError(f"{self.root}: {name} in {fmt.INFO} is damaged: {error!r}") from None

    def _value(self, row: Row, name: str) -> Any:
        value = row.get(name)
        if value is None:
            raise DatasetError(f"{self.root}: meta/episodes says nothing of {name!r} for one of the episodes")
        return value

    def _decode(self, cell: Mapping[str, Any] | None, key: str) -> np.ndarray:
        cell = cell or {}
        if cell.get("bytes") is None:
            path = self.root / str(cell.get("path"))
            if not path.is_file():
                raise DatasetError(f"the picture {path} of {key} is missing")
            return decode_picture(path.read_bytes(), str(path))
        return decode_picture(cell["bytes"], f"{self.root}: a picture of {key}")
