"""Checkpoints: arrays in safetensors, the rest in JSON, written so that a crash leaves the old one whole.

`checkpoint.json` is replaced in one step and names its array file with a sha256; an array file without a
JSON that names it is left over from a crash and is removed by the next save.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from robot_rl.core.errors import CheckpointError

FORMAT = 1
INDEX = "checkpoint.json"


def _write(path: Path, data: bytes) -> None:
    """Write, flush to the disk, and only then take the final name."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write(directory: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write a checkpoint into `directory`, over the one that is there."""
    directory.mkdir(parents=True, exist_ok=True)
    # Not ascontiguousarray, which makes a vector of a scalar.
    data = safetensors.numpy.save({k: np.asarray(v, order="C") for k, v in arrays.items()})
    digest = hashlib.sha256(data).hexdigest()
    name = f"arrays-{digest[:16]}.safetensors"
    _write(directory / name, data)
    index = {"format": FORMAT, "arrays": name, "sha256": digest, **facts}
    _write(directory / INDEX, json.dumps(index, indent=2).encode())
    for old in directory.glob("arrays-*.safetensors*"):
        if old.name != name:
            old.unlink()


def read(directory: Path, required: Iterable[str] = ()) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts of the checkpoint in `directory`; `CheckpointError` when anything is amiss.

    `required` names the facts that must be there.
    """
    path = directory / INDEX
    try:
        facts = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint in {directory}: {INDEX} is missing") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        found = facts.get("format") if isinstance(facts, dict) else facts
        raise CheckpointError(f"{path} has format {found!r}; this version reads format {FORMAT}")
    if missing := [key for key in ("arrays", "sha256", *required) if key not in facts]:
        raise CheckpointError(f"{path} lacks the keys {missing}")
    file, digest = directory / facts.pop("arrays"), facts.pop("sha256")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{error.filename} of the checkpoint cannot be read: {error.strerror}"
        ) from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise CheckpointError(f"{file} is damaged: its sha256 is not the one in {INDEX}")
    try:
        return safetensors.numpy.load(data), facts
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{file} is not a safetensors file: {error}") from None
