"""How good is a policy: the flights of the evaluation, and a few of them to look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from robot_rl.core.spec import EnvSpec
from robot_rl.learn.compile import cpu_options
from robot_rl.learn.flight.gradient import act
from robot_rl.show.flights import Flights
from sim.quadrotor.disturbance import draw_disturbance
from sim.quadrotor.dynamics import Array, Model
from sim.quadrotor.environment import Flight, goal_of, observe, reset, step
from sim.quadrotor.evaluation import SEED, Evaluation, Evaluator
from sim.quadrotor.parameters import QuadrotorParameters, load_parameters
from sim.quadrotor.settings import PERIOD, FlightSettings
from sim.quadrotor.starts import draw_start

SHOWN = 16
"""Flights to look at."""


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
            lambda params, seen: act(params, seen / scale),
            task,
            episodes,
            seed,
            compiler_options=cpu_options(),
        )

    def __call__(self, weights: Mapping[str, np.ndarray]) -> Evaluation:
        """The figures of a policy with these weights."""
        return self._evaluate({name: jnp.asarray(value) for name, value in weights.items()})


def show(spec: EnvSpec, weights: Mapping[str, np.ndarray], task: FlightSettings, seed: int = SEED) -> Flights:
    """Some flights as an evaluation flies them: its starts, noise and disturbances, its way to end."""
    scale = spec.observation.vector_scale
    shape = (SHOWN,)

    def see(flight: Flight) -> dict[str, Array]:
        """What is recorded of a moment, (flights, components) each."""
        weight = flight.model.mass * flight.model.gravity
        parts = {
            "position": flight.state.position,
            "attitude": flight.state.attitude,
            "rotors": flight.state.rotors,
            "reference": goal_of(flight, task).position,
            "push": [force / weight for force in flight.disturbance.wrench.force],
        }
        return {
            name: jnp.stack([jnp.broadcast_to(x, shape) for x in part], -1) for name, part in parts.items()
        }

    def program(params: dict[str, Array], key: jax.Array) -> tuple[dict[str, Array], Array]:
        def advance(flight: Flight, _: None) -> tuple[Flight, tuple[dict[str, Array], Array]]:
            after, outcome = step(flight, act(params, observe(flight, task) / scale), task)
            return after, (see(after), outcome.terminated)

        start = reset(key, task, shape)
        _, (seen, ended) = jax.lax.scan(advance, start, None, length=task.steps)
        first = see(start)
        return {name: jnp.concatenate([first[name][None], seen[name]]) for name in seen}, ended

    params = {name: jnp.asarray(value) for name, value in weights.items()}
    seen, ended = jax.jit(program, compiler_options=cpu_options())(params, jax.random.key(seed))
    ended = np.asarray(ended)
    vehicle = load_parameters(task.vehicle.sets[0])
    return Flights(
        name=f"Simulator, {vehicle.name}{', randomised' if task.vehicle.scatters else ''}",
        period=PERIOD,
        **{name: np.asarray(array) for name, array in seen.items()},
        # Row i + 1 is after step i: the last row is the one before the step that was one too far.
        length=np.where(ended.any(axis=0), ended.argmax(axis=0) + 1, task.steps + 1),
        places=np.column_stack([vehicle.rotor_x, vehicle.rotor_y]),
    )


def thrown(
    vehicle: QuadrotorParameters, task: FlightSettings, count: int, seed: int = SEED
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and pushes as those of a task, for flights elsewhere; none starts in the right place at once.

    Returns:
        States (count, 17) and wrenches (count, 6), rows as in `sim.quadrotor.native`.
    """
    of_start, of_push = jax.random.split(jax.random.key(seed))
    start = draw_start(of_start, (count,), dataclasses.replace(task.start, guidance=0.0))
    push = draw_disturbance(of_push, (count,), Model.of(vehicle), task.disturbance).wrench
    states, wrenches = (
        np.stack([np.broadcast_to(x, count) for x in jax.tree.leaves(tree)], axis=-1)
        for tree in (start, push)
    )
    return states, wrenches
