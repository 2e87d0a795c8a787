"""A policy learns to fly by gradients through the simulator.

The cost of a window of steps is differentiated through policy, sensors and dynamics back to the policy's
weights: no value function, no exploration. Worlds go on from window to window, without gradient, so that
short windows train long flights; each starts anew when it has left its box, or after some windows. Compare
short-horizon actor-critic (Xu et al. 2022, arXiv:2204.07137), which adds a value at the window's end: behind
windows of half a second it is not needed here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from robot_rl.learn import adam
from robot_rl.learn.flight.arrays import arrays_of, with_arrays
from robot_rl.learn.flight.settings import CostSettings, GradientSettings
from robot_rl.learn.networks import Params, depth
from sim.quadrotor.disturbance import blow
from sim.quadrotor.dynamics import Array, State, Vector
from sim.quadrotor.dynamics import step as integrate
from sim.quadrotor.environment import Flight, reference_time, replace_where
from sim.quadrotor.observation import MEASURED, draw_noise, observe, remember, rotors_of
from sim.quadrotor.parameters import load_parameters
from sim.quadrotor.references import Goal, goal
from sim.quadrotor.settings import PERIOD, QUIET, FlightSettings

BETA_2 = 0.99
"""Adam's decay of second moments: a few hundred updates leave no time for the usual 0.999."""

FAR = {"position": 0.5, "velocity": 2.0, "rates": 5.0, "wall": 0.2}
"""Where the squares of the cost turn into lines [m, m/s, rad/s, m]."""


class Cost(NamedTuple):
    """`CostSettings` as numbers that a compiled program is given, so that it serves all of them."""

    position: Array
    tilt: Array
    velocity: Array
    rates: Array
    action: Array
    wall: Array
    wall_at: Array

    @classmethod
    def of(cls, settings: CostSettings) -> Cost:
        return cls(*(np.float32(getattr(settings, name)) for name in cls._fields))


class Schedule(NamedTuple):
    """Step sizes: up to `rate` in `warmup` updates, down to `final` times that along a cosine over all."""

    rate: Array
    warmup: Array
    final: Array
    updates: Array
    max_norm: Array

    @classmethod
    def of(cls, settings: GradientSettings) -> Schedule:
        s = settings
        return cls(*map(np.float32, (s.learning_rate, s.warmup, s.final_rate, s.updates, s.max_norm)))


class Inputs(NamedTuple):
    """What the network is given: (seen - centre) / scale, each (n,)."""

    centre: Array
    """What is seen at the reference, hovering."""
    scale: Array
    """Typical magnitudes."""


class Pilot(NamedTuple):
    """What a block of updates takes and gives back."""

    params: Params
    moments: adam.Moments
    flights: list[Array]
    """The arrays of the worlds."""
    age: Array
    """Windows since each world's start."""


class Metrics(NamedTuple):
    """Figures of one update."""

    cost: Array
    """Mean of a step."""
    norm: Array
    """Of the gradient, before it is scaled down."""
    distance: Array
    """Mean distance from the reference at the window's end [m]."""
    lost: Array
    """Part of the worlds that left their box in this window."""
    invalid: Array
    """1 if the gradient was not finite and was left out, else 0."""


def hover_action(task: FlightSettings) -> float:
    """The action that hovers, over the quadrotors of a task."""
    return float(np.mean([load_parameters(name).hover_action for name in task.vehicle.sets]))


def inputs_of(task: FlightSettings, scale: np.ndarray) -> Inputs:
    """How the observation of this task is shifted and scaled."""
    centre = np.zeros_like(scale)
    centre[3:12] = np.eye(3).ravel()
    if task.history:
        centre[-4 * task.history :] = hover_action(task)
    return Inputs(centre, scale)


def create(settings: GradientSettings, task: FlightSettings, fresh: Sequence[Array], seed: int) -> Pilot:
    """A policy that hovers whatever it sees, and the worlds it starts in.

    Args:
        settings: Of the training.
        task: Of the flights.
        fresh: Arrays of worlds at their start, with a leading axis of which the first row is taken.
        seed: Of the weights and ages.
    """
    rng = np.random.default_rng(seed)
    inputs = MEASURED + 3 * len(task.preview) + 4 * task.history
    sizes = [inputs, *settings.hidden, 4]
    # Made with NumPy, which compiles nothing.
    weights: dict[str, np.ndarray] = {}
    for n, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        last = n == len(settings.hidden)
        weight = rng.normal(size=(fan_in, fan_out)) / math.sqrt(fan_in) * (0.1 if last else 1.0)
        bias = np.full(fan_out, math.atanh(hover_action(task)) if last else 0.0)
        weights[f"layers.{n}.weight"] = weight.astype(np.float32)
        weights[f"layers.{n}.bias"] = bias.astype(np.float32)
    zeros = {name: np.zeros_like(value) for name, value in weights.items()}
    # The ages begin staggered: otherwise all worlds would start anew at once.
    age = rng.integers(0, settings.windows, settings.worlds, np.int32)
    first = [np.asarray(a)[0] for a in fresh]
    made = jax.device_put((weights, zeros, zeros, np.int32(0), first, age))
    params, mean, square, steps, flights, age = made
    return Pilot(params, adam.Moments(mean, square, steps), flights, age)


def act(params: Params, inputs: Array) -> Array:
    """Actions (..., 4) for inputs (..., n): tanh layers, tanh at the output."""
    for n in range(depth(params)):
        inputs = jnp.tanh(inputs @ params[f"layers.{n}.weight"] + params[f"layers.{n}.bias"])
    return inputs


def exported(params: Params, inputs: Inputs) -> dict[str, np.ndarray]:
    """The weights of the same policy without a centre: that moves into the first layer's bias."""
    weights = {name: np.array(value, np.float32) for name, value in params.items()}
    first = weights["layers.0.weight"].astype(np.float64)
    weights["layers.0.bias"] -= ((inputs.centre / inputs.scale) @ first).astype(np.float32)
    return weights


def step_cost(cost: Cost, state: State, action: Array, goal: Goal, hover: Array) -> Array:
    """Cost of one step, of any leading shape; see `CostSettings`."""
    position, velocity = _less(state.position, goal.position), _less(state.velocity, goal.velocity)
    beyond = [_bent(jnp.maximum(jnp.abs(p) - cost.wall_at, 0.0) ** 2, FAR["wall"]) for p in position]
    return 0.5 * (
        cost.position * _bent(_square(position), FAR["position"])
        + cost.tilt * (1.0 - state.attitude.w * state.attitude.w)
        + cost.velocity * _bent(_square(velocity), FAR["velocity"])
        + cost.rates * _bent(_square(state.rates), FAR["rates"])
        + cost.action * jnp.square(action - hover).sum(-1)
        + cost.wall * (beyond[0] + beyond[1] + beyond[2])
    )


def _less(a: Vector, b: Vector) -> Vector:
    return Vector(a.x - b.x, a.y - b.y, a.z - b.z)


def _square(v: Vector) -> Array:
    return v.x * v.x + v.y * v.y + v.z * v.z


def _bent(square: Array, at: float) -> Array:
    """r^2 for r below `at`, beyond it the tangent there."""
    far = square > at * at
    return jnp.where(far, at * (2.0 * jnp.sqrt(jnp.where(far, square, 1.0)) - at), square)


def fly(
    params: Params, inputs: Inputs, task: FlightSettings, flight: Flight, key: jax.Array, steps: int
) -> tuple[Flight, tuple[State, Array, Goal]]:
    """Fly so many steps.

    Returns:
        The flights at the end, and for each step, along a leading axis: the state after it, the action, and
        where the reference was then.
    """
    worlds_shape = flight.steps.shape
    noise_key, gust_key = jax.random.split(key)
    # References and noise depend on no action: they are computed for all steps at once.
    later = jnp.arange(steps + 1).reshape(-1, *(1 for _ in worlds_shape))
    times = reference_time(flight) + PERIOD * later
    goals = goal(flight.reference, times, task.preview)
    before, after = ([a[part] for a in arrays_of(goals)] for part in (slice(0, -1), slice(1, None)))
    noise = None
    if task.noise != QUIET:
        noise = draw_noise(noise_key, task.noise, (steps, *worlds_shape)) / inputs.scale[:MEASURED]
    windy = task.disturbance.gust > 0.0
    gusts = jax.random.split(gust_key, steps) if windy else None
    air = flight.disturbance

    def step(carry: tuple, given: tuple) -> tuple[tuple, tuple[State, Array]]:
        state, actions, gust = carry
        wanted, noise, key = given
        exact = observe(state, actions, with_arrays(goals, wanted))
        seen = (exact - inputs.centre) / inputs.scale
        if noise is not None:
            seen = jnp.concatenate([seen[..., :MEASURED] + noise, seen[..., MEASURED:]], axis=-1)
        action = act(params, seen)
        push = air if gust is None else air._replace(gust=gust)
        state = integrate(flight.model, state, rotors_of(action), push.wrench)
        if gust is not None:
            gust = blow(key, push, flight.model, task.disturbance).gust
        return (state, remember(actions, action), gust), (state, action)

    carry = (flight.state, flight.actions, air.gust if windy else None)
    (state, actions, gust), (states, taken) = jax.lax.scan(step, carry, (before, noise, gusts))
    flight = flight._replace(
        state=state,
        actions=actions,
        steps=flight.steps + steps,
        disturbance=air._replace(gust=gust) if windy else air,
    )
    return flight, (states, taken, with_arrays(goals, after))


def update(
    settings: GradientSettings,
    task: FlightSettings,
    knobs: tuple[Inputs, Cost, Schedule],
    pilot: Pilot,
    fresh: Flight,
    key: jax.Array,
    index: Array,
) -> tuple[Pilot, Metrics]:
    """One window and one step of Adam.

    Args:
        settings: Of the training.
        task: Of the flights.
        knobs: Numbers.
        pilot: Before.
        fresh: Worlds at their start, for those that start anew.
        key: Of chance in this window.
        index: Number of the update.
    """
    inputs, cost, schedule = knobs
    flight = with_arrays(fresh, pilot.flights)
    hover = hover_action(task)

    def loss(params: Params) -> tuple[Array, list[Array]]:
        end, (states, actions, goals) = fly(params, inputs, task, flight, key, settings.window)
        return step_cost(cost, states, actions, goals, hover).mean(), arrays_of(end)

    (mean, arrays), gradient = jax.value_and_grad(loss, has_aux=True)(pilot.params)
    norm = jnp.sqrt(sum(jnp.square(g).sum() for g in gradient.values()))
    invalid = ~jnp.isfinite(norm)
    factor = jnp.minimum(1.0, schedule.max_norm / (norm + 1e-6))
    gradient = {name: jnp.where(invalid, 0.0, factor * g) for name, g in gradient.items()}
    part = jnp.minimum(index / schedule.updates, 1.0)
    fall = schedule.final + (1.0 - schedule.final) * 0.5 * (1.0 + jnp.cos(math.pi * part))
    rate = schedule.rate * fall * jnp.minimum((index + 1) / schedule.warmup, 1.0)
    params, moments = adam.step(pilot.params, gradient, pilot.moments, rate, BETA_2)
    end = with_arrays(fresh, arrays)
    off = _less(end.state.position, goal(end.reference, reference_time(end)).position)
    # Written as "not inside", so that what is not a number is outside.
    lost = ~(jnp.maximum(jnp.maximum(abs(off.x), abs(off.y)), abs(off.z)) <= task.bound)
    age = pilot.age + 1
    anew = lost | (age >= settings.windows)
    flights = arrays_of(replace_where(anew, fresh, end))
    metrics = Metrics(mean, norm, jnp.sqrt(_square(off)).mean(), lost.mean(), invalid.astype(jnp.float32))
    return Pilot(params, moments, flights, jnp.where(anew, 0, age)), metrics


def update_block(
    settings: GradientSettings,
    task: FlightSettings,
    knobs: tuple[Inputs, Cost, Schedule],
    pilot: Pilot,
    fresh: Flight,
    key: jax.Array,
    first: Array,
) -> tuple[Pilot, Metrics]:
    """`settings.block` updates; the arguments are those of `update`.

    `fresh` has a leading axis of updates, `key` is split, and `first` is the number of the first update. The
    metrics have a leading axis of updates.
    """

    def body(pilot: Pilot, given: tuple[list[Array], jax.Array, Array]) -> tuple[Pilot, Metrics]:
        arrays, key, index = given
        return update(settings, task, knobs, pilot, with_arrays(fresh, arrays), key, index)

    keys = jax.random.split(key, settings.block)
    numbers = first + jnp.arange(settings.block)
    return jax.lax.scan(body, pilot, (arrays_of(fresh), keys, numbers))
