"""The LeRobot data set format v3.0, and how our transitions lie in it.

    meta/info.json                          version, frame rate, features: name to dtype, shape, names
    meta/stats.json                         statistics of each feature
    meta/tasks.parquet                      task_index, with the task's name as the table's index
    meta/episodes/chunk-000/file-000.parquet  a row an episode: length, where its frames and videos lie
    data/chunk-000/file-000.parquet         a row a frame: numbers, and pictures as PNG where wanted
    videos/KEY/chunk-000/file-000.mp4       the frames of one camera, episode after episode
    meta/robot_rl/                          ours: what the format has no place for

A frame is a transition: `observation.*` is its observation, `action` the executed action, and `next.*` what
came of it. Its next observation is the next frame's. What else a transition has is in features `robot_rl.*`,
so that tools that split or join data sets keep it. In `meta/robot_rl/`:

    export.json                the spec, each episode's result and labels, the digest of the data set
    observations.parquet       arrays that are no float32 vectors, such as the features of an encoder
    next_observations.parquet  of the transitions that no frame with their next observation follows, and
                               its pictures: the last one of every episode

Rows of the two tables name their transition by its key, and `export.json` an episode by that of its first.

Source: the documentation of the format, https://huggingface.co/docs/lerobot/lerobot-dataset-v3, and the
loader of lerobot 0.4.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from robot_rl.core.errors import DatasetError
from robot_rl.core.spec import EnvSpec, Spec
from robot_rl.core.types import Key, Transition
from robot_rl.data.columns import OBSERVATION, SCALARS

VERSION = "v3.0"

INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
FILES_PER_CHUNK = 1000

STATE, IMAGES, ACTION = "observation.state", "observation.images.", "action"
OURS = "robot_rl."
"""What the names of our own features begin with."""
PICTURE_STAMP = f"{OURS}picture_stamp."
"""Feature of the exposure of a camera's picture [ns], before the camera's name."""
EXPORT = "meta/robot_rl/export.json"
OBSERVATIONS = "meta/robot_rl/observations.parquet"
NEXT_OBSERVATIONS = "meta/robot_rl/next_observations.parquet"
PICTURE = "picture."
"""Column of PNG files in `NEXT_OBSERVATIONS`, before the camera's name."""
FORMAT = 1
"""Version of what is ours."""

Images = Literal["video", "lossless", "png", "none"]
"""How pictures are exported: as video; as video that gives back every bit; as PNG files; not at all."""

_INDICES = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
_OUTCOME = {"next.reward": "float32", "next.done": "bool", "next.success": "bool"}
_EXACT = {name: dtype for name, dtype in SCALARS.items() if name != "episode"}
"""Ours; an episode's index is in `EXPORT`."""


def place(count: int) -> dict[str, int]:
    """Chunk and file after so many files."""
    chunk, file = divmod(count, FILES_PER_CHUNK)
    return {"chunk_index": chunk, "file_index": file}


def rate(spec: EnvSpec) -> int | float:
    """The frame rate, as an integer where it is one [Hz]."""
    return int(spec.control_rate) if spec.control_rate.is_integer() else spec.control_rate


def element_names(spec: Spec) -> list[str]:
    """Name of each element of the packed vector: ARRAY for a scalar, ARRAY.ELEMENT for others."""
    names: list[str] = []
    for name in spec.vector_names:
        array = spec[name]
        elements = array.names or tuple(map(str, range(array.size)))
        names += [f"{name}.{element}" for element in elements] if array.shape else [name]
    return names


def side_names(spec: Spec) -> list[str]:
    """The arrays that are not in the packed vector."""
    return [name for name in spec if name not in spec.vector_names]


def features(spec: EnvSpec, cameras: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """`features` of `INFO`: name to dtype, shape and names of the elements.

    Args:
        spec: Of the transitions.
        cameras: Camera to the feature of its pictures.
    """
    action = list(spec.action.names) or [f"action.{i}" for i in range(spec.action.size)]
    rows: dict[str, dict[str, Any]] = {}
    if spec.observation.vector_size:
        rows[STATE] = feature("float32", spec.observation.vector_size, element_names(spec.observation))
    rows |= {f"{IMAGES}{camera}": dict(row) for camera, row in cameras.items()}
    rows[ACTION] = feature(spec.action.dtype, spec.action.size, action)
    rows |= {name: feature(dtype) for name, dtype in _OUTCOME.items()}
    rows[f"{OURS}proposal"] = feature(spec.action.dtype, spec.action.size, action)
    rows |= {OURS + name: feature("string" if dtype == "U" else dtype) for name, dtype in _EXACT.items()}
    rows |= {f"{PICTURE_STAMP}{camera}": feature("int64") for camera in cameras}
    return rows | {name: feature(dtype) for name, dtype in _INDICES.items()}


def feature(dtype: str, size: int = 1, names: Sequence[str] | None = None) -> dict[str, Any]:
    """A feature of numbers or text."""
    return {"dtype": dtype, "shape": [size], "names": list(names) if names is not None else None}


def frame_columns(
    spec: EnvSpec, columns: Mapping[str, np.ndarray], success: bool, episode: int, index: int
) -> dict[str, np.ndarray]:
    """The numbers of an episode's frames, as `features` names them.

    Args:
        spec: Of the transitions.
        columns: Of `robot_rl.data.columns`.
        success: The episode ended in success.
        episode: Number of the episode in the export.
        index: Number of its first frame in the export.
    """
    count = len(columns["stamp"])
    last = np.arange(count) == count - 1
    rows: dict[str, np.ndarray] = {}
    if spec.observation.vector_size:
        arrays = [columns[OBSERVATION + name].reshape(count, -1) for name in spec.observation.vector_names]
        rows[STATE] = np.concatenate(arrays, axis=1)
    rows[ACTION] = columns["action"].reshape(count, -1)
    rows["next.reward"] = columns["reward"].astype(np.float32)
    rows["next.done"] = columns["terminated"] | columns["truncated"] | last
    rows["next.success"] = last & success
    rows[f"{OURS}proposal"] = columns["proposal"].reshape(count, -1)
    rows |= {OURS + name: columns[name] for name in _EXACT}
    rows["timestamp"] = (np.arange(count) / spec.control_rate).astype(np.float32)
    rows["frame_index"] = np.arange(count)
    rows["episode_index"] = np.full(count, episode)
    rows["index"] = np.arange(index, index + count)
    rows["task_index"] = np.zeros(count, np.int64)
    # One number a frame is a number there, not a list of one.
    return {name: row[:, 0] if row.ndim == 2 and row.shape[1] == 1 else row for name, row in rows.items()}


def columns_of(
    spec: EnvSpec, frames: Mapping[str, np.ndarray], episode: int, side: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Inverse of `frame_columns`, without the next observations.

    Args:
        spec: Of the transitions.
        frames: Columns of the frames.
        episode: The index that the episode had.
        side: The arrays of `side_names`.
    """
    count = len(frames["index"])
    columns = {name: frames[OURS + name] for name in _EXACT}
    columns["episode"] = np.full(count, episode)
    columns["action"] = frames[ACTION].reshape(count, *spec.action.shape)
    columns["proposal"] = frames[f"{OURS}proposal"].reshape(count, *spec.action.shape)
    state = frames[STATE].reshape(count, -1) if STATE in frames else np.zeros((count, 0), np.float32)
    vectors = spec.observation.unpack(state)
    for name in spec.observation:
        columns[OBSERVATION + name] = vectors[name] if name in vectors else side[name]
    return columns


def numeric_layout(info: Mapping[str, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Features that are numbers or text to their dtype and shape; () for one value a frame."""
    rows = {}
    for name, row in info["features"].items():
        if row["dtype"] not in ("video", "image"):
            shape = tuple(row["shape"])
            dtype = "U" if row["dtype"] == "string" else row["dtype"]
            rows[name] = (dtype, () if shape == (1,) else shape)
    return rows


def name_of(key: Key) -> str:
    """A key as text: what `EXPORT` calls the episode that begins with it."""
    return f"{key.actor}/{key.run}/{key.sequence}"


def needs_next(transitions: Sequence[Transition]) -> list[bool]:
    """Whether each transition's next observation is not bit for bit the observation of the one after it."""
    rows = [not _same(a.next_observation, b.observation) for a, b in pairwise(transitions)]
    return [*rows, True] if transitions else []


def see_ticks(spec: EnvSpec, transitions: Sequence[Transition]) -> list[int]:
    """The stamp of each transition's observation [ns]: the end of the step before it."""
    period = round(1e9 / spec.control_rate)
    before = [None, *transitions[:-1]]
    return [
        b.stamp if b is not None and b.step + 1 == t.step else t.stamp - period
        for b, t in zip(before, transitions, strict=True)
    ]


def check_version(info: Mapping[str, Any], where: str) -> None:
    """Raise `DatasetError` unless the version of a data set is one that we read."""
    version = str(info.get("codebase_version", "unknown"))
    if version.startswith("v2"):
        raise DatasetError(
            f"{where} is a LeRobot data set of version {version}, {VERSION} is read. Convert it: "
            "python -m lerobot.datasets.v30.convert_dataset_v21_to_v30 --repo-id=NAME --root=FOLDER"
        )
    if not version.startswith("v3."):
        raise DatasetError(f"{where} is a LeRobot data set of version {version}; valid: {VERSION}")


def _same(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    return all(a[name].tobytes() == b[name].tobytes() for name in a)
