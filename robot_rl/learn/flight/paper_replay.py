"""Replay in history-free form: states once, actions once, and everything else made of them when drawn.

A row of the buffer is one transition of the only environment, in the order in which it flew:

    state 17 | state after 17 | wrench 6 | noise 9 | noise after 9 | age 1 | terminated 1

The state is position, attitude xyzw, velocity, rates, rotors. Noise is what was added to the 18 measurements:
drawn as float16, so that two fit into one float32. `age` counts the steps since the episode's start. Actions
lie in an array of their own, behind `history` rows of padding; the last ones before row i are thus one piece
of it, whose part before the episode's start is replaced by the action that fills a new history. A row takes
four lines of cache, where observations with their histories would take 24.

Rewards are not stored: they follow from state, action and the weights that hold when a row is drawn. That is
the paper's recalculation of all rewards at each change of the curriculum, at no cost.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sim.quadrotor import rewards
from sim.quadrotor.dynamics import Array, Quaternion, State, Vector, Wrench
from sim.quadrotor.observation import MEASURED, observe
from sim.quadrotor.settings import RewardSettings

WIDTH = 64
"""Floats of a row: 60, filled up to whole lines of cache."""

_NOISE = MEASURED // 2


class Replay(NamedTuple):
    """All transitions so far."""

    rows: jax.Array  # (capacity, WIDTH)
    actions: jax.Array  # ((history + capacity) * 4,)


class Batch(NamedTuple):
    """Transitions; all arrays have the leading axis of the batch."""

    state: State
    after: State
    wrench: Wrench
    seen: Array
    """(n, 18 + 4 history), what the actor saw."""
    seen_after: Array
    action: Array
    """(n, 4)."""
    terminated: Array
    """(n,) bool."""


def create(capacity: int, history: int) -> Replay:
    """An empty buffer."""
    return Replay(jnp.zeros((capacity, WIDTH)), jnp.zeros((history + capacity) * 4))


def pack(
    state: State,
    after: State,
    wrench: Wrench,
    noise: Array,
    noise_after: Array,
    age: Array,
    terminated: Array,
) -> Array:
    """One transition (WIDTH,); noise is float16 (18,)."""
    numbers = [*jax.tree.leaves((state, after, wrench))]
    head = jnp.stack([jnp.asarray(x, jnp.float32) for x in numbers])
    tail = jnp.stack([age.astype(jnp.float32), terminated.astype(jnp.float32)])
    filling = jnp.zeros(WIDTH - len(numbers) - 2 * _NOISE - 2)
    return jnp.concatenate([head, _halves(noise), _halves(noise_after), tail, filling])


def _halves(noise: Array) -> Array:
    return jax.lax.bitcast_convert_type(noise.reshape(_NOISE, 2), jnp.float32)


def _noise(packed: Array) -> Array:
    halves = jax.lax.bitcast_convert_type(packed, jnp.float16)
    return halves.reshape(len(packed), MEASURED).astype(jnp.float32)


def write(replay: Replay, first: Array, rows: Array, actions: Array) -> Replay:
    """Store transitions (n, WIDTH) and (n, 4) from row `first` on."""
    history = len(replay.actions) // 4 - len(replay.rows)
    return Replay(
        jax.lax.dynamic_update_slice(replay.rows, rows, (first, 0)),
        jax.lax.dynamic_update_slice(replay.actions, actions.ravel(), ((first + history) * 4,)),
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
    age = rows[:, 58].astype(jnp.int32)
    # The last action of a piece is this row's own; how many steps before it the others were taken:
    before = (width - 1 - jnp.arange(width)) // 4
    pieces = jnp.where(before <= age[:, None], pieces, told)
    state, after = _state(rows[:, :17]), _state(rows[:, 17:34])
    return Batch(
        state=state,
        after=after,
        wrench=Wrench(_vector(rows, 34), _vector(rows, 37)),
        seen=_seen(state, rows[:, 40:49], pieces[:, :-4]),
        seen_after=_seen(after, rows[:, 49:58], pieces[:, 4:]),
        action=pieces[:, -4:],
        terminated=rows[:, 59] > 0.5,
    )


def _vector(rows: Array, at: int) -> Vector:
    return Vector(rows[:, at], rows[:, at + 1], rows[:, at + 2])


def _state(rows: Array) -> State:
    return State(
        position=_vector(rows, 0),
        attitude=Quaternion(rows[:, 3], rows[:, 4], rows[:, 5], rows[:, 6]),
        velocity=_vector(rows, 7),
        rates=_vector(rows, 10),
        rotors=(rows[:, 13], rows[:, 14], rows[:, 15], rows[:, 16]),
    )


def _seen(state: State, packed: Array, actions: Array) -> Array:
    exact = observe(state, actions[:, :0])
    return jnp.concatenate([exact + _noise(packed), actions], axis=-1)


def reward(batch: Batch, weights: RewardSettings) -> Array:
    """Rewards (n,) of transitions under these weights; ending pays nothing."""
    return jnp.where(batch.terminated, 0.0, rewards.reward(batch.state, batch.action, weights))
