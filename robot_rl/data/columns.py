"""Transitions as columns and back, bit for bit: what every foreign format is made of.

A column is an array whose first axis counts the transitions. `observation.NAME` and `next_observation.NAME`
have the dtypes of the spec, `action` and `proposal` that of the action; the others are in `SCALARS`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.core.errors import DatasetError, nearest
from robot_rl.core.spec import EnvSpec, Spec
from robot_rl.core.types import Episode, EpisodeResult, Key, Mode, Source, Transition
from robot_rl.data.dataset import Dataset
from robot_rl.data.episode_log import EpisodeInfo
from robot_rl.data.frame_labels import Correction, key_answers
from robot_rl.data.provenance import history

OBSERVATION, NEXT_OBSERVATION = "observation.", "next_observation."
"""What the names of the columns of an observation's arrays begin with."""

SCALARS = {
    "actor": "U",
    "run": "int64",
    "sequence": "int64",
    "episode": "int64",
    "step": "int64",
    "policy_version": "int64",
    "stamp": "int64",
    "reward": "float64",
    "penalty": "float64",
    "source": "int8",
    "terminated": "bool",
    "truncated": "bool",
}
"""Columns with one value a transition, and their dtypes; "U" is text. The first three are the key."""


@dataclass(frozen=True)
class EpisodeRows:
    """An episode and how many transitions it has."""

    episode: Episode
    result: EpisodeResult | None
    """None when the episode was not brought to its end."""
    rows: int
    labels: tuple[tuple[int, int], ...] = ()
    """Stamps of states [ns] and the stage that a person said by key is reached there."""
    corrections: tuple[Correction, ...] = ()
    """Frames labelled by hand."""
    history: tuple[dict[str, Any], ...] = ()
    """What was done to make it, see `robot_rl.data.provenance`."""

    def to_json(self) -> dict[str, Any]:
        """A JSON form."""
        names = [field.name for field in fields(EpisodeResult) if field.name != "episode"]
        return {
            "index": self.episode.index,
            "seed": self.episode.seed,
            "mode": self.episode.mode.value,
            "rows": self.rows,
            "result": {name: getattr(self.result, name) for name in names} if self.result else None,
            "labels": [list(label) for label in self.labels],
            "corrections": [[c.first, c.last, c.stage] for c in self.corrections],
            "history": list(self.history),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EpisodeRows:
        """Inverse of `to_json`; `DatasetError` when something is missing or unknown."""
        try:
            episode = Episode(int(data["index"]), int(data["seed"]), Mode(data["mode"]))
            result = EpisodeResult(episode=episode, **data["result"]) if data["result"] is not None else None
            labels = tuple((int(stamp), int(stage)) for stamp, stage in data["labels"])
            rows = data["corrections"]
            corrections = tuple(Correction(episode.index, *map(int, row)) for row in rows)
            history = tuple(map(dict, data["history"]))
            return cls(episode, result, int(data["rows"]), labels, corrections, history)
        except (KeyError, ValueError, TypeError) as error:
            raise DatasetError(f"the description of an episode is damaged: {error!r}") from None


@dataclass(frozen=True, eq=False)
class Table:
    """The transitions of a data set as columns, episode after episode."""

    spec: EnvSpec
    digest: str
    """Of the data set that it was made of."""
    episodes: tuple[EpisodeRows, ...]
    """In the order of their rows."""
    columns: dict[str, np.ndarray]
    """Those of `layout`, in its order."""

    def transitions(self) -> list[Transition]:
        """All transitions."""
        return to_transitions(self.spec, self.columns)

    def by_episode(self) -> Iterator[tuple[EpisodeRows, list[Transition]]]:
        """Each episode with its transitions."""
        start = 0
        for episode in self.episodes:
            rows = {name: column[start : start + episode.rows] for name, column in self.columns.items()}
            yield episode, to_transitions(self.spec, rows)
            start += episode.rows

    def check(self, where: str) -> Table:
        """Return the table when its columns are those of its spec and episodes, or raise `DatasetError`."""
        count = sum(episode.rows for episode in self.episodes)
        for name, (dtype, shape) in layout(self.spec).items():
            if name not in self.columns:
                raise DatasetError(f"{where} has no column {name!r}; {nearest(name, self.columns)}")
            found, wanted = self.columns[name], np.dtype(dtype)
            fits = found.dtype.kind == "U" if wanted.kind == "U" else found.dtype == wanted
            if not fits or found.shape != (count, *shape):
                raise DatasetError(
                    f"{where}: column {name!r} is {found.dtype} {found.shape}, its spec and episodes "
                    f"say {dtype} {(count, *shape)}"
                )
        return self


def own_transitions(dataset: Dataset) -> Iterator[tuple[EpisodeInfo, list[Transition]]]:
    """Each episode of a data set with its transitions.

    Raises:
        DatasetError: Two transitions have the same key, by which other formats tell them apart.
    """
    seen: dict[Key, EpisodeInfo] = {}
    for info in dataset.episodes:
        transitions = dataset.transitions(info)
        for transition in transitions:
            twin = seen.setdefault(transition.key, info)
            if twin is not info:
                raise DatasetError(
                    f"transitions of {twin.path} and of {info.path} have the same keys: merge the runs into "
                    "one data set first (robot-rl data merge), which gives them new ones"
                )
        yield info, transitions


def describe(dataset: Dataset, info: EpisodeInfo, rows: int) -> EpisodeRows:
    """What is known of an episode with so many transitions."""
    labels = tuple(sorted((stamp, stage) for stamp, stage in key_answers(info).items() if stage >= 0))
    done = tuple(history(info.path))
    return EpisodeRows(info.episode, info.result, rows, labels, dataset.corrections(info), done)


def layout(spec: EnvSpec) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name of each column to its dtype and the shape of one row."""
    arrays = spec.observation.entries
    rows: dict[str, tuple[str, tuple[int, ...]]] = {name: (dtype, ()) for name, dtype in SCALARS.items()}
    rows |= {name: (spec.action.dtype, spec.action.shape) for name in ("action", "proposal")}
    rows |= {OBSERVATION + name: (array.dtype, array.shape) for name, array in arrays}
    return rows | {NEXT_OBSERVATION + name: (array.dtype, array.shape) for name, array in arrays}


def to_columns(spec: EnvSpec, transitions: Sequence[Transition]) -> dict[str, np.ndarray]:
    """The columns of `layout`."""

    def value(transition: Transition, name: str) -> Any:
        if name in Key._fields:
            return getattr(transition.key, name)
        for prefix, arrays in (
            (OBSERVATION, transition.observation),
            (NEXT_OBSERVATION, transition.next_observation),
        ):
            if name.startswith(prefix):
                return arrays[name.removeprefix(prefix)]
        return getattr(transition, name)

    columns = {}
    for name, (dtype, shape) in layout(spec).items():
        column = np.array([value(transition, name) for transition in transitions], dtype)
        columns[name] = column.reshape(len(transitions), *shape)
    return columns


def to_transitions(spec: EnvSpec, columns: Mapping[str, np.ndarray]) -> list[Transition]:
    """Inverse of `to_columns`; the arrays are views of the columns."""
    scalars = {name: columns[name].tolist() for name in SCALARS}
    return [
        Transition(
            key=Key(*(scalars[name][i] for name in Key._fields)),
            observation=_row(spec.observation, columns, OBSERVATION, i),
            next_observation=_row(spec.observation, columns, NEXT_OBSERVATION, i),
            action=columns["action"][i],
            proposal=columns["proposal"][i],
            source=Source(scalars["source"][i]),
            **{
                name: values[i]
                for name, values in scalars.items()
                if name not in Key._fields and name != "source"
            },
        )
        for i in range(len(columns["stamp"]))
    ]


@contextmanager
def made_whole(out: Path) -> Iterator[Path]:
    """A path to write to, a file or a folder, which becomes `out` when all went well and goes away if not.

    Raises:
        DatasetError: `out` exists and is no empty folder.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DatasetError(f"{out} exists already: nothing is written over; give another place")
    partial = out.with_name(out.name + ".partial")
    _remove(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        if out.is_dir():
            out.rmdir()
        partial.replace(out)
    finally:
        _remove(partial)


def _row(spec: Spec, columns: Mapping[str, np.ndarray], prefix: str, i: int) -> dict[str, np.ndarray]:
    # An index keeps a scalar an array, which NumPy would make a number of.
    return {name: columns[prefix + name][i, ...] for name in spec}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
