"""Data sets as one plain file: Parquet for every table tool, NPZ for NumPy alone.

One row a transition, with the columns of `robot_rl.data.columns`, both observations in full; in a Parquet
file the arrays lie flat in their rows. Spec, episodes and the digest of the data set are JSON text under the
name `robot_rl`: in the Parquet file's metadata, or one of the arrays of the NPZ file. Pictures and other
topics stay in the logs.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.core.errors import DatasetError, SpecError
from robot_rl.core.spec import EnvSpec
from robot_rl.data.arrow import parquet_writer, read_table, to_numpy, to_table
from robot_rl.data.columns import (
    EpisodeRows,
    Table,
    describe,
    layout,
    made_whole,
    own_transitions,
    to_columns,
)
from robot_rl.data.dataset import Dataset
from robot_rl.data.relog import write_logs

_KEY = "robot_rl"
_FORMAT = 1


def export_parquet(dataset: Dataset, out: Path) -> None:
    """Write the transitions of a data set into one Parquet file, an episode a row group.

    Raises:
        DatasetError: `out` exists, or runs with the same keys were not merged.
        MissingDependencyError: pyarrow is not installed.
    """
    schema = to_table(to_columns(dataset.spec, ())).schema
    with made_whole(out) as partial, parquet_writer(partial, schema) as writer:
        episodes = []
        for info, transitions in own_transitions(dataset):
            episodes.append(describe(dataset, info, len(transitions)))
            writer.write_table(to_table(to_columns(dataset.spec, transitions)))
        writer.add_key_value_metadata({_KEY: _header(dataset, episodes)})


def read_parquet(path: Path) -> Table:
    """Read what `export_parquet` wrote.

    Raises:
        DatasetError: The file is missing, damaged or another one's.
        MissingDependencyError: pyarrow is not installed.
    """
    table = read_table(path)
    text = (table.schema.metadata or {}).get(_KEY.encode())

    def column(name: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
        return to_numpy(table.column(name), dtype, shape)

    return _table(path, text, table.column_names, column)


def export_npz(dataset: Dataset, out: Path) -> None:
    """Write the transitions of a data set into one compressed NPZ file, which needs no pickle to be read.

    Raises:
        DatasetError: `out` exists, or runs with the same keys were not merged.
    """
    episodes, transitions = [], []
    for info, own in own_transitions(dataset):
        episodes.append(describe(dataset, info, len(own)))
        transitions += own
    columns = to_columns(dataset.spec, transitions)
    # `savez` appends its suffix to a name, but not to an open file.
    with made_whole(out) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file, allow_pickle=False, **{_KEY: np.array(_header(dataset, episodes)), **columns}
        )


def read_npz(path: Path) -> Table:
    """Read what `export_npz` wrote; `DatasetError` when the file is missing, damaged or another one's."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing") from None
    except (ValueError, OSError, zipfile.BadZipFile, EOFError, AttributeError) as error:
        raise DatasetError(f"{path} is not an NPZ file, or a damaged one: {error}") from None
    text = str(arrays.pop(_KEY)) if _KEY in arrays else None
    return _table(path, text, list(arrays), lambda name, *_: arrays[name])


def import_plain(path: Path, out: Path) -> Dataset:
    """Make episode logs in the new folder `out` of what `export_parquet` or `export_npz` wrote.

    Raises:
        DatasetError: `out` exists, or the file cannot be read; its suffix says which of the two it is.
    """
    readers = {".parquet": read_parquet, ".npz": read_npz}
    if path.suffix not in readers:
        raise DatasetError(f"{path}: its suffix says nothing; valid: {', '.join(readers)}")
    table = readers[path.suffix](path)
    with made_whole(out) as partial:
        step = {"operation": "import", "arguments": {"file": path.name}, "source": table.digest}
        write_logs(partial, table.spec, ((*one, ()) for one in table.by_episode()), step)
    return Dataset.open(out)


def _header(dataset: Dataset, episodes: Sequence[EpisodeRows]) -> str:
    return json.dumps(
        {
            "format": _FORMAT,
            "digest": dataset.digest,
            "spec": dataset.spec.to_json(),
            "episodes": [episode.to_json() for episode in episodes],
        }
    )


def _table(
    path: Path,
    header: bytes | str | None,
    names: Sequence[str],
    column: Callable[[str, str, tuple[int, ...]], np.ndarray],
) -> Table:
    """Put the parts of a file together, and see that they fit."""
    if header is None:
        raise DatasetError(f"{path} was not written by robot_rl: it has no text {_KEY!r} with the spec")
    data: dict[str, Any] = {}
    try:
        data = json.loads(header)
        if data["format"] != _FORMAT:
            raise DatasetError(f"{path} has format {data['format']!r}; this version reads format {_FORMAT}")
        spec = EnvSpec.from_json(data["spec"])
        episodes = tuple(EpisodeRows.from_json(row) for row in data["episodes"])
        digest = str(data["digest"])
    except (ValueError, KeyError, TypeError, SpecError) as error:
        raise DatasetError(f"{path}: its description is damaged: {error!r}") from None
    columns = {}
    for name, (dtype, shape) in layout(spec).items():
        if name in names:
            try:
                columns[name] = column(name, dtype, shape)
            except DatasetError as error:
                raise DatasetError(f"{path}: column {name!r}: {error}") from None
    return Table(spec, digest, episodes, columns).check(str(path))
