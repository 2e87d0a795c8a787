"""Exported policies compiled into shared libraries, for the tests of the C code."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from policies.firmware import CORTEX_M4, FOLDER, missing_tools

cross = pytest.mark.skipif(
    bool(missing_tools([CORTEX_M4])) and not os.environ.get("CI"),
    reason="needs a cross compiler and QEMU: make firmware-deps",
)
"""Marks what builds for a microcontroller."""

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wdouble-promotion", "-Werror")
FLAGS = ("-std=c99", "-O2", "-ffp-contract=fast", *WARNINGS)

ROWS = """
#include "policy.h"
void run(const float *x, float *y, int rows);
void run(const float *x, float *y, int rows)
{
    for (int i = 0; i < rows; i++) {
        policy_act(x + i * POLICY_INPUTS, y + i * POLICY_OUTPUTS);
    }
}
void squash(float *x, int count);
void squash(float *x, int count) { mlp_tanh(x, count); }
void widen(const uint16_t *bits, float *y, int count);
void widen(const uint16_t *bits, float *y, int count)
{
    for (int i = 0; i < count; i++) {
        y[i] = mlp_half(bits[i]);
    }
}
"""


def compiled(directory: Path, *sources: Path, includes: tuple[Path, ...] = ()) -> ctypes.CDLL:
    """A shared library of these sources with the `policy.h` in `directory`."""
    library = directory / "policy.so"
    folders = [f"-I{folder}" for folder in (FOLDER / "include", directory, *includes)]
    command = [shutil.which("cc") or "cc", *FLAGS, "-shared", "-fPIC", *folders, *map(str, sources)]
    subprocess.run([*command, "-lm", "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


def compiled_rows(directory: Path) -> ctypes.CDLL:
    """A library that runs the policy over rows of observations."""
    source = directory / "rows.c"
    source.write_text(ROWS)
    return compiled(directory, source)


def run(library: ctypes.CDLL, vectors: np.ndarray, outputs: int) -> np.ndarray:
    """Actions of the compiled policy."""
    vectors = np.ascontiguousarray(vectors, np.float32)
    actions = np.empty((len(vectors), outputs), np.float32)
    library.run(pointer(vectors), pointer(actions), ctypes.c_int(len(vectors)))
    return actions


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
