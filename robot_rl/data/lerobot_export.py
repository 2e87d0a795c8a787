"""Data sets as folders in the LeRobot format; `robot_rl.data.lerobot_format` says how they lie in it."""

from __future__ import annotations

import io
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import DatasetError
from robot_rl.core.types import Key, Transition
from robot_rl.data import lerobot_format as fmt
from robot_rl.data.arrow import need, to_arrow, to_table, write_table
from robot_rl.data.columns import (
    NEXT_OBSERVATION,
    OBSERVATION,
    describe,
    made_whole,
    to_columns,
)
from robot_rl.data.dataset import CameraTrack, Dataset
from robot_rl.data.episode_log import EpisodeInfo
from robot_rl.data.lerobot_files import DataFiles, VideoFiles
from robot_rl.data.lerobot_stats import PictureStats, Stats, number_stats, to_json

LONGEST_GAP = 0.5
"""A picture further from its tick than this was not what the actor saw [s]."""
_MEGABYTE = 1024**2


def export_lerobot(
    dataset: Dataset, out: Path, images: fmt.Images = "video", data_mb: int = 100, video_mb: int = 200
) -> None:
    """Write a data set as a folder that `LeRobotDataset(NAME, root=out)` opens.

    Each episode that has transitions becomes an episode there. The picture of a frame is the newest one that
    was exposed by the tick of its observation; pictures between ticks stay in the logs, as do other topics.

    Args:
        dataset: What to write.
        out: A new folder.
        images: How to write pictures. "lossless" and "png" give back every bit.
        data_mb: Size at which a new file of frames is begun [MiB].
        video_mb: Size at which a new video file is begun [MiB].

    Raises:
        DatasetError: `out` exists, there is no transition, or an episode lacks the pictures of a camera.
        MissingDependencyError: A package of the extra "data" is not installed.
    """
    if images not in get_args(fmt.Images):
        raise DatasetError(f"images={images!r}; valid: {', '.join(get_args(fmt.Images))}")
    if data_mb < 1 or video_mb < 1:
        raise DatasetError(f"files of {data_mb} and {video_mb} MiB, expected 1 or more")
    with made_whole(out) as partial, _Exporter(dataset, partial, images, data_mb, video_mb) as exporter:
        for info in dataset.episodes:
            exporter.add(info)
        exporter.finish()


class _Exporter:
    """The files of one export while they grow."""

    def __init__(self, dataset: Dataset, out: Path, images: fmt.Images, data_mb: int, video_mb: int) -> None:
        self._dataset = dataset
        self._spec = dataset.spec
        self._out = out
        self._images: fmt.Images = images
        self._limits = {"data": data_mb, "video": video_mb}
        self._frames = DataFiles(out, data_mb * _MEGABYTE)
        self._videos: dict[str, VideoFiles] = {}
        self._cameras: dict[str, tuple[int, int]] | None = None
        """Camera to height and width, from the first episode on."""
        self._numbers: dict[str, list[np.ndarray]] = {}
        self._pictures: dict[str, PictureStats] = {}
        self._rows: list[dict[str, Any]] = []
        """Of `fmt.EPISODES`."""
        self._described: dict[str, dict[str, Any]] = {}
        """Of `fmt.EXPORT`."""
        self._side: list[dict[str, np.ndarray]] = []
        self._next: list[Any] = []
        self._total = 0

    def __enter__(self) -> _Exporter:
        return self

    def __exit__(self, *_: object) -> None:
        self._frames.close()
        for video in self._videos.values():
            video.close()

    def add(self, info: EpisodeInfo) -> None:
        """Write an episode, if it has transitions."""
        transitions = self._dataset.transitions(info)
        if not transitions:
            return
        spec, number = self._spec, len(self._rows)
        columns = to_columns(spec, transitions)
        success = info.result is not None and info.result.success
        frames = fmt.frame_columns(spec, columns, success, number, self._total)
        seen = self._look(info, transitions)
        stats = {name: number_stats(column) for name, column in frames.items() if column.dtype.kind != "U"}
        arrow = {name: to_arrow(column) for name, column in frames.items()}
        row: dict[str, Any] = {"episode_index": number, "tasks": [spec.name], "length": len(transitions)}
        for camera, pictures in seen.items():
            key = f"{fmt.IMAGES}{camera}"
            frames[f"{fmt.PICTURE_STAMP}{camera}"] = stamps = np.array([p[0] for p in pictures], np.int64)
            arrow[f"{fmt.PICTURE_STAMP}{camera}"] = to_arrow(stamps)
            stats[f"{fmt.PICTURE_STAMP}{camera}"] = number_stats(stamps)
            counted = PictureStats()
            for _, image in pictures:
                counted.add(image)
            self._pictures.setdefault(camera, PictureStats()).merge(counted)
            stats[key] = counted.stats()
            if self._images == "png":
                arrow[key] = _png_column([image for _, image in pictures])
            else:
                row |= self._video(camera).add([image for _, image in pictures])
        names = [name for name in self._features() if name in arrow]
        row |= self._frames.add(need("pyarrow", "pyarrow").table({name: arrow[name] for name in names}))
        row |= {"dataset_from_index": self._total, "dataset_to_index": self._total + len(transitions)}
        row |= _flat(stats)
        self._rows.append(row)
        self._total += len(transitions)
        self._described[fmt.name_of(transitions[0].key)] = describe(
            self._dataset, info, len(transitions)
        ).to_json()
        for name, column in frames.items():
            if column.dtype.kind != "U":
                self._numbers.setdefault(name, []).append(column)
        self._keep_aside(info, transitions, columns)

    def finish(self) -> None:
        """Write the metadata."""
        if not self._rows:
            raise DatasetError("no episode of this data set has transitions: there is nothing to export")
        self.__exit__()
        spec, out = self._spec, self._out
        features = self._features()
        info = {
            "codebase_version": fmt.VERSION,
            "robot_type": None,
            "total_episodes": len(self._rows),
            "total_frames": self._total,
            "total_tasks": 1,
            "chunks_size": fmt.FILES_PER_CHUNK,
            "data_files_size_in_mb": self._limits["data"],
            "video_files_size_in_mb": self._limits["video"],
            "fps": fmt.rate(spec),
            "splits": {"train": f"0:{len(self._rows)}"},
            "data_path": fmt.DATA,
            "video_path": fmt.VIDEO if self._videos else None,
            "features": features,
        }
        _write_json(out / fmt.INFO, info)
        stats = {name: number_stats(np.concatenate(columns)) for name, columns in self._numbers.items()}
        stats |= {f"{fmt.IMAGES}{camera}": p.stats() for camera, p in self._pictures.items()}
        _write_json(out / fmt.STATS, to_json(stats))
        write_table(_tasks(spec.name), out / fmt.TASKS)
        place = fmt.place(0)
        own = {f"meta/episodes/{name}": value for name, value in place.items()}
        rows = need("pyarrow", "pyarrow").Table.from_pylist([row | own for row in self._rows])
        write_table(rows, out / fmt.EPISODES.format(**place))
        export = {
            "format": fmt.FORMAT,
            "digest": self._dataset.digest,
            "images": self._images,
            "spec": spec.to_json(),
            "episodes": self._described,
        }
        _write_json(out / fmt.EXPORT, export)
        if self._side:
            names = self._side[0]
            side = {name: np.concatenate([rows[name] for rows in self._side]) for name in names}
            write_table(to_table(side), out / fmt.OBSERVATIONS)
        write_table(need("pyarrow", "pyarrow").concat_tables(self._next), out / fmt.NEXT_OBSERVATIONS)
        (out / "README.md").write_text(_readme(export, info))

    def _look(
        self, info: EpisodeInfo, transitions: Sequence[Transition]
    ) -> dict[str, list[tuple[int, np.ndarray]]]:
        """Camera to stamp and picture of each frame."""
        if self._images == "none":
            return {}
        tracks = self._dataset.pictures(info)
        sizes = {camera: track.images[0].shape[:2] for camera, track in tracks.items()}
        if self._cameras is None:
            self._cameras = sizes
        if sizes != self._cameras:
            raise DatasetError(
                f"episode {info.episode.index} ({info.path}) has pictures of {_sizes(sizes)}, the episodes "
                f"before it of {_sizes(self._cameras)}. Leave it out, or export with images='none'"
            )
        ticks = fmt.see_ticks(self._spec, transitions)
        return {
            camera: [_picture_at(info, camera, track, tick) for tick in ticks]
            for camera, track in tracks.items()
        }

    def _keep_aside(
        self, info: EpisodeInfo, transitions: Sequence[Transition], columns: Mapping[str, np.ndarray]
    ) -> None:
        """What has no place in the frames."""
        keys = {name: columns[name] for name in Key._fields}
        side = {
            OBSERVATION + name: columns[OBSERVATION + name] for name in fmt.side_names(self._spec.observation)
        }
        if side:
            self._side.append(keys | side)
        alone = np.array(fmt.needs_next(transitions))
        rows = {name: column[alone] for name, column in keys.items()}
        rows |= {
            OBSERVATION + name: columns[NEXT_OBSERVATION + name][alone] for name in self._spec.observation
        }
        table = to_table(rows)
        tracks = self._dataset.pictures(info) if self._images != "none" else {}
        for camera, track in tracks.items():
            pictures = [
                _picture_at(info, camera, track, t.stamp)
                for t, a in zip(transitions, alone, strict=True)
                if a
            ]
            stamps = np.array([stamp for stamp, _ in pictures], np.int64)
            table = table.append_column(f"{fmt.PICTURE_STAMP}{camera}", to_arrow(stamps))
            files = need("pyarrow", "pyarrow").array([_png(image) for _, image in pictures])
            table = table.append_column(f"{fmt.PICTURE}{camera}", files)
        self._next.append(table)

    def _video(self, camera: str) -> VideoFiles:
        if camera not in self._videos:
            assert self._cameras is not None
            key, limit = f"{fmt.IMAGES}{camera}", self._limits["video"] * _MEGABYTE
            lossless, rate = self._images == "lossless", self._spec.control_rate
            self._videos[camera] = VideoFiles(self._out, key, limit, rate, self._cameras[camera], lossless)
        return self._videos[camera]

    def _features(self) -> dict[str, dict[str, Any]]:
        cameras: dict[str, dict[str, Any]] = {}
        for camera, (height, width) in (self._cameras or {}).items():
            names = ["height", "width", "channels"]
            kind = "image" if self._images == "png" else "video"
            cameras[camera] = {"dtype": kind, "shape": [height, width, 3], "names": names}
            if camera in self._videos:
                cameras[camera]["info"] = self._videos[camera].info()
        return fmt.features(self._spec, cameras)


def _picture_at(info: EpisodeInfo, camera: str, track: CameraTrack, tick: int) -> tuple[int, np.ndarray]:
    """Stamp and picture that was the newest at a tick; the oldest when all are newer."""
    place = max(0, bisect_right(track.stamps, tick) - 1)
    stamp = int(track.stamps[place])
    if abs(stamp - tick) > nanoseconds(LONGEST_GAP):
        raise DatasetError(
            f"episode {info.episode.index} ({info.path}) has no picture of {camera} within {LONGEST_GAP} s "
            f"of {tick} ns: trim the episode, or export with images='none'"
        )
    return stamp, track.images[place]


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    need("PIL.Image", "pillow").fromarray(np.ascontiguousarray(image)).save(buffer, "PNG")
    return buffer.getvalue()


def _png_column(images: Sequence[np.ndarray]) -> Any:
    rows = [{"bytes": _png(image), "path": f"frame-{i:06d}.png"} for i, image in enumerate(images)]
    pa = need("pyarrow", "pyarrow")
    return pa.array(rows, pa.struct({"bytes": pa.binary(), "path": pa.string()}))


def _flat(stats: Mapping[str, Stats]) -> dict[str, list]:
    return {
        f"stats/{feature}/{name}": values
        for feature, row in to_json(stats).items()
        for name, values in row.items()
    }


def _tasks(name: str) -> Any:
    """The task, with its name as the index of the data frame that pandas makes of the table."""
    pa = need("pyarrow", "pyarrow")
    table = pa.table({"task_index": pa.array([0], pa.int64()), "task": [name]})
    columns = [
        {
            "name": column,
            "field_name": column,
            "pandas_type": pandas,
            "numpy_type": numpy,
            "metadata": None,
        }
        for column, pandas, numpy in (("task_index", "int64", "int64"), ("task", "unicode", "object"))
    ]
    pandas = {"index_columns": ["task"], "column_indexes": [], "columns": columns, "pandas_version": "2.0.0"}
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})


def _sizes(sizes: Mapping[str, Sequence[int]]) -> str:
    return (
        ", ".join(f"{camera} {height} x {width}" for camera, (height, width) in sizes.items()) or "no camera"
    )


def _write_json(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n")


def _readme(export: Mapping[str, Any], info: Mapping[str, Any]) -> str:
    spec = export["spec"]
    lossy = "H.264 with loss" if export["images"] == "video" else f"{export['images']}, every bit kept"
    return f"""---
tags: [LeRobot, robotics]
configs:
- config_name: default
  data_files: data/*/*.parquet
---

# {spec["name"]}

{info["total_episodes"]} episodes, {info["total_frames"]} frames at {info["fps"]} Hz, in the LeRobot format \
{info["codebase_version"]}.

- Exported by robot_rl from the data set with the digest `{export["digest"]}`, \
of the spec `{spec["digest"]}`.
- Pictures: {"not exported" if export["images"] == "none" else lossy}.
- A frame is a transition: `observation.*` before the action, `action` as it was executed, `next.*` after it.
- `robot_rl.source` says who acted: 0 policy, 1 person, 2 demonstration, 3 script.
- `meta/robot_rl/` holds what the format has no place for; `robot-rl data import` makes logs of it again.
"""
