"""How good is a policy: the flights of the evaluation, and a few of them to look at."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from robot_rl.core.spec import EnvSpec
from robot_rl.learn.compile import cpu_options
from robot_rl.learn.flight.gradient import Inputs, act, fly
from sim.quadrotor.dynamics import Array
from sim.quadrotor.environment import reset
from sim.quadrotor.evaluation import SEED, Evaluation, Evaluator
from sim.quadrotor.settings import FlightSettings

SHOWN = 8
"""Flights of a picture."""


class Judge:
    """Flies policies of `policies.mlp_policy` through all starts of an evaluation.

    Args:
        spec: What the policies see.
        task: What they fly.
        episodes: Flights.
        seed: Of the flights.
    """

    def __init__(self, spec: EnvSpec, task: FlightSettings, episodes: int = 1000, seed: int = SEED) -> None:
        scale = spec.observation.vector_scale
        self._evaluate = Evaluator(
            lambda params, seen: act(params, seen / scale), task, episodes, seed, compiler_options=_options()
        )

    def __call__(self, weights: Mapping[str, np.ndarray]) -> Evaluation:
        """The figures of a policy with these weights."""
        return self._evaluate({name: jnp.asarray(value) for name, value in weights.items()})


def show(
    spec: EnvSpec, weights: Mapping[str, np.ndarray], task: FlightSettings, seed: int = SEED
) -> tuple[np.ndarray, np.ndarray]:
    """Some flights: where the quadrotors and where their references were, (steps, flights, 3) each [m]."""
    scale = spec.observation.vector_scale
    inputs = Inputs(np.zeros_like(scale), scale)
    shape = (SHOWN,)

    def program(params: dict[str, Array], key: jax.Array) -> tuple[Array, Array]:
        flight = reset(key, task, shape)._replace(key=None)
        _, (states, _, goals) = fly(params, inputs, task, flight, key, task.steps)
        whole = (task.steps, *shape)
        paths = [
            jnp.stack([jnp.broadcast_to(x, whole) for x in p], -1) for p in (states.position, goals.position)
        ]
        return paths[0], paths[1]

    params = {name: jnp.asarray(value) for name, value in weights.items()}
    flown, wanted = jax.jit(program, compiler_options=_options())(params, jax.random.key(seed))
    return np.asarray(flown), np.asarray(wanted)


def _options() -> dict[str, bool | str]:
    return cpu_options() if jax.default_backend() == "cpu" else {}
