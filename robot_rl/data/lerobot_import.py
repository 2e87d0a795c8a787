"""Episode logs out of folders in the LeRobot format: our own exports, bit for bit, and other people's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.core.errors import DatasetError, SpecError
from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import Key
from robot_rl.data import lerobot_format as fmt
from robot_rl.data import messages
from robot_rl.data.arrow import read_table, to_numpy
from robot_rl.data.columns import (
    NEXT_OBSERVATION,
    OBSERVATION,
    SCALARS,
    EpisodeRows,
    made_whole,
    to_transitions,
)
from robot_rl.data.dataset import Dataset
from robot_rl.data.images import image_topic
from robot_rl.data.lerobot_foreign import ImportedEpisode, foreign_episodes
from robot_rl.data.lerobot_pictures import decode_picture
from robot_rl.data.lerobot_reader import LeRobotFolder, Row
from robot_rl.data.mcap_scan import RawMessage
from robot_rl.data.recorder import optical_frame
from robot_rl.data.relog import Content, write_logs


def import_lerobot(
    path: Path,
    out: Path,
    spec: EnvSpec | None = None,
    mapping: Mapping[str, str] | None = None,
    successful: bool = False,
) -> Dataset:
    """Make episode logs of a LeRobot data set.

    What `export_lerobot` wrote comes back with all its transitions, labels and exported pictures. Of other
    data sets see `robot_rl.data.lerobot_foreign.foreign_episodes`.

    Args:
        path: Folder of the data set.
        out: Folder for the logs, new or empty.
        spec: Of the task that the data is for; an own export knows it.
        mapping: For other people's data: name of an array of the spec, or "action", to the feature that it
            is, such as "observation.state[0:3]".
        successful: For other people's data: take every episode for a success when it does not say.

    Raises:
        DatasetError: `out` exists, or the data set is damaged, incomplete or for another spec.
        MissingDependencyError: A package of the extra "data" is not installed.
    """
    folder = LeRobotFolder(path)
    source, arguments = "a LeRobot data set", {"folder": path.resolve().name}
    if (path / fmt.EXPORT).is_file():
        export = _Export(folder)
        if spec is not None:
            try:
                spec.check_same(export.spec, "the wanted task", str(path))
            except SpecError as error:
                raise DatasetError(str(error)) from None
        spec, episodes, source = export.spec, export.episodes(), export.digest
        arguments["images"] = export.images
    elif spec is None:
        raise DatasetError(
            f"{path} was not exported by robot_rl, so it does not say what its numbers mean to us: name the "
            "task that it is for"
        )
    else:
        episodes = foreign_episodes(folder, spec, mapping or {}, successful)
    with made_whole(out) as partial:
        step = {"operation": "import", "arguments": arguments, "source": source}
        write_logs(partial, spec, (_with_pictures(*episode) for episode in episodes), step)
    return Dataset.open(out)


class _Export:
    """An export of our own."""

    def __init__(self, folder: LeRobotFolder) -> None:
        self._folder = folder
        path = folder.root / fmt.EXPORT
        try:
            data = json.loads(path.read_text())
            if data["format"] != fmt.FORMAT:
                raise DatasetError(f"{path} has format {data['format']!r}; this version reads {fmt.FORMAT}")
            self.spec = EnvSpec.from_json(data["spec"])
            self._described: dict[str, Any] = dict(data["episodes"])
            self.digest, self.images = str(data["digest"]), str(data["images"])
        except (ValueError, KeyError, TypeError, SpecError) as error:
            raise DatasetError(f"{path} is damaged: {error!r}") from None
        self._cameras = [name for name in folder.cameras if f"{fmt.PICTURE_STAMP}{name}" in folder.features]
        self._side = _Rows(folder.root / fmt.OBSERVATIONS) if fmt.side_names(self.spec.observation) else None
        self._next = _Rows(folder.root / fmt.NEXT_OBSERVATIONS)
        for camera in self._cameras:
            for name in (f"{fmt.PICTURE}{camera}", f"{fmt.PICTURE_STAMP}{camera}"):
                if name not in self._next.table.column_names:
                    raise DatasetError(f"{self._next.path} has no column {name!r}")

    def episodes(self) -> Iterator[ImportedEpisode]:
        for row in self._folder.episodes:
            yield self._episode(row)

    def _episode(self, row: Row) -> ImportedEpisode:
        frames, spec = self._folder.numbers(row), self.spec
        missing = [name for name in fmt.features(spec, {}) if name not in frames]
        if missing:
            raise DatasetError(f"{self._folder.root} has lost the features {', '.join(missing)}")
        keys = list(zip(*(frames[fmt.OURS + name].tolist() for name in Key._fields), strict=True))
        name = fmt.name_of(Key(*keys[0])) if keys else ""
        if name not in self._described:
            raise DatasetError(
                f"episode {row['episode_index']} of {self._folder.root} begins with the transition {name}, "
                f"with which no episode began that was exported: its begin was cut off"
            )
        episode = EpisodeRows.from_json(self._described[name])
        if episode.rows != len(keys):
            raise DatasetError(
                f"episode {row['episode_index']} of {self._folder.root} has {len(keys)} of the "
                f"{episode.rows} transitions that were exported"
            )
        side = self._arrays(self._side, keys, fmt.side_names(spec.observation)) if self._side else {}
        columns = fmt.columns_of(spec, frames, episode.episode.index, side)
        self._add_next(columns, keys)
        pictures: dict[str, dict[int, np.ndarray]] = {}
        for camera in self._cameras:
            stamps = frames[f"{fmt.PICTURE_STAMP}{camera}"].tolist()
            pictures[camera] = dict(zip(stamps, self._folder.pictures(row, camera), strict=True))
            column = self._next.table.column(f"{fmt.PICTURE}{camera}")
            later = to_numpy(self._next.table.column(f"{fmt.PICTURE_STAMP}{camera}"), "int64")
            for place in (self._next.places[key] for key in keys if key in self._next.places):
                image = decode_picture(column[place].as_py(), f"{self._next.path}: a picture of {camera}")
                pictures[camera].setdefault(int(later[place]), image)
        return episode, to_transitions(spec, columns), pictures

    def _arrays(self, rows: _Rows, keys: list[tuple], names: Iterable[str]) -> dict[str, np.ndarray]:
        places = [rows.place(key) for key in keys]
        return {name: rows.column(self.spec, name)[places] for name in names}

    def _add_next(self, columns: dict[str, np.ndarray], keys: list[tuple]) -> None:
        alone = [i for i, key in enumerate(keys) if key in self._next.places or i == len(keys) - 1]
        arrays = self._arrays(self._next, [keys[i] for i in alone], self.spec.observation)
        for name in self.spec.observation:
            following = np.roll(columns[OBSERVATION + name], -1, axis=0)
            following[alone] = arrays[name]
            columns[NEXT_OBSERVATION + name] = following


class _Rows:
    """One of our tables, whose rows are found by the keys of their transitions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.table = read_table(path)
        for name in Key._fields:
            if name not in self.table.column_names:
                raise DatasetError(f"{path} has no column {name!r}")
        columns = (to_numpy(self.table.column(name), SCALARS[name]).tolist() for name in Key._fields)
        self.places: dict[tuple, int] = {key: i for i, key in enumerate(zip(*columns, strict=True))}
        self._columns: dict[str, np.ndarray] = {}

    def place(self, key: tuple) -> int:
        """The row of a transition."""
        if key not in self.places:
            raise DatasetError(f"{self.path} has no row for the transition {fmt.name_of(Key(*key))}")
        return self.places[key]

    def column(self, spec: EnvSpec, name: str) -> np.ndarray:
        """An array of the observation, in all rows."""
        if name not in self._columns:
            array = spec.observation[name]
            try:
                column = self.table.column(OBSERVATION + name)
                self._columns[name] = to_numpy(column, array.dtype, array.shape)
            except (KeyError, DatasetError) as error:
                raise DatasetError(f"{self.path}: column {OBSERVATION + name!r}: {error}") from None
        return self._columns[name]


def _with_pictures(
    episode: EpisodeRows, transitions: list[Any], pictures: Mapping[str, Mapping[int, np.ndarray]]
) -> Content:
    """The content of a log, with a message for each picture."""
    found = [
        RawMessage(
            image_topic(camera), messages.IMAGE, stamp, messages.image(stamp, image, optical_frame(camera))
        )
        for camera, track in pictures.items()
        for stamp, image in track.items()
    ]
    return episode, transitions, found
