"""A trainable encoder: a small strided CNN for each camera, learned with the critics from shifted pictures.

After DrQ-v2 (Yarats et al. 2021, arXiv:2107.09645): random shifts of up to 4 pixels, convolutions that only
the critics' loss moves, no target copy of them, and a trunk of its own for each network (`networks.see`).
The names of the arrays are those of `policies.convolutions`, which runs the same network in NumPy.

On a CPU one environment step takes tens of seconds; this is for hosts with a GPU.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from policies.convolutions import SIDE, STRIDE, after, name_of
from robot_rl.learn.replay import Batch

Params = dict[str, jax.Array]

CHANNELS = (32, 32, 32, 32)
"""Of each convolution."""


def feature_count(height: int, width: int) -> int:
    """Features that the encoder makes of a picture of one camera."""
    for _ in CHANNELS:
        height, width = after(height), after(width)
    return height * width * CHANNELS[-1]


def init(key: jax.Array, cameras: int) -> Params:
    """He's normal weights (He et al. 2015), zero biases."""
    params: Params = {}
    for camera in range(cameras):
        channels = 3
        for layer, width in enumerate(CHANNELS):
            key, layer_key = jax.random.split(key)
            scale = math.sqrt(2.0 / (SIDE * SIDE * channels))
            normal = jax.random.normal(layer_key, (SIDE, SIDE, channels, width), jnp.float32)
            params[name_of(camera, layer, "weight")] = scale * normal
            params[name_of(camera, layer, "bias")] = jnp.zeros(width, jnp.float32)
            channels = width
    return params


def encode(params: Params, pictures: jax.Array) -> jax.Array:
    """Features (n, f) float32 of pictures (n, cameras, h, w, 3) uint8."""
    parts = []
    for camera in range(pictures.shape[1]):
        maps = pictures[:, camera].astype(jnp.float32) / 255.0 - 0.5
        for layer in range(len(CHANNELS)):
            weight, bias = (params[name_of(camera, layer, part)] for part in ("weight", "bias"))
            maps = jax.lax.conv_general_dilated(
                maps, weight, (STRIDE, STRIDE), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            maps = jax.nn.relu(maps + bias)
        parts.append(maps.reshape(len(maps), -1))
    return jnp.concatenate(parts, axis=-1)


def encoded(params: Params | None, batch: Batch) -> Batch:
    """The batch with features where it has pictures; as it is when there is no encoder to train."""
    if params is None or batch.features is None or batch.next_features is None:
        return batch
    return batch._replace(
        features=encode(params, batch.features), next_features=encode(params, batch.next_features)
    )
