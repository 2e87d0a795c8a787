"""How well a policy flies: the same thousand starts for every policy.

A length is the number of steps that an episode lasted, of 500. The mean length and the share that survives
are reported; a median would be 500 for any policy that keeps half of the drones in the air.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sim.quadrotor.dynamics import Array
from sim.quadrotor.environment import observe, reset, step
from sim.quadrotor.settings import PERIOD, FlightSettings

Policy = Callable[[Any, Array], Array]
"""Weights and observations (..., n) to actions (..., 4)."""

SEED = 20_240_101
"""Of the starts, disturbances and noise of all evaluations."""

LAST = 100
"""Steps at the end of an episode over which the position error is taken: a second."""


@dataclass(frozen=True)
class Evaluation:
    """Figures of one evaluation."""

    episodes: int
    """Flights."""
    length: float
    """Mean number of steps that an episode lasted."""
    alive: float
    """Share of the episodes that lasted to the end, in [0, 1]."""
    reward: float
    """Mean return, under the weights of the settings."""
    error: float
    """Mean distance from the reference in the last second, of those who survived [m]; NaN if nobody did."""
    rms: float
    """Root mean square distance after the ramp of the reference, of those who survived [m]."""
    rms_95: float
    """That of the flight that is worse than 95 % of those who survived [m]."""


class Evaluator:
    """Flies policies of one kind; compiled at the first call.

    Args:
        policy: The network: weights and observations to actions.
        settings: The task.
        episodes: Flights.
        seed: Of chance.
        compiler_options: Of XLA.
    """

    def __init__(
        self,
        policy: Policy,
        settings: FlightSettings,
        episodes: int = 1000,
        seed: int = SEED,
        compiler_options: dict[str, Any] | None = None,
    ) -> None:
        self.episodes = episodes
        self._key = jax.random.key(seed)
        ramp = round(settings.reference.ramp / PERIOD) if settings.reference.kind != "hover" else 0

        def fly(weights: Any, key: jax.Array) -> tuple[Array, ...]:
            flight = reset(key, settings, (episodes,))
            zero = jnp.zeros(episodes)
            start = (flight, jnp.ones(episodes, bool), zero, zero, zero, zero)

            def advance(carry: tuple, i: Array) -> tuple[tuple, None]:
                flight, alive, length, total, late, square = carry
                action = policy(weights, observe(flight, settings))
                flight, outcome = step(flight, action, settings)
                length = length + alive
                total = total + jnp.where(alive, outcome.reward, 0.0)
                late = late + jnp.where(i >= settings.steps - LAST, outcome.distance, 0.0)
                square = square + jnp.where(i >= ramp, outcome.distance**2, 0.0)
                return (flight, alive & ~outcome.terminated, length, total, late, square), None

            carry, _ = jax.lax.scan(advance, start, jnp.arange(settings.steps))
            _, alive, length, total, late, square = carry
            rms = jnp.sqrt(square / max(settings.steps - ramp, 1))
            return alive, length, total, late / min(LAST, settings.steps), rms

        self._fly = jax.jit(fly, compiler_options=compiler_options)

    def __call__(self, weights: Any) -> Evaluation:
        """Fly all episodes with these weights."""
        alive, *sums = jax.device_get(self._fly(weights, self._key))
        length, total, late, rms = np.asarray(sums, np.float64)
        some = bool(alive.any())
        survived = rms[alive] if some else np.full(1, np.nan)
        return Evaluation(
            episodes=self.episodes,
            length=float(length.mean()),
            alive=float(alive.mean()),
            reward=float(total.mean()),
            error=float(late[alive].mean()) if some else float("nan"),
            rms=float(np.sqrt(np.square(survived).mean())),
            rms_95=float(np.percentile(survived, 95.0)),
        )
