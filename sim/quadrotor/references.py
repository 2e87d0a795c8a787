"""References to follow: closed curves of three harmonics, run through with a soft start.

    p(t) = c + sum_{k=1..3} (a_k sin(k phi) + b_k cos(k phi)),   phi' = w min(t / ramp, 1),   phi(0) = 0

A hover is the curve without harmonics; the figure eight of the paper's flights has two, x = cos phi and
y = sin(2 phi) / 2; random curves have all. c, a_k, b_k are in the world [m], w in rad/s.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sim.quadrotor.dynamics import Array, Vector
from sim.quadrotor.settings import ReferenceSettings

HARMONICS = 3


class Reference(NamedTuple):
    """One curve, or as many as there are drones."""

    centre: Vector
    """c [m]."""
    sine: tuple[Vector, ...]
    """a_1, a_2, a_3 [m]."""
    cosine: tuple[Vector, ...]
    """b_1, b_2, b_3 [m]."""
    rate: Array
    """w [rad/s]."""
    ramp: Array
    """[s]."""


class Goal(NamedTuple):
    """A reference at one time."""

    position: Vector
    """In the world [m]."""
    velocity: Vector
    """In the world [m/s]."""
    preview: tuple[Vector, ...] = ()
    """Mean velocity from now to each of the times ahead, in the world [m/s]."""


_NOWHERE = Vector(0.0, 0.0, 0.0)

HOVER_GOAL = Goal(_NOWHERE, _NOWHERE)
"""The origin, at rest."""


def goal(reference: Reference, time: Array, preview: tuple[float, ...] = ()) -> Goal:
    """The reference at this time, with its velocity and what comes.

    Args:
        reference: The curve.
        time: Since its start [s].
        preview: Times ahead [s].
    """
    now = _position(reference, time)
    ahead = []
    for later in preview:
        then = _position(reference, time + later)
        ahead.append(Vector(*((b - a) / later for a, b in zip(now, then, strict=True))))
    return Goal(now, _velocity(reference, time), tuple(ahead))


def _phase(reference: Reference, time: Array) -> Array:
    t, ramp = time, reference.ramp
    soft = jnp.minimum(t, ramp)
    return reference.rate * (0.5 * soft * soft / ramp + (t - soft))


def _position(reference: Reference, time: Array) -> Vector:
    phase = _phase(reference, time)
    x, y, z = reference.centre
    for k, (a, b) in enumerate(zip(reference.sine, reference.cosine, strict=True), start=1):
        s, c = jnp.sin(k * phase), jnp.cos(k * phase)
        x, y, z = x + a.x * s + b.x * c, y + a.y * s + b.y * c, z + a.z * s + b.z * c
    return Vector(x, y, z)


def _velocity(reference: Reference, time: Array) -> Vector:
    phase = _phase(reference, time)
    speed = reference.rate * jnp.minimum(time / reference.ramp, 1.0)
    x, y, z = _NOWHERE
    for k, (a, b) in enumerate(zip(reference.sine, reference.cosine, strict=True), start=1):
        s, c = -k * speed * jnp.sin(k * phase), k * speed * jnp.cos(k * phase)
        x, y, z = x + a.x * c + b.x * s, y + a.y * c + b.y * s, z + a.z * c + b.z * s
    return Vector(x, y, z)


def draw_reference(key: jax.Array, shape: tuple[int, ...], settings: ReferenceSettings) -> Reference:
    """References for so many drones; only random ones differ."""
    rate, ramp = 2.0 * math.pi / settings.period, settings.ramp
    if settings.kind == "hover":
        return Reference(_NOWHERE, (), (), rate, ramp)
    if settings.kind == "figure-eight":
        x, y = settings.width / 2.0, settings.height / 2.0
        return Reference(
            _NOWHERE, (_NOWHERE, Vector(0.0, y, 0.0)), (Vector(x, 0.0, 0.0), _NOWHERE), rate, ramp
        )
    return _random(key, shape, settings, rate)


def _random(key: jax.Array, shape: tuple[int, ...], settings: ReferenceSettings, rate: float) -> Reference:
    """Amplitudes that fall as 1 / k^2; then scaled into the box, and slowed down to the speed limit."""
    draws = jax.random.normal(key, (2, HARMONICS, 3, *shape))
    fall = jnp.arange(1.0, HARMONICS + 1.0).reshape(1, HARMONICS, *(1 for _ in range(1 + len(shape))))
    waves = draws / fall**2
    # The sum of the amplitudes bounds how far the curve goes, and that of k times them how fast.
    reach = jnp.sqrt(jnp.square(waves).sum(0)).sum(0)
    half = jnp.asarray([settings.width, settings.width, settings.height]) / 2.0
    half = half.reshape(3, *(1 for _ in shape))
    waves = waves * jnp.minimum(1.0, half / reach)
    swing = (fall * jnp.sqrt(jnp.square(waves).sum(0, keepdims=True))).sum((0, 1))
    fastest = jnp.sqrt(jnp.square(swing).sum(0))
    slowed = jnp.minimum(rate, settings.speed / jnp.maximum(fastest, 1e-6))
    sine, cosine = (tuple(Vector(*wave) for wave in part) for part in waves)
    return Reference(_NOWHERE, sine, cosine, slowed, settings.ramp)
