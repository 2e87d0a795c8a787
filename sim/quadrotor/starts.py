"""Where episodes start: around a reference, tilted, moving and turning, with the rotors running."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from sim.quadrotor.dynamics import Quaternion, State, Vector
from sim.quadrotor.references import HOVER_GOAL, Goal
from sim.quadrotor.settings import StartSettings

_NEWTON_STEPS = 4


def draw_start(
    key: jax.Array, shape: tuple[int, ...], settings: StartSettings, goal: Goal = HOVER_GOAL
) -> State:
    """States to start from.

    Args:
        key: Of chance.
        shape: Leading shape.
        settings: How far from the reference.
        goal: The reference at the start.
    """
    keys = jax.random.split(key, 5)
    guided = jax.random.uniform(keys[0], shape) < settings.guidance
    position = _cube(keys[1], shape, settings.position)
    attitude = uniform_attitude(keys[2], shape, settings.angle)
    velocity = _cube(keys[3], shape, settings.velocity)
    rotors = jnp.full(shape, settings.rotors)
    return State(
        position=Vector(
            *(g + jnp.where(guided, 0.0, p) for g, p in zip(goal.position, position, strict=True))
        ),
        attitude=Quaternion(
            *(jnp.where(guided, float(level), q) for level, q in zip((0, 0, 0, 1), attitude, strict=True))
        ),
        velocity=Vector(*(g + v for g, v in zip(goal.velocity, velocity, strict=True))),
        rates=_cube(keys[4], shape, settings.rates),
        rotors=(rotors, rotors, rotors, rotors),
    )


def uniform_attitude(key: jax.Array, shape: tuple[int, ...], angle: float) -> Quaternion:
    """Rotations that are uniform on SO(3) among those of at most this angle [rad].

    The axis is uniform on the sphere; the angle t has a density proportional to 1 - cos t, so that its
    distribution, t - sin t over that of the largest angle, is inverted by Newton's method.
    """
    of_axis, of_angle = jax.random.split(key)
    x, y, z = jax.random.normal(of_axis, (3, *shape))
    # Not 0, where the method's derivative vanishes.
    share = jax.random.uniform(of_angle, shape, minval=1e-7)
    wanted = share * (angle - math.sin(angle))
    t = jnp.cbrt(6.0 * wanted)
    for _ in range(_NEWTON_STEPS):
        t = t - (t - jnp.sin(t) - wanted) / jnp.maximum(1.0 - jnp.cos(t), 1e-12)
    scale = jnp.sin(t / 2.0) * jax.lax.rsqrt(x * x + y * y + z * z)
    return Quaternion(x * scale, y * scale, z * scale, jnp.cos(t / 2.0))


def _cube(key: jax.Array, shape: tuple[int, ...], half: float) -> Vector:
    x, y, z = jax.random.uniform(key, (3, *shape), minval=-half, maxval=half)
    return Vector(x, y, z)
