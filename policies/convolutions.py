"""A small strided CNN in NumPy: the encoder of policies that were trained end to end.

For the N-th camera, named in the order of the spec (all float32):

    encoder.N.M.weight (3, 3, in, out), encoder.N.M.bias (out,)     the M-th convolution: 3x3, stride 2, a
                                                                    border of one zero, then ReLU

The input is the picture over 255, less 0.5; the features are the last map, flattened row by row, cameras side
by side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from robot_rl.core.errors import PolicyError
from robot_rl.core.spec import Spec

PREFIX = "encoder."
SIDE, STRIDE = 3, 2
"""Side and stride of every convolution [pixels]."""

Convolution = tuple[np.ndarray, np.ndarray]


def name_of(camera: int, layer: int, part: str) -> str:
    """Name of an array of the encoder."""
    return f"{PREFIX}{camera}.{layer}.{part}"


def after(length: int) -> int:
    """Length of a side behind a convolution."""
    return (length - 1) // STRIDE + 1


def layers_of(weights: Mapping[str, np.ndarray], camera: int) -> list[Convolution]:
    """The convolutions of a camera, (9 in, out) and (out,)."""
    layers = []
    while (name := name_of(camera, len(layers), "weight")) in weights:
        weight = weights[name]
        bias = weights[name_of(camera, len(layers), "bias")]
        layers.append((weight.reshape(-1, weight.shape[-1]), bias))
    return layers


def encode(layers: Sequence[Convolution], picture: np.ndarray) -> np.ndarray:
    """Features (f,) float32 of one picture (h, w, 3) uint8."""
    maps = picture.astype(np.float32) / np.float32(255.0) - np.float32(0.5)
    for weight, bias in layers:
        padded = np.pad(maps, ((1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (SIDE, SIDE), (0, 1))
        windows = windows[::STRIDE, ::STRIDE].transpose(0, 1, 3, 4, 2)  # (h', w', 3, 3, in)
        height, width = windows.shape[:2]
        maps = np.maximum(windows.reshape(height * width, -1) @ weight + bias, 0.0)
        maps = maps.reshape(height, width, -1)
    return maps.ravel()


def check(weights: Mapping[str, np.ndarray], spec: Spec) -> tuple[set[str], int]:
    """Names of the encoder's arrays, and how many features it makes; `PolicyError` unless it fits."""
    known: set[str] = set()
    features = 0
    for camera, image in enumerate(spec.image_names):
        height, width, channels = spec[image].shape
        layer = 0
        while (name := name_of(camera, layer, "weight")) in weights:
            shape, bias = weights[name].shape, name_of(camera, layer, "bias")
            if len(shape) != 4 or shape[:3] != (SIDE, SIDE, channels):
                raise PolicyError(f"{name} has shape {shape}, expected ({SIDE}, {SIDE}, {channels}, outputs)")
            channels = shape[3]
            if (found := weights.get(bias, np.zeros(0)).shape) != (channels,):
                raise PolicyError(f"{bias} has shape {found}, expected ({channels},)")
            height, width, layer = after(height), after(width), layer + 1
            known |= {name, bias}
        if layer == 0:
            raise PolicyError(f"the weights hold no array {name} for the camera of {image!r}")
        features += math.prod((height, width, channels))
    return known, features
