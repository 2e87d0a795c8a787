"""What pushes a drone that it cannot see: a constant wrench in each episode, and gusts.

A gust is first-order coloured noise, the Ornstein-Uhlenbeck process, exact for any time step:

    F(t + h) = r F(t) + s sqrt(1 - r^2) n,   r = exp(-h / T),   n of the standard normal distribution

with the standard deviation s [N] and the correlation time T [s]; it starts from its stationary distribution.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax

from sim.quadrotor.dynamics import Array, Model, Vector, Wrench
from sim.quadrotor.settings import PERIOD, DisturbanceSettings


class Disturbance(NamedTuple):
    """What pushes in one episode."""

    constant: Wrench
    """All along."""
    gust: Vector
    """Force of the wind now, in the world [N]."""

    @property
    def wrench(self) -> Wrench:
        """Both together."""
        force = Vector(*(a + b for a, b in zip(self.constant.force, self.gust, strict=True)))
        return Wrench(force, self.constant.torque)


def draw_disturbance(
    key: jax.Array, shape: tuple[int, ...], model: Model, settings: DisturbanceSettings
) -> Disturbance:
    """The disturbance at the start of an episode; `model` tells the weight."""
    weight = model.mass * model.gravity
    force, torque, gust = (
        _normal(k, shape, size * weight) if size > 0.0 else Vector(0.0, 0.0, 0.0)
        for k, size in zip(
            jax.random.split(key, 3), (settings.force, settings.torque, settings.gust), strict=True
        )
    )
    return Disturbance(Wrench(force, torque), gust)


def _normal(key: jax.Array, shape: tuple[int, ...], deviation: Array) -> Vector:
    x, y, z = jax.random.normal(key, (3, *shape))
    return Vector(deviation * x, deviation * y, deviation * z)


def blow(
    key: jax.Array, disturbance: Disturbance, model: Model, settings: DisturbanceSettings
) -> Disturbance:
    """The disturbance one period later."""
    if settings.gust == 0.0:
        return disturbance
    keep = math.exp(-PERIOD / settings.gust_time)
    fresh = settings.gust * math.sqrt(1.0 - keep * keep) * model.mass * model.gravity
    news = _normal(key, disturbance.gust.x.shape, fresh)
    gust = Vector(*(keep * old + new for old, new in zip(disturbance.gust, news, strict=True)))
    return disturbance._replace(gust=gust)
