"""Columns as Apache Arrow arrays, in Parquet files, bit for bit."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.core.errors import DatasetError, MissingDependencyError


def need(module: str, package: str) -> Any:
    """A module of the extra "data", which is heavy and loaded only where it is needed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingDependencyError(
            package, "a data set in another format", "pip install 'robot-rl[data]'"
        ) from None


def to_arrow(column: np.ndarray) -> Any:
    """(n, ...) as an Arrow array: numbers and text as they are, arrays as flat lists of fixed size."""
    pa = need("pyarrow", "pyarrow")
    if column.dtype.kind == "U":
        return pa.array(column.tolist(), pa.string())
    if column.ndim == 1:
        return pa.array(np.ascontiguousarray(column))
    size = int(np.prod(column.shape[1:]))
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(column).reshape(-1)), size)


def to_numpy(column: Any, dtype: str, shape: tuple[int, ...] = ()) -> np.ndarray:
    """Inverse of `to_arrow`, of an array or of a chunked one, whatever kind of list it is made of.

    Raises:
        DatasetError: The values are not of this dtype and shape.
    """
    pa = need("pyarrow", "pyarrow")
    rows, values = len(column), column
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    while pa.types.is_nested(values.type) and not pa.types.is_struct(values.type):
        values = values.flatten()
    if values.null_count:
        raise DatasetError(f"{values.null_count} of its {len(values)} values are missing")
    if np.dtype(dtype).kind == "U":
        return np.array(values.to_pylist(), "U").reshape(rows, *shape)
    found = np.asarray(values.to_numpy(zero_copy_only=False))
    if found.dtype != dtype or found.size != rows * int(np.prod(shape)):
        raise DatasetError(f"{found.size} values of {found.dtype} in {rows} rows, expected {dtype} {shape}")
    return found.reshape(rows, *shape)


def to_table(columns: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> Any:
    """An Arrow table, with these keys in the metadata of its schema."""
    pa = need("pyarrow", "pyarrow")
    table = pa.table({name: to_arrow(column) for name, column in columns.items()})
    return table.replace_schema_metadata(dict(metadata)) if metadata else table


def write_table(table: Any, path: Path) -> None:
    """Write a table into one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with parquet_writer(path, table.schema) as writer:
        writer.write_table(table)


def parquet_writer(path: Path, schema: Any) -> Any:
    """A writer of tables of this schema; each one becomes a row group.

    Numbers are not written through a dictionary, which may take one NaN for another.
    """
    pa, pq = need("pyarrow", "pyarrow"), need("pyarrow.parquet", "pyarrow")
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=texts)


def read_table(path: Path) -> Any:
    """The table in a file, with the file's metadata; `DatasetError` names a missing or damaged file."""
    pa, pq = need("pyarrow", "pyarrow"), need("pyarrow.parquet", "pyarrow")
    try:
        with pq.ParquetFile(path) as file:
            return file.read().replace_schema_metadata(file.metadata.metadata)
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing") from None
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path} is not a Parquet file, or a damaged one: {error}") from None
