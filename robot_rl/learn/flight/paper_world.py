"""The environment of the paper's training: one quadrotor, an actor with exploration noise, no pauses.

An episode ends 0.6 m from the target along any axis, or after 5 s, and the next one starts at once. What
chance brings is drawn for many steps at a time, a new start for each of them: drawn one by one, small numbers
cost a CPU more than the flight.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from robot_rl.learn.flight import paper_replay as replay
from robot_rl.learn.flight import td3
from robot_rl.learn.flight.paper_settings import PaperConfig
from robot_rl.learn.networks import Params, gaussian_noise
from sim.quadrotor.disturbance import draw_disturbance
from sim.quadrotor.dynamics import Array, Model, State, Vector, Wrench, rotor_command, step
from sim.quadrotor.observation import MEASURED, past_actions, remember, rotors_of
from sim.quadrotor.parameters import load_parameters
from sim.quadrotor.starts import draw_start


class World(NamedTuple):
    """The quadrotor in its episode; all leaves are scalars, but for the actions."""

    state: State
    wrench: Wrench
    actions: Array
    """(4 history,), oldest first."""
    age: Array
    """Steps since the episode started, int32."""


class Chance(NamedTuple):
    """What chance brings in some steps; all leaves have the leading axis of steps."""

    exploration: Array
    """(n, 4), standard normal."""
    noise: Array
    """(n, 18) float16, of the sensors."""
    noise_after: Array
    """The same, as the replay buffer sees the state after the step."""
    start: State
    """Of the next episode, should one start."""
    wrench: Wrench
    """In the next episode."""


def told(config: PaperConfig) -> float:
    """The action that fills a new history: it keeps the rotors at the speed that they start with."""
    return 2.0 * config.start.rotors - 1.0


def draw_chance(key: Array, config: PaperConfig, model: Model, n: int) -> Chance:
    """Chance of `n` steps."""
    keys = jax.random.split(key, 4)
    s = config.training_noise
    deviation = jnp.asarray([s.position] * 3 + [s.rotation] * 9 + [s.velocity] * 3 + [s.rates] * 3)
    noise = (deviation * gaussian_noise(keys[1], (2, n, MEASURED))).astype(jnp.float16)
    wrench = draw_disturbance(keys[3], (n,), model, config.training_disturbance).wrench
    return Chance(
        exploration=gaussian_noise(keys[0], (n, 4)),
        noise=noise[0],
        noise_after=noise[1],
        start=draw_start(keys[2], (n,), config.start),
        wrench=Wrench(*(Vector(*(jnp.broadcast_to(x, (n,)) for x in vector)) for vector in wrench)),
    )


def start(key: Array, config: PaperConfig) -> World:
    """The first episode."""
    chance = draw_chance(key, config, model_of(config), 1)
    state, wrench = jax.tree.map(lambda x: x[0], (chance.start, chance.wrench))
    world = World(state, wrench, past_actions((), config.history, told(config)), jnp.int32(0))
    # Without weak types, which a step's results do not have: the program would be compiled once for each.
    return jax.tree.map(lambda x: jnp.asarray(x, x.dtype), world)


def model_of(config: PaperConfig) -> Model:
    """What flies."""
    return Model.of(load_parameters(config.vehicle))


def fly(
    config: PaperConfig, model: Model, actor: Params, world: World, chance: Chance, exploration: Array
) -> tuple[World, Array]:
    """One step.

    Args:
        config: The task.
        model: What flies.
        actor: Weights.
        world: Now.
        chance: Of this step.
        exploration: Standard deviation of the noise on the action.

    Returns:
        The world after the step, perhaps in a new episode; the row of the replay buffer.
    """
    state = world.state
    exact = replay.exact(state, world.wrench)
    seen = exact[:MEASURED] + chance.noise.astype(jnp.float32)
    action = td3.act(actor, jnp.concatenate([seen, world.actions])[None])[0]
    action = jnp.clip(action + exploration * chance.exploration, -1.0, 1.0)
    before = state
    if not config.ablation.rotor_delay:
        before = state._replace(rotors=rotor_command(rotors_of(action)))
    after = step(model, before, rotors_of(action), world.wrench)
    x, y, z = (jnp.abs(axis) for axis in after.position)
    # Written as "not inside", so that what is not a number is outside.
    terminated = ~(jnp.maximum(jnp.maximum(x, y), z) <= config.bound)
    age = world.age + 1
    ended = terminated | (age >= config.episode_steps)
    exact_after = replay.exact(after, world.wrench)
    row = replay.pack(exact, action, exact_after, chance.noise, chance.noise_after, world.age, terminated)
    fresh = World(chance.start, chance.wrench, jnp.full_like(world.actions, told(config)), jnp.int32(0))
    flown = World(after, world.wrench, remember(world.actions, action), age)
    return jax.tree.map(lambda new, old: jnp.where(ended, new, old), fresh, flown), row
