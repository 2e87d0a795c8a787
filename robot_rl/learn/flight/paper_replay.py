"""Replay in the form that the networks read: no histories, no rewards, nothing to compute but noise.

A row of the buffer is one transition of the only environment, in the order in which it flew:

    x 28 | action 4 | x after 28 | noise 9 | noise after 9 | age 1 | terminated 1

x is all that a critic may see: the 18 measurements without noise, the wrench (force 3, torque 3), and the
rotors' speeds in [-1, 1]. Noise is what was added to the measurements: drawn as float16, so that two fit into
one float32. `age` counts the steps since the episode's start. Actions lie in an array of their own too,
behind `history` rows of padding; the last ones before row i are thus one piece of it, whose part before the
episode's start is replaced by the action that fills a new history. A row takes five lines of cache, where
observations with their histories would take 24. (With four lines, 64 floats, drawing would take four times
as long: the compiler unrolls copies of up to 64 numbers, one by one.)

Rewards are not stored: they follow from x, action and the weights that hold when a row is drawn. That is the
paper's recalculation of all rewards at each change of the curriculum, at no cost.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sim.quadrotor import rewards
from sim.quadrotor.dynamics import Array, State, Wrench
from sim.quadrotor.observation import MEASURED, observe
from sim.quadrotor.settings import RewardSettings

EXACT = MEASURED + 6 + 4
"""Numbers in x."""

WIDTH = 80
"""Floats of a row."""

_NOISE = MEASURED // 2
_ACTION, _AFTER = EXACT, EXACT + 4
_SEEN = _AFTER + EXACT
_AGE, _TERMINATED = WIDTH - 2, WIDTH - 1


class Replay(NamedTuple):
    """All transitions so far."""

    rows: jax.Array  # (capacity, WIDTH)
    actions: jax.Array  # ((history + capacity) * 4,)


class Batch(NamedTuple):
    """Transitions; all arrays have the leading axis of the batch."""

    exact: Array
    """(n, 28), x."""
    exact_after: Array
    action: Array
    """(n, 4)."""
    seen: Array
    """(n, 18 + 4 history), what the actor saw."""
    seen_after: Array
    terminated: Array
    """(n,) bool."""


def exact(state: State, wrench: Wrench) -> Array:
    """The x of one quadrotor, (28,)."""
    rotors = [2.0 * speed - 1.0 for speed in state.rotors]
    rest = jnp.stack([jnp.asarray(number) for number in (*wrench.force, *wrench.torque, *rotors)])
    return observe(state, rest)


def create(capacity: int, history: int) -> Replay:
    """An empty buffer."""
    return Replay(jnp.zeros((capacity, WIDTH)), jnp.zeros((history + capacity) * 4))


def pack(
    before: Array,
    action: Array,
    after: Array,
    noise: Array,
    noise_after: Array,
    age: Array,
    terminated: Array,
) -> Array:
    """One transition (WIDTH,); noise is float16 (18,)."""
    end = jnp.stack([age.astype(jnp.float32), terminated.astype(jnp.float32)])
    return jnp.concatenate([before, action, after, _halves(noise), _halves(noise_after), end])


def _halves(noise: Array) -> Array:
    return jax.lax.bitcast_convert_type(noise.reshape(_NOISE, 2), jnp.float32)


def _noise(packed: Array) -> Array:
    halves = jax.lax.bitcast_convert_type(packed, jnp.float16)
    return halves.reshape(len(packed), MEASURED).astype(jnp.float32)


def exact_of(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The x before and after of rows (..., WIDTH)."""
    return rows[..., :EXACT], rows[..., _AFTER:_SEEN]


def terminated(rows: np.ndarray) -> np.ndarray:
    """Whether the episode ended early, of rows (..., WIDTH)."""
    return rows[..., _TERMINATED] > 0.5


def write(replay: Replay, first: Array, rows: Array) -> Replay:
    """Store transitions (n, WIDTH) from row `first` on."""
    history = len(replay.actions) // 4 - len(replay.rows)
    actions = rows[:, _ACTION:_AFTER].ravel()
    return Replay(
        jax.lax.dynamic_update_slice(replay.rows, rows, (first, 0)),
        jax.lax.dynamic_update_slice(replay.actions, actions, ((first + history) * 4,)),
    )


def draw(replay: Replay, index: Array, told: float) -> Batch:
    """The transitions in these rows (n,); `told` is the action that fills the history of a new episode."""
    width = len(replay.actions) - 4 * len(replay.rows) + 4
    rows = replay.rows.at[index].get(mode="promise_in_bounds")
    pieces = jax.lax.gather(
        replay.actions,
        index[:, None] * 4,
        jax.lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(), start_index_map=(0,)),
        (width,),
        mode=jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )
    age = rows[:, _AGE].astype(jnp.int32)
    # The last action of a piece is this row's own; how many steps before it the others were taken:
    before = (width - 1 - jnp.arange(width)) // 4
    pieces = jnp.where(before <= age[:, None], pieces, told)
    before_step, after_step = rows[:, :EXACT], rows[:, _AFTER:_SEEN]
    noise, noise_after = rows[:, _SEEN : _SEEN + _NOISE], rows[:, _SEEN + _NOISE : _AGE]
    return Batch(
        exact=before_step,
        exact_after=after_step,
        action=rows[:, _ACTION:_AFTER],
        seen=jnp.concatenate([before_step[:, :MEASURED] + _noise(noise), pieces[:, :-4]], axis=-1),
        seen_after=jnp.concatenate([after_step[:, :MEASURED] + _noise(noise_after), pieces[:, 4:]], axis=-1),
        terminated=rows[:, _TERMINATED] > 0.5,
    )


def reward(batch: Batch, weights: RewardSettings) -> Array:
    """Rewards (n,) of transitions under these weights; ending pays nothing."""
    x = batch.exact.T
    position = x[0] * x[0] + x[1] * x[1] + x[2] * x[2]
    velocity = x[12] * x[12] + x[13] * x[13] + x[14] * x[14]
    # 4 q_w^2 = 1 + the trace of the rotation matrix.
    tilt = 0.25 * (3.0 - x[3] - x[7] - x[11])
    paid = rewards.of_errors(position, tilt, velocity, batch.action, weights)
    return jnp.where(batch.terminated, 0.0, paid)
