"""Replay on the device: one array of packed rows, split into an online and a demonstration ring.

A row holds one transition as float32: observation (scaled), action, next observation (scaled), reward,
penalty, and `continues`, which is 0 at the end of the task and 1 everywhere else, time limits included.
Both rings share one array so that a mixed batch is a single gather.

Where a policy sees, a second array of float16 holds the features of every row's two pictures, encoded when
they were taken: the centre view and K randomly shifted crops. Whenever a row is drawn, each picture of each
camera shows one of its 1 + K views, all equally likely (the random shifts of DrQ, Kostrikov et al. 2021,
made before instead of after sampling). The centre, which the policy acts on, is one of them.

Where the encoder itself is trained, that array holds the pictures as uint8 instead, and a view is one of the
81 shifts of up to 4 pixels, made when the row is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import Transition

SHIFT = 4
"""Largest shift of a picture, either way (DrQ) [pixels]."""
SHIFTS = (2 * SHIFT + 1) ** 2


@dataclass(frozen=True)
class Rings:
    """Sizes of the two rings."""

    online: int
    demo: int


class Replay(NamedTuple):
    """The rings' rows and how many rows each has ever taken."""

    rows: jax.Array  # (online + demo, width)
    online_total: jax.Array  # () int32
    demo_total: jax.Array  # () int32
    features: jax.Array | None = None
    """(online + demo, 2, views, f) float16 of observation and next observation; None without cameras. For an
    encoder that is trained: pictures (online + demo, 2, cameras, h, w, 3) uint8."""


class Chosen(NamedTuple):
    """Which rows a batch takes, and which views of their pictures."""

    rows: jax.Array  # (..., batch) int32
    views: jax.Array | None  # (..., batch, 2, cameras) int32; None where there is but one


class Batch(NamedTuple):
    """Transitions by field; leading axes as sampled."""

    observation: jax.Array
    action: jax.Array
    next_observation: jax.Array
    reward: jax.Array
    penalty: jax.Array
    continues: jax.Array
    features: jax.Array | None = None
    """(n, f) of the observation's pictures; None without cameras. For an encoder that is trained: the
    pictures (n, cameras, h, w, 3) uint8, until it encodes them."""
    next_features: jax.Array | None = None


def row_width(spec: EnvSpec) -> int:
    """Floats in one packed transition."""
    return 2 * spec.observation.vector_size + spec.action.size + 3


def pack(spec: EnvSpec, transition: Transition) -> np.ndarray:
    """One transition as a row (width,) float32."""
    scale = spec.observation.vector_scale
    tail = (transition.reward, transition.penalty, 0.0 if transition.terminated else 1.0)
    return np.concatenate(
        [
            spec.observation.vector(transition.observation) / scale,
            transition.action,
            spec.observation.vector(transition.next_observation) / scale,
            np.asarray(tail, np.float32),
        ],
        dtype=np.float32,
    )


def unpack(rows: jax.Array, observations: int, actions: int) -> Batch:
    """Rows (..., width) by field."""
    end = observations + actions
    return Batch(
        observation=rows[..., :observations],
        action=rows[..., observations:end],
        next_observation=rows[..., end : end + observations],
        reward=rows[..., -3],
        penalty=rows[..., -2],
        continues=rows[..., -1],
    )


def pack_features(spec: EnvSpec, transition: Transition) -> np.ndarray | None:
    """Features (2, views, f) float16 of a transition's pictures, or the pictures; None without cameras."""
    seen = spec.observation
    if seen.image_names:
        pairs = transition.observation, transition.next_observation
        return np.stack([np.stack([pair[name] for name in seen.image_names]) for pair in pairs])
    if not seen.feature_names:
        return None
    return np.stack([seen.views(transition.observation), seen.views(transition.next_observation)])


def create(rings: Rings, width: int, sight: jax.ShapeDtypeStruct | None = None) -> Replay:
    """Empty rings for rows of `width` floats and what `sight` says of each picture's features."""
    zero, size = jnp.zeros((), jnp.int32), rings.online + rings.demo
    seen = None if sight is None else jnp.zeros((size, *sight.shape), sight.dtype)
    return Replay(jnp.zeros((size, width), jnp.float32), zero, zero + 0, seen)


def insert(
    replay: Replay,
    rings: Rings,
    rows: jax.Array,
    to_online: jax.Array,
    to_demo: jax.Array,
    features: jax.Array | None = None,
) -> Replay:
    """Append each row of `rows` (n, width) to the rings that its flags (n,) name, oldest overwritten.

    `features` (n, ...) are those of the rows' pictures.
    """

    def slots(flags: jax.Array, total: jax.Array, start: int, size: int) -> tuple[jax.Array, jax.Array]:
        order = total + jnp.cumsum(flags, dtype=jnp.int32) - 1
        outside = rings.online + rings.demo
        return jnp.where(flags, start + order % size, outside), total + flags.sum(dtype=jnp.int32)

    online, online_total = slots(to_online, replay.online_total, 0, rings.online)
    demo, demo_total = slots(to_demo, replay.demo_total, rings.online, rings.demo)
    indices = jnp.concatenate([online, demo])
    stored = replay.rows.at[indices].set(jnp.concatenate([rows, rows]), mode="drop")
    seen = replay.features
    if seen is not None and features is not None:
        seen = seen.at[indices].set(jnp.concatenate([features, features]), mode="drop")
    return Replay(stored, online_total, demo_total, seen)


def draw(replay: Replay, rings: Rings, bits: jax.Array, demo_batch: int) -> jax.Array:
    """Indices of batches from random `bits` (..., batch) uint32: `demo_batch` demonstrations last.

    A ring that is still empty leaves its share to the other one. The bias of the modulo is size / 2^32.
    """
    online_size = jnp.minimum(replay.online_total, rings.online).astype(jnp.uint32)
    demo_size = jnp.minimum(replay.demo_total, rings.demo).astype(jnp.uint32)
    batch = bits.shape[-1]
    from_demo = jnp.arange(batch) >= batch - demo_batch
    from_demo = (from_demo & (demo_size > 0)) | (online_size == 0)
    size = jnp.maximum(jnp.where(from_demo, demo_size, online_size), 1)
    start = jnp.where(from_demo, rings.online, 0)
    return start + (bits % size).astype(jnp.int32)


def draw_views(key: jax.Array, shape: tuple[int, ...], views: int, cameras: int) -> jax.Array | None:
    """Random views (*shape, 2, cameras) for rows of `shape`; None where there is but one, or no camera."""
    if views == 1 or cameras == 0:
        return None
    bits = jax.random.bits(key, (*shape, 2, cameras))
    return (bits % views).astype(jnp.int32)


def look(replay: Replay, batch: Batch, chosen: Chosen, cameras: tuple[int, ...]) -> Batch:
    """The batch (n,) with the chosen features; `cameras` are the lengths of each camera's features."""
    features = replay.features
    if features is None:
        return batch
    if features.dtype == jnp.uint8:
        pictures = features.at[chosen.rows].get(mode="promise_in_bounds")
        if chosen.views is not None:
            pictures = shifted(pictures, chosen.views)
        return batch._replace(features=pictures[:, 0], next_features=pictures[:, 1])

    def seen(which: int) -> jax.Array:
        parts, start = [], 0
        for n, size in enumerate(cameras):
            view = 0 if chosen.views is None else chosen.views[:, which, n]
            place = features.at[chosen.rows, which, view, start : start + size]
            parts.append(place.get(mode="promise_in_bounds"))
            start += size
        return jnp.concatenate(parts, axis=-1)

    return batch._replace(features=seen(0), next_features=seen(1))


def shifted(pictures: jax.Array, views: jax.Array) -> jax.Array:
    """Pictures (..., h, w, 3), each moved by the shift that its view (...) numbers; the edge is repeated."""
    height, width = pictures.shape[-3:-1]
    margin = ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0))
    padded = jnp.pad(pictures.reshape(-1, *pictures.shape[-3:]), margin, mode="edge")
    down, right = jnp.divmod(views.ravel(), 2 * SHIFT + 1)

    def crop(picture: jax.Array, down: jax.Array, right: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(picture, (down, right, 0), (height, width, 3))

    return jax.vmap(crop)(padded, down, right).reshape(pictures.shape)
