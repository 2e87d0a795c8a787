"""The rounds of the paper's training: ten steps of flight, an update of the critics, at times the actor's.

A round is what leads to a step whose number is a multiple of the interval; the first round is step 0 alone.
Chance is drawn for many rounds at a time, from a key of its own for each such era: a seed gives the same bits
on the same machine, however the rounds are divided among calls.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from robot_rl.learn.compile import in_one_kernel
from robot_rl.learn.flight import paper_replay as replay
from robot_rl.learn.flight import td3
from robot_rl.learn.flight.paper_replay import Batch, Replay
from robot_rl.learn.flight.paper_settings import PaperConfig
from robot_rl.learn.flight.paper_world import Chance, World, draw_chance, fly, model_of, start, told
from robot_rl.learn.networks import Params, gaussian_noise
from sim.quadrotor.dynamics import Array
from sim.quadrotor.observation import MEASURED
from sim.quadrotor.rewards import weights_at
from sim.quadrotor.settings import RewardSettings

ERA = 100
"""Rounds whose chance is drawn at a time."""


class Figures(NamedTuple):
    """Counts, and the newest losses."""

    episodes: Array
    critic_updates: Array
    actor_updates: Array
    critic_loss: Array
    actor_value: Array


class Learner(NamedTuple):
    """What the program takes and gives back."""

    networks: td3.Networks
    world: World
    replay: Replay
    figures: Figures
    key: Array
    """Of all chance to come."""


def critic_sees(config: PaperConfig, exact: Array, seen: Array) -> Array:
    """What the critics see: x, or what is left of it; or just what the actor sees.

    Args:
        config: Tells what is left out.
        exact: x of `paper_replay`, (n, 28).
        seen: By the actor, (n, m).
    """
    left = config.ablation
    if not left.asymmetric_critic:
        return seen
    wrench, rotors = exact[:, MEASURED : MEASURED + 6], exact[:, MEASURED + 6 :]
    more = [part for part, kept in ((wrench, left.disturbance), (rotors, left.rotor_delay)) if kept]
    return jnp.concatenate([exact[:, :MEASURED], *more], axis=-1)


def critic_width(config: PaperConfig) -> int:
    """Numbers that the critics see."""
    if not config.ablation.asymmetric_critic:
        return MEASURED + 4 * config.history
    return MEASURED + 6 * config.ablation.disturbance + 4 * config.ablation.rotor_delay


class Weights(NamedTuple):
    """Weights of the reward, one of each for every stage of the curriculum."""

    position: Array
    orientation: Array
    velocity: Array
    action: Array

    @classmethod
    def of(cls, config: PaperConfig) -> Weights:
        first, stages = config.first_reward, 1
        if config.ablation.curriculum:
            stages = (config.steps - 2) // config.curriculum.every + 1
        all_stages = [
            weights_at(n * config.curriculum.every, first, config.curriculum) for n in range(max(stages, 1))
        ]
        return cls(*(jnp.asarray([getattr(w, name) for w in all_stages]) for name in cls._fields))

    def at(self, config: PaperConfig, step: Array) -> RewardSettings:
        """Those that hold at this step; the very last step changes nothing any more."""
        stage = jnp.minimum(step // config.curriculum.every, len(self.position) - 1)
        return dataclasses.replace(
            config.first_reward, **{name: x[stage] for name, x in self._asdict().items()}
        )


def create(config: PaperConfig, key: Array) -> Learner:
    """New networks, a first episode, an empty replay buffer."""
    of_networks, of_world, key = jax.random.split(key, 3)
    seen = MEASURED + 4 * config.history
    zero = jnp.int32(0)
    return Learner(
        networks=td3.create(of_networks, seen, critic_width(config), config.hidden),
        world=start(of_world, config),
        replay=replay.create(config.steps, config.history),
        figures=Figures(zero, zero, zero, jnp.float32(0.0), jnp.float32(0.0)),
        key=key,
    )


class _Era(NamedTuple):
    """Chance of `ERA` rounds; leading axis of rounds, of the first of steps."""

    flight: Chance
    critic_bits: Array
    actor_bits: Array
    target_noise: Array


def _draw_era(config: PaperConfig, key: Array) -> _Era:
    keys = jax.random.split(key, 4)
    pair = (ERA, td3.CRITICS * config.batch_size)
    return _Era(
        flight=draw_chance(keys[0], config, model_of(config), ERA * config.interval),
        critic_bits=jax.random.bits(keys[1], pair),
        actor_bits=jax.random.bits(keys[2], (ERA, config.batch_size)),
        target_noise=gaussian_noise(keys[3], (*pair, 4)),
    )


def advance(config: PaperConfig, learner: Learner, first: Array, end: Array) -> Learner:
    """Rounds `first` to `end` - 1."""

    def era(number: Array, learner: Learner) -> Learner:
        chance = _draw_era(config, jax.random.fold_in(learner.key, number))

        def one(n: Array, learner: Learner) -> Learner:
            return play_round(config, learner, chance, n, n - number * ERA)

        return jax.lax.fori_loop(
            jnp.maximum(first, number * ERA), jnp.minimum(end, (number + 1) * ERA), one, learner
        )

    return jax.lax.fori_loop(first // ERA, (end + ERA - 1) // ERA, era, learner)


def play_round(config: PaperConfig, learner: Learner, chance: _Era, n: Array, place: Array) -> Learner:
    """Fly to step `n` times the interval, and learn.

    Args:
        config: The training.
        learner: Before.
        chance: Of the round's era.
        n: Number of the round.
        place: The round's place in its era.
    """
    last = n * config.interval
    learner = _collect(config, learner, chance.flight, n, place, exploration(config, last))
    # Loops of one turn or none: a conditional would copy all that it passes on. The whole learner goes round,
    # for what a loop only reads would be copied too; and what does not depend on the turn, which is 0, would
    # be computed before the loop, even if there is no turn.
    with_critics = (last > config.critic_warmup).astype(jnp.int32)
    with_actor = ((last > config.actor_warmup) & (n % config.actor_every == 0)).astype(jnp.int32)

    def critics(turn: Array, learner: Learner) -> Learner:
        bits = chance.critic_bits[place + turn]
        return _learn_critics(config, learner, last, bits, chance.target_noise[place + turn])

    def actor(turn: Array, learner: Learner) -> Learner:
        return _learn_actor(config, learner, last, chance.actor_bits[place + turn])

    def follow(_: Array, learner: Learner) -> Learner:
        return learner._replace(networks=td3.follow_critics(learner.networks, config.polyak))

    learner = jax.lax.fori_loop(0, with_critics, critics, learner)
    learner = jax.lax.fori_loop(0, with_actor, actor, learner)
    return jax.lax.fori_loop(0, with_critics, follow, learner)


def _learn_critics(config: PaperConfig, learner: Learner, last: Array, bits: Array, noise: Array) -> Learner:
    index = uniform_rows(bits, last)
    batch = replay.draw(learner.replay, index, told(config))
    when = last if config.ablation.reward_recalculation else index
    reward = replay.reward(batch, Weights.of(config).at(config, when))
    data = _transitions(config, batch, reward, target_noise(config, last, noise))
    networks, loss = td3.update_critics(learner.networks, data, config.discount, _rates(config))
    figures = learner.figures
    figures = figures._replace(critic_updates=figures.critic_updates + 1, critic_loss=loss)
    return learner._replace(networks=networks, figures=figures)


def _learn_actor(config: PaperConfig, learner: Learner, last: Array, bits: Array) -> Learner:
    batch = replay.draw(learner.replay, uniform_rows(bits, last), told(config))
    inputs = critic_sees(config, batch.exact, batch.seen)
    networks, value = td3.update_actor(learner.networks, batch.seen, inputs, _rates(config))
    figures = learner.figures
    figures = figures._replace(actor_updates=figures.actor_updates + 1, actor_value=value)
    return learner._replace(networks=td3.follow_actor(networks, config.polyak), figures=figures)


def _rates(config: PaperConfig) -> td3.Rates:
    return td3.Rates(config.learning_rate, config.weight_decay)


def uniform_rows(bits: Array, last: Array) -> Array:
    """Rows from 0 to `last`; the bias of the modulo is below 1e-4."""
    return (bits % (last + 1).astype(jnp.uint32)).astype(jnp.int32)


def exploration(config: PaperConfig, step: Array) -> Array:
    """Factor of all noise on actions."""
    if not config.ablation.exploration_decay:
        return jnp.float32(1.0)
    every = config.exploration_decay_every
    first = -(-config.exploration_decay_from // every)
    return config.exploration_decay ** jnp.maximum(step // every - first + 1, 0).astype(jnp.float32)


def target_noise(config: PaperConfig, step: Array, standard: Array) -> Array:
    """Noise on the actions of the critics' targets, of standard normal numbers."""
    decay = exploration(config, step)
    clip = decay * config.target_clip
    return jnp.clip(decay * config.target_noise * standard, -clip, clip)


def _collect(
    config: PaperConfig, learner: Learner, chance: Chance, n: Array, place: Array, decay: Array
) -> Learner:
    """Fly the steps of a round and store them."""
    model = model_of(config)
    first = jnp.where(n == 0, 0, (n - 1) * config.interval + 1)
    count = jnp.where(n == 0, 1, config.interval)

    def flights(
        actor: Params, world: World, episodes: Array, chance: Chance, at: Array, count: Array, decay: Array
    ) -> tuple[World, Array, Array]:
        def one(i: Array, carry: tuple[World, Array, Array]) -> tuple[World, Array, Array]:
            world, episodes, rows = carry
            now = jax.tree.map(lambda x: x[at + i], chance)
            world, row = fly(config, model, actor, world, now, decay * config.exploration)
            return world, episodes + (world.age == 0), rows.at[i].set(row)

        rows = jnp.zeros((config.interval, replay.WIDTH))
        return jax.lax.fori_loop(0, count, one, (world, episodes, rows))

    actor, episodes, at = learner.networks.actor, learner.figures.episodes, place * config.interval
    world, episodes, rows = in_one_kernel(flights, actor, learner.world, episodes, chance, at, count, decay)
    return learner._replace(
        world=world,
        replay=replay.write(learner.replay, first, rows),
        figures=learner.figures._replace(episodes=episodes),
    )


def _transitions(config: PaperConfig, batch: Batch, reward: Array, noise: Array) -> td3.Transitions:
    pair = (td3.CRITICS, config.batch_size)
    before = critic_sees(config, batch.exact, batch.seen)
    inputs = jnp.concatenate([before, batch.action], axis=-1)
    return td3.Transitions(
        critic_input=inputs.reshape(*pair, -1),
        reward=reward.reshape(pair),
        continues=1.0 - batch.terminated.reshape(pair),
        seen_after=batch.seen_after,
        critic_after=critic_sees(config, batch.exact_after, batch.seen_after),
        noise=noise,
    )
