"""Adam (Kingma and Ba 2015, algorithm 1) and Polyak averaging over pytrees.

An optimiser holds moments of its own parameters only: a critic step moves nothing of the actor.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class Moments(NamedTuple):
    """First and second moments of the gradient, and the number of steps."""

    first: Any
    second: Any
    steps: jax.Array  # () int32


def init(params: Any) -> Moments:
    """Zero moments."""
    return Moments(jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params), jnp.int32(0))


def step(
    params: Any, gradient: Any, moments: Moments, rate: float | jax.Array, beta_2: float = BETA_2
) -> tuple[Any, Moments]:
    """One descent step: theta - rate * m_hat / (sqrt(v_hat) + epsilon).

    The bias corrections are folded into two scalars, so that each element costs one division.
    """
    steps = moments.steps + 1
    t = steps.astype(jnp.float32)
    correction = jnp.sqrt(1.0 - beta_2**t)
    scaled_rate = rate * correction / (1.0 - BETA_1**t)
    epsilon = EPSILON * correction
    first = jax.tree.map(lambda m, g: m + (1.0 - BETA_1) * (g - m), moments.first, gradient)
    second = jax.tree.map(lambda v, g: v + (1.0 - beta_2) * (g * g - v), moments.second, gradient)
    params = jax.tree.map(
        lambda p, m, v: p - scaled_rate * m / (jnp.sqrt(v) + epsilon), params, first, second
    )
    return params, Moments(first, second, steps)


def polyak(target: Any, source: Any, tau: float) -> Any:
    """Move `target` towards `source` by the fraction `tau`."""
    return jax.tree.map(lambda t, s: t + tau * (s - t), target, source)
