"""What a policy sees of a state, as one vector in the order of `flight_spec`."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sim.quadrotor.dynamics import Array, Quaternion, Rotors, State
from sim.quadrotor.layout import flight_spec as flight_spec
from sim.quadrotor.references import HOVER_GOAL, Goal
from sim.quadrotor.settings import NoiseSettings

MEASURED = 18
"""Leading elements of an observation that are measured: position, rotation, velocity, rates."""


def rotation_rows(q: Quaternion) -> tuple[Array, ...]:
    """The nine elements of the rotation matrix of a unit quaternion, by rows."""
    x, y, z, w = q
    return (
        1.0 - 2.0 * (y * y + z * z),
        2.0 * (x * y - w * z),
        2.0 * (x * z + w * y),
        2.0 * (x * y + w * z),
        1.0 - 2.0 * (x * x + z * z),
        2.0 * (y * z - w * x),
        2.0 * (x * z - w * y),
        2.0 * (y * z + w * x),
        1.0 - 2.0 * (x * x + y * y),
    )


def observe(state: State, actions: Array, goal: Goal = HOVER_GOAL) -> Array:
    """Pack what the policy sees, without noise.

    Args:
        state: Of any leading shape.
        actions: The last actions, (..., 4 history), oldest first.
        goal: The reference now.

    Returns:
        (..., 18 + 3 previews + 4 history).
    """
    p, v = state.position, state.velocity
    parts = [
        *(a - b for a, b in zip(p, goal.position, strict=True)),
        *rotation_rows(state.attitude),
        *(a - b for a, b in zip(v, goal.velocity, strict=True)),
        *state.rates,
        *(axis for ahead in goal.preview for axis in ahead),
    ]
    shape = jnp.shape(p.x)
    seen = jnp.stack([jnp.broadcast_to(part, shape) for part in parts], axis=-1)
    return jnp.concatenate([seen, actions], axis=-1)


def add_noise(key: jax.Array, observation: Array, settings: NoiseSettings) -> Array:
    """White noise on what is measured: not on the reference, nor on the past actions."""
    noise = draw_noise(key, settings, observation.shape[:-1])
    return jnp.concatenate([observation[..., :MEASURED] + noise, observation[..., MEASURED:]], axis=-1)


def draw_noise(key: jax.Array, settings: NoiseSettings, shape: tuple[int, ...]) -> Array:
    """Noise of what is measured, (*shape, 18)."""
    return deviations(settings) * jax.random.normal(key, (*shape, MEASURED))


def deviations(settings: NoiseSettings) -> Array:
    """Standard deviations of what is measured, (18,)."""
    s = settings
    return jnp.asarray([s.position] * 3 + [s.rotation] * 9 + [s.velocity] * 3 + [s.rates] * 3)


def past_actions(shape: tuple[int, ...], history: int, action: float = 0.0) -> Array:
    """A history filled with one action, (*shape, 4 history)."""
    return jnp.full((*shape, 4 * history), action)


def remember(actions: Array, action: Array) -> Array:
    """The history after one more action, (..., 4 history) and (..., 4): the oldest is forgotten."""
    if actions.shape[-1] == 0:
        return actions
    return jnp.concatenate([actions[..., 4:], action], axis=-1)


def rotors_of(action: Array) -> Rotors:
    """An action (..., 4) as four arrays."""
    return action[..., 0], action[..., 1], action[..., 2], action[..., 3]
