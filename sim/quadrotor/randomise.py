"""Which quadrotor flies: one of the named sets or one in between, with scatter, on a battery half empty."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from sim.quadrotor.dynamics import Array, Model, Vector
from sim.quadrotor.parameters import load_parameters
from sim.quadrotor.settings import PERIOD, RandomisationSettings


def draw_model(key: jax.Array, shape: tuple[int, ...], settings: RandomisationSettings) -> Model:
    """Quadrotors for so many drones; plain numbers where nothing is left to chance."""
    models = [Model.of(load_parameters(name)) for name in settings.sets]
    of_set, of_scatter, of_battery = jax.random.split(key, 3)
    model = models[0]
    if len(models) > 1:
        choose = _blended if settings.blend else _chosen
        model = choose(of_set, shape, models)
    if any((settings.mass, settings.inertia, settings.thrust, settings.torque, settings.lag)):
        model = _scattered(of_scatter, shape, model, settings)
    if not settings.rotor_delay:
        model = model._replace(spin_up_time=PERIOD, spin_down_time=PERIOD)
    if settings.battery < 1.0:
        model = on_battery(model, jax.random.uniform(of_battery, shape, minval=settings.battery))
    if settings.scatters or settings.thrust_to_weight > 1.0:
        model = _lifting(model, settings.thrust_to_weight)
    return model


def on_battery(model: Model, level: Array) -> Model:
    """The same quadrotor at this part of the nominal voltage, with which its rotors' speeds scale.

    Rotor speeds of a state are then parts of the highest speed at this voltage.
    """
    c0, c1, c2 = model.thrust
    return model._replace(thrust=(c0, c1 * level, c2 * level * level))


def _chosen(key: jax.Array, shape: tuple[int, ...], models: list[Model]) -> Model:
    index = jax.random.randint(key, shape, 0, len(models))

    def choose(*values: float) -> Array:
        if len(set(values)) == 1:
            return values[0]
        picked = jnp.full(shape, values[0])
        for i, value in enumerate(values[1:], start=1):
            picked = jnp.where(index == i, value, picked)
        return picked

    return jax.tree.map(choose, *models)


def _blended(key: jax.Array, shape: tuple[int, ...], models: list[Model]) -> Model:
    # Normalised exponential variables are uniform on the simplex.
    raw = jax.random.exponential(key, (len(models), *shape))
    weights = raw / raw.sum(0)

    def blend(*values: float) -> Array:
        if len(set(values)) == 1:
            return values[0]
        if min(values) > 0.0:
            return jnp.exp(sum(w * math.log(value) for w, value in zip(weights, values, strict=True)))
        return sum(w * value for w, value in zip(weights, values, strict=True))

    return jax.tree.map(blend, *models)


def _scattered(
    key: jax.Array, shape: tuple[int, ...], model: Model, settings: RandomisationSettings
) -> Model:
    s = settings
    spreads = (s.mass, s.inertia, s.thrust, s.torque, s.lag, s.lag)
    draws = jax.random.uniform(key, (len(spreads), *shape), minval=-1.0, maxval=1.0)
    mass, inertia, thrust, torque, up, down = (
        jnp.exp(math.log1p(spread) * draw) for spread, draw in zip(spreads, draws, strict=True)
    )
    c0, c1, c2 = model.thrust
    return model._replace(
        mass=model.mass * mass,
        inertia=Vector(*(j * inertia for j in model.inertia)),
        thrust=(c0 * thrust, c1 * thrust, c2 * thrust),
        torque_per_thrust=model.torque_per_thrust * torque,
        spin_up_time=model.spin_up_time * up,
        spin_down_time=model.spin_down_time * down,
    )


def _lifting(model: Model, at_least: float) -> Model:
    c0, c1, c2 = model.thrust
    has = 4.0 * (c0 + c1 + c2) / (model.mass * model.gravity)
    more = jnp.maximum(1.0, at_least / has)
    return model._replace(thrust=(c0 * more, c1 * more, c2 * more))
