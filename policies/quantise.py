"""Weights in fewer bits: half-precision floats, or int8 with one scale for each output."""

from __future__ import annotations

import numpy as np

from policies.dense import Dense
from robot_rl.core.errors import PolicyError

FORMATS = ("float32", "fp16", "int8")
"""Formats of weights. Biases and arithmetic are float32 in all of them."""
INT8_RANGE = 127


def quantised(layer: Dense, form: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Weights as they are stored, (in, out), and for int8 their scales (out,) float32.

    Raises:
        PolicyError: A weight is too large for half precision.
    """
    if form == "float32":
        return layer.weight, None
    if form == "fp16":
        largest = float(np.abs(layer.weight).max())
        if largest > float(np.finfo(np.float16).max):
            raise PolicyError(f"a weight of {largest:g} is too large for fp16; use float32")
        return layer.weight.astype(np.float16), None
    scale = np.abs(layer.weight).max(axis=0) / INT8_RANGE
    scale = np.where(scale > 0.0, scale, 1.0).astype(np.float32)
    return np.rint(layer.weight / scale).astype(np.int8), scale


def restored(layer: Dense, form: str) -> Dense:
    """The layer as it acts with quantised weights."""
    weight, scale = quantised(layer, form)
    weight = weight.astype(np.float32)
    return Dense(weight if scale is None else weight * scale, layer.bias, layer.activation)
