"""Worlds in which quadrotors learn to fly: drawn many at once, carried on from window to window.

A flight of `sim.quadrotor.environment` holds arrays, one number for each world, and plain numbers, where all
worlds are the same. The plain ones stay constants of a compiled program; only the arrays are carried.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from sim.quadrotor.disturbance import draw_disturbance
from sim.quadrotor.dynamics import Array
from sim.quadrotor.environment import Flight
from sim.quadrotor.observation import past_actions
from sim.quadrotor.randomise import draw_model
from sim.quadrotor.references import draw_reference, goal
from sim.quadrotor.settings import PERIOD, FlightSettings
from sim.quadrotor.starts import draw_start

Tree = TypeVar("Tree")


def draw(
    key: jax.Array, settings: FlightSettings, shape: tuple[int, ...], rotor_delay: bool = True
) -> Flight:
    """Flights at their start; unlike in an evaluation, around any point of a reference that moves.

    Args:
        key: Of chance.
        settings: Of the flights.
        shape: Leading shape.
        rotor_delay: Off, all rotors follow their commands within a period.
    """
    keys = jax.random.split(key, 5)
    model = draw_model(keys[0], shape, settings.vehicle)
    if not rotor_delay:
        model = model._replace(spin_up_time=PERIOD, spin_down_time=PERIOD)
    reference = draw_reference(keys[1], shape, settings.reference)
    steps = jnp.zeros(shape, jnp.int32)
    if settings.reference.kind != "hover":
        course = settings.reference.ramp + settings.reference.period
        steps = jax.random.randint(keys[4], shape, 0, round(course / PERIOD))
    told = 2.0 * settings.start.rotors - 1.0
    return Flight(
        state=draw_start(keys[2], shape, settings.start, goal(reference, PERIOD * steps)),
        actions=past_actions(shape, settings.history, told),
        steps=steps,
        model=model,
        reference=reference,
        disturbance=draw_disturbance(keys[3], shape, model, settings.disturbance),
        key=keys[4],
    )._replace(key=None)  # chance comes from outside


def arrays_of(tree: Any) -> list[Array]:
    """The arrays among the leaves."""
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]


def outline(tree: Tree) -> Tree:
    """The same tree with only the shapes of its arrays, for `with_arrays`."""
    return jax.tree.map(lambda leaf: jax.typeof(leaf) if isinstance(leaf, jax.Array) else leaf, tree)


def with_arrays(tree: Tree, arrays: Sequence[Array]) -> Tree:
    """The same tree, or one with this outline, with these arrays in place of its own."""
    rest = iter(arrays)
    plain = (int, float)
    return jax.tree.map(lambda leaf: leaf if isinstance(leaf, plain) else next(rest), tree)


def renew(where: Array, fresh: Sequence[Array], old: Sequence[Array]) -> list[Array]:
    """The worlds `where` this holds from `fresh`, the others as they are."""

    def choose(new: Array, was: Array) -> Array:
        return jnp.where(where.reshape(where.shape + (1,) * (was.ndim - 1)), new, was)

    return [choose(new, was) for new, was in zip(fresh, old, strict=True)]
