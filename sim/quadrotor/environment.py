"""The task of flying, as pure functions: reset, observe, step. Any leading shape of drones.

    flight = reset(key, settings, (1024,))
    seen = observe(flight, settings)
    flight, outcome = step(flight, action, settings)

An episode that ended goes on like any other; `reset_where` starts it anew.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sim.quadrotor import observation as seeing
from sim.quadrotor.disturbance import Disturbance, blow, draw_disturbance
from sim.quadrotor.dynamics import Array, Model, State
from sim.quadrotor.dynamics import step as integrate
from sim.quadrotor.observation import past_actions, remember, rotors_of
from sim.quadrotor.randomise import draw_model
from sim.quadrotor.references import Goal, Reference, draw_reference, goal
from sim.quadrotor.rewards import reward
from sim.quadrotor.settings import PERIOD, FlightSettings
from sim.quadrotor.starts import draw_start


class Flight(NamedTuple):
    """Drones in their episodes."""

    state: State
    """All that moves."""
    actions: Array
    """The last actions, (..., 4 history), oldest first."""
    steps: Array
    """Steps since the episode started, int32."""
    ahead: Array
    """Steps of the reference before the episode, int32; 0 where episodes start at its beginning."""
    model: Model
    """What flies."""
    reference: Reference
    """What it follows."""
    disturbance: Disturbance
    """What pushes it."""
    key: jax.Array
    """Of the chance to come; one for all drones."""


class Outcome(NamedTuple):
    """What a step led to."""

    reward: Array
    """Of the state and the action; 0 where the episode terminated."""
    terminated: Array
    """The drone is too far from its reference, or its state is not finite any more."""
    truncated: Array
    """The time is up, and the drone flies on."""
    distance: Array
    """From the reference [m]."""


def reset(key: jax.Array, settings: FlightSettings, shape: tuple[int, ...]) -> Flight:
    """Start episodes for so many drones."""
    keys = jax.random.split(key, 5)
    model = draw_model(keys[0], shape, settings.vehicle)
    reference = draw_reference(keys[1], shape, settings.reference)
    ahead: Array = 0
    if settings.start.anywhere and settings.reference.kind != "hover":
        course = settings.reference.ramp + settings.reference.period
        ahead = jax.random.randint(jax.random.fold_in(key, 5), shape, 0, round(course / PERIOD))
    then = goal(reference, jnp.broadcast_to(PERIOD * ahead, shape))
    state = draw_start(keys[2], shape, settings.start, then)
    # The history says what the rotors were told: to turn at the speed that they have.
    told = 2.0 * settings.start.rotors - 1.0
    return Flight(
        state=state,
        actions=past_actions(shape, settings.history, told),
        steps=jnp.zeros(shape, jnp.int32),
        ahead=ahead,
        model=model,
        reference=reference,
        disturbance=draw_disturbance(keys[3], shape, model, settings.disturbance),
        key=keys[4],
    )


def goal_of(flight: Flight, settings: FlightSettings) -> Goal:
    """The reference of each drone now, with its previews."""
    return goal(flight.reference, reference_time(flight), settings.preview)


def reference_time(flight: Flight) -> Array:
    """How long each reference has been moving [s]."""
    return PERIOD * (flight.ahead + flight.steps)


def observe(flight: Flight, settings: FlightSettings) -> Array:
    """What the policies see now, (..., n) in the order of `flight_spec`; the same however often one asks."""
    exact = seeing.observe(flight.state, flight.actions, goal_of(flight, settings))
    return seeing.add_noise(jax.random.fold_in(flight.key, 0), exact, settings.noise)


def step(flight: Flight, action: Array, settings: FlightSettings) -> tuple[Flight, Outcome]:
    """Fly one period.

    Args:
        flight: Now.
        action: (..., 4) in [-1, 1]; what is outside is clipped.
        settings: Of the task.
    """
    action = jnp.clip(action, -1.0, 1.0)
    paid = reward(flight.state, action, settings.reward, goal_of(flight, settings))
    state = integrate(flight.model, flight.state, rotors_of(action), flight.disturbance.wrench)
    after = flight._replace(
        state=state,
        actions=remember(flight.actions, action),
        steps=flight.steps + 1,
        disturbance=blow(
            jax.random.fold_in(flight.key, 1), flight.disturbance, flight.model, settings.disturbance
        ),
        key=jax.random.fold_in(flight.key, 2),
    )
    target = goal(after.reference, reference_time(after)).position
    x, y, z = (jnp.abs(a - b) for a, b in zip(state.position, target, strict=True))
    # Written as "not inside", so that what is not a number is outside. Within one step of Runge-Kutta an
    # undefined or infinite number anywhere in a state reaches its position.
    terminated = ~(jnp.maximum(jnp.maximum(x, y), z) <= settings.bound)
    outcome = Outcome(
        reward=jnp.where(terminated, 0.0, paid),
        terminated=terminated,
        truncated=(after.steps >= settings.steps) & ~terminated,
        distance=jnp.sqrt(x * x + y * y + z * z),
    )
    return after, outcome


def reset_where(ended: Array, key: jax.Array, flight: Flight, settings: FlightSettings) -> Flight:
    """Start anew the episodes of those drones; the others fly on."""
    return replace_where(ended, reset(key, settings, ended.shape), flight)


def replace_where(ended: Array, fresh: Flight, flight: Flight) -> Flight:
    """The fresh episodes for those drones; the others fly on."""

    def choose(new: Array, old: Array) -> Array:
        if jnp.ndim(new) == 0:
            return old
        return jnp.where(ended.reshape(ended.shape + (1,) * (jnp.ndim(new) - ended.ndim)), new, old)

    # The key of chance is one for all.
    return jax.tree.map(choose, fresh._replace(key=None), flight._replace(key=None))._replace(key=flight.key)
