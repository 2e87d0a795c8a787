"""Data sets as folders in the LeRobot format; `robot_rl.data.lerobot_format` says how they lie in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from robot_rl.core.errors import DatasetError
from robot_rl.core.types import Key, StampedImage, Transition
from robot_rl.data import lerobot_format as fmt
from robot_rl.data import lerobot_metadata as meta
from robot_rl.data.arrow import need, to_arrow, to_table, write_table
from robot_rl.data.columns import (
    NEXT_OBSERVATION,
    OBSERVATION,
    describe,
    made_whole,
    own_transitions,
    to_columns,
)
from robot_rl.data.dataset import CameraTrack, Dataset
from robot_rl.data.episode_log import EpisodeInfo
from robot_rl.data.lerobot_files import DataFiles, VideoFiles
from robot_rl.data.lerobot_pictures import encode_picture, picture_at, picture_column
from robot_rl.data.lerobot_stats import DatasetStats

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
        DatasetError: `out` exists, there is no transition, an episode lacks the pictures of a camera, or runs
            with the same keys were not merged.
        MissingDependencyError: A package of the extra "data" is not installed.
    """
    if images not in get_args(fmt.Images):
        raise DatasetError(f"images={images!r}; valid: {', '.join(get_args(fmt.Images))}")
    if data_mb < 1 or video_mb < 1:
        raise DatasetError(f"files of {data_mb} and {video_mb} MiB, expected 1 or more")
    with made_whole(out) as partial, _Exporter(dataset, partial, images, data_mb, video_mb) as exporter:
        for info, transitions in own_transitions(dataset):
            exporter.add(info, transitions)
        exporter.finish()


class _Exporter:
    """The files of one export while they grow."""

    def __init__(self, dataset: Dataset, out: Path, images: fmt.Images, data_mb: int, video_mb: int) -> None:
        self._dataset = dataset
        self._spec = dataset.spec
        self._out = out
        self._images: fmt.Images = images
        self._limits = {"data_files_size_in_mb": data_mb, "video_files_size_in_mb": video_mb}
        self._frames = DataFiles(out, data_mb * _MEGABYTE)
        self._videos: dict[str, VideoFiles] = {}
        self._sizes: dict[str, tuple[int, ...]] | None = None
        """Camera to the shape of its pictures, from the first episode on."""
        self._stats = DatasetStats()
        self._rows: list[dict[str, Any]] = []
        """Of `fmt.EPISODES`."""
        self._described: dict[str, dict[str, Any]] = {}
        """Episodes of `fmt.EXPORT`."""
        self._side: list[Any] = []
        """Tables of `fmt.OBSERVATIONS`."""
        self._next: list[Any] = []
        """Tables of `fmt.NEXT_OBSERVATIONS`."""
        self._total = 0
        """Frames."""

    def __enter__(self) -> _Exporter:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def add(self, info: EpisodeInfo, transitions: Sequence[Transition]) -> None:
        """Write an episode, if it has transitions."""
        if not transitions:
            return
        spec = self._spec
        columns, length = to_columns(spec, transitions), len(transitions)
        success = info.result is not None and info.result.success
        frames = fmt.frame_columns(spec, columns, success, len(self._rows), self._total)
        tracks = self._tracks(info)
        ticks = fmt.see_ticks(spec, transitions)
        seen = {
            camera: [picture_at(info, camera, track, tick) for tick in ticks]
            for camera, track in tracks.items()
        }
        frames |= {f"{fmt.PICTURE_STAMP}{camera}": _stamps(found) for camera, found in seen.items()}
        pictures = {f"{fmt.IMAGES}{camera}": [one.image for one in found] for camera, found in seen.items()}
        row: dict[str, Any] = {"episode_index": len(self._rows), "tasks": [spec.name], "length": length}
        row |= {"dataset_from_index": self._total, "dataset_to_index": self._total + length}
        row |= self._write(frames, pictures)
        row |= meta.stats_row(self._stats.add(frames, pictures))
        self._rows.append(row)
        self._total += length
        name = fmt.name_of(transitions[0].key)
        self._described[name] = describe(self._dataset, info, length).to_json()
        self._keep_aside(info, transitions, columns, tracks)

    def finish(self) -> None:
        """Write the metadata."""
        if not self._rows:
            raise DatasetError("no episode of this data set has transitions: there is nothing to export")
        self._close()
        spec, out, digest = self._spec, self._out, self._dataset.digest
        counts = {"total_episodes": len(self._rows), "total_frames": self._total, "fps": fmt.rate(spec)}
        videos = {"video_path": fmt.VIDEO if self._videos else None}
        meta.write_info(out, counts | self._limits | videos | {"features": self._features()})
        meta.write_stats(out, self._stats.total())
        meta.write_task(out, spec.name)
        meta.write_episodes(out, self._rows)
        meta.write_readme(out, spec, digest, len(self._rows), self._total, self._images)
        export = {"format": fmt.FORMAT, "digest": digest, "images": self._images, "spec": spec.to_json()}
        meta.write_json(out / fmt.EXPORT, export | {"episodes": self._described})
        join = need("pyarrow", "pyarrow").concat_tables
        if fmt.side_names(spec.observation):
            write_table(join(self._side), out / fmt.OBSERVATIONS)
        write_table(join(self._next), out / fmt.NEXT_OBSERVATIONS)

    def _close(self) -> None:
        self._frames.close()
        for video in self._videos.values():
            video.close()

    def _tracks(self, info: EpisodeInfo) -> dict[str, CameraTrack]:
        """The pictures of an episode, of the same cameras in the same sizes as in all others."""
        if self._images == "none":
            return {}
        tracks = self._dataset.pictures(info)
        sizes = {camera: track.images[0].shape for camera, track in tracks.items()}
        if self._sizes is None:
            self._sizes = sizes
        if sizes != self._sizes:
            raise DatasetError(
                f"episode {info.episode.index} ({info.path}) has pictures of {_listed(sizes)}, the episodes "
                f"before it of {_listed(self._sizes)}: leave it out, or export without pictures "
                "(images='none')"
            )
        return tracks

    def _write(
        self, frames: Mapping[str, np.ndarray], pictures: Mapping[str, Sequence[np.ndarray]]
    ) -> dict[str, Any]:
        """Write the frames of an episode; returns where they are, as `fmt.EPISODES` says it."""
        table, where = to_table(frames), {}
        for key, images in pictures.items():
            if self._images == "png":
                table = table.append_column(key, picture_column(images))
                continue
            if key not in self._videos:
                limit = self._limits["video_files_size_in_mb"] * _MEGABYTE
                lossless, rate = self._images == "lossless", self._spec.control_rate
                self._videos[key] = VideoFiles(self._out, key, limit, rate, lossless)
            where |= self._videos[key].add(images)
        return where | self._frames.add(table)

    def _keep_aside(
        self,
        info: EpisodeInfo,
        transitions: Sequence[Transition],
        columns: Mapping[str, np.ndarray],
        tracks: Mapping[str, CameraTrack],
    ) -> None:
        """What has no place in the frames."""
        observation = self._spec.observation
        keys = {name: columns[name] for name in Key._fields}
        names = [OBSERVATION + name for name in fmt.side_names(observation)]
        self._side.append(to_table(keys | {name: columns[name] for name in names}))
        alone = np.array(fmt.needs_next(transitions))
        rows = {name: column[alone] for name, column in keys.items()}
        rows |= {OBSERVATION + name: columns[NEXT_OBSERVATION + name][alone] for name in observation}
        table = to_table(rows)
        for camera, track in tracks.items():
            stamps = columns["stamp"][alone].tolist()
            found = [picture_at(info, camera, track, stamp) for stamp in stamps]
            files = need("pyarrow", "pyarrow").array([encode_picture(one.image) for one in found])
            table = table.append_column(f"{fmt.PICTURE_STAMP}{camera}", to_arrow(_stamps(found)))
            table = table.append_column(f"{fmt.PICTURE}{camera}", files)
        self._next.append(table)

    def _features(self) -> dict[str, dict[str, Any]]:
        """Of the finished export."""
        cameras: dict[str, dict[str, Any]] = {}
        for camera, shape in (self._sizes or {}).items():
            kind = "image" if self._images == "png" else "video"
            names = ["height", "width", "channels"]
            cameras[camera] = {"dtype": kind, "shape": list(shape), "names": names}
            if kind == "video":
                cameras[camera]["info"] = self._videos[f"{fmt.IMAGES}{camera}"].info()
        return fmt.features(self._spec, cameras)


def _stamps(pictures: Sequence[StampedImage]) -> np.ndarray:
    return np.array([picture.stamp for picture in pictures], np.int64)


def _listed(sizes: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(f"{camera} {shape[0]} x {shape[1]}" for camera, shape in sizes.items()) or "no camera"
