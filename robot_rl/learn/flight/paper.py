"""The training of "Learning to Fly in Seconds" (Eschmann, Albani, Loianno; RA-L 2024), as one program.

    result = train_paper(PaperConfig(), seed=0)

The schedule is the published program's: after each step whose number is a multiple of 10, and from the
warm-up on, both critics and their targets are updated, and every second time the actor and its target. A
round is what leads to such a step; the first round is step 0 alone. A seed gives the same bits on the same
machine, however the rounds are divided among calls.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from robot_rl.learn.compile import Program, cpu_options
from robot_rl.learn.flight import paper_replay as replay
from robot_rl.learn.flight import td3
from robot_rl.learn.flight.paper_replay import Batch, Replay
from robot_rl.learn.flight.paper_settings import PaperConfig
from robot_rl.learn.flight.paper_world import Chance, World, draw_chance, fly, model_of, start, told
from robot_rl.learn.networks import gaussian_noise
from sim.quadrotor.dynamics import Array, State, Wrench
from sim.quadrotor.evaluation import Evaluation, Evaluator
from sim.quadrotor.observation import MEASURED, observe
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


@dataclass(frozen=True)
class Progress:
    """Where training stands after a step."""

    step: int
    """Environment step, from 0 on."""
    evaluation: Evaluation
    """Of the actor, without noise on its actions, under the target weights."""
    train_s: float
    """CPU time of training so far, without compilation and evaluations [s]."""
    episodes: int
    """Training episodes that ended."""
    critic_updates: int
    """Of each critic."""
    actor_updates: int
    """Of the actor."""
    critic_loss: float
    """Newest one, mean of both critics."""
    actor_value: float
    """Mean value of the actor's actions in its newest batch."""


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Checkpoint:
    """A policy of the training."""

    progress: Progress
    """When, and how good."""
    weights: dict[str, np.ndarray]
    """`layers.N.weight` (in, out) and `layers.N.bias`, for `policies.mlp_policy`."""


@dataclass(frozen=True)
class PaperResult:
    """Outcome of a training."""

    final: Checkpoint
    """After the last step."""
    best: Checkpoint
    """Of all that were evaluated, the one whose flights last longest; of several, the one with the highest
    return. Not simply the highest return: while that is negative, crashing early pays."""
    curve: tuple[Progress, ...]
    """All evaluations, oldest first."""
    train_s: float
    """CPU time of the training [s]."""
    compile_s: float
    """CPU time of the compilation [s]."""


def critic_sees(config: PaperConfig, state: State, wrench: Wrench, seen: Array) -> Array:
    """x: the true state, the disturbance [N, Nm], the rotors' speeds in [-1, 1]; or just what the actor sees.

    Args:
        config: Tells what is left out.
        state: Of leading shape (n,).
        wrench: In its episode.
        seen: By the actor, (n, m).
    """
    if not config.ablation.asymmetric_critic:
        return seen
    exact = observe(state, seen[:, :0])
    more = [*wrench.force, *wrench.torque] if config.ablation.disturbance else []
    if config.ablation.rotor_delay:
        more += [2.0 * speed - 1.0 for speed in state.rotors]
    return jnp.concatenate([exact, jnp.stack(more, axis=-1)], axis=-1) if more else exact


def critic_width(config: PaperConfig) -> int:
    """Numbers in x."""
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
    index = _uniform(bits, last)
    batch = replay.draw(learner.replay, index, told(config))
    when = last if config.ablation.reward_recalculation else index
    reward = replay.reward(batch, Weights.of(config).at(config, when))
    decay = exploration(config, last)
    clip = decay * config.target_clip
    data = _transitions(config, batch, reward, jnp.clip(decay * config.target_noise * noise, -clip, clip))
    networks, loss = td3.update_critics(learner.networks, data, config.discount, _rates(config))
    figures = learner.figures
    figures = figures._replace(critic_updates=figures.critic_updates + 1, critic_loss=loss)
    return learner._replace(networks=networks, figures=figures)


def _learn_actor(config: PaperConfig, learner: Learner, last: Array, bits: Array) -> Learner:
    batch = replay.draw(learner.replay, _uniform(bits, last), told(config))
    inputs = critic_sees(config, batch.state, batch.wrench, batch.seen)
    networks, value = td3.update_actor(learner.networks, batch.seen, inputs, _rates(config))
    figures = learner.figures
    figures = figures._replace(actor_updates=figures.actor_updates + 1, actor_value=value)
    return learner._replace(networks=td3.follow_actor(networks, config.polyak), figures=figures)


def _rates(config: PaperConfig) -> td3.Rates:
    return td3.Rates(config.learning_rate, config.weight_decay)


def _uniform(bits: Array, last: Array) -> Array:
    """Rows from 0 to `last`; the bias of the modulo is below 1e-4."""
    return (bits % (last + 1).astype(jnp.uint32)).astype(jnp.int32)


def exploration(config: PaperConfig, step: Array) -> Array:
    """Factor of all noise on actions."""
    if not config.ablation.exploration_decay:
        return jnp.float32(1.0)
    every = config.exploration_decay_every
    first = -(-config.exploration_decay_from // every)
    return config.exploration_decay ** jnp.maximum(step // every - first + 1, 0).astype(jnp.float32)


def _collect(
    config: PaperConfig, learner: Learner, chance: Chance, n: Array, place: Array, decay: Array
) -> Learner:
    """Fly the steps of a round and store them."""
    model, actor = model_of(config), learner.networks.actor
    first = jnp.where(n == 0, 0, (n - 1) * config.interval + 1)
    count = jnp.where(n == 0, 1, config.interval)

    def one(i: Array, carry: tuple) -> tuple:
        world, rows, actions, episodes = carry
        now = jax.tree.map(lambda x: x[place * config.interval + i], chance)
        world, row, action = fly(config, model, actor, world, now, decay * config.exploration)
        return world, rows.at[i].set(row), actions.at[i].set(action), episodes + (world.age == 0)

    empty = jnp.zeros((config.interval, replay.WIDTH)), jnp.zeros((config.interval, 4))
    world, rows, actions, episodes = jax.lax.fori_loop(
        0, count, one, (learner.world, *empty, learner.figures.episodes)
    )
    return learner._replace(
        world=world,
        replay=replay.write(learner.replay, first, rows, actions),
        figures=learner.figures._replace(episodes=episodes),
    )


def _transitions(config: PaperConfig, batch: Batch, reward: Array, noise: Array) -> td3.Transitions:
    pair = (td3.CRITICS, config.batch_size)
    before = critic_sees(config, batch.state, batch.wrench, batch.seen)
    inputs = jnp.concatenate([before, batch.action], axis=-1)
    return td3.Transitions(
        critic_input=inputs.reshape(*pair, -1),
        reward=reward.reshape(pair),
        continues=1.0 - batch.terminated.reshape(pair),
        seen_after=batch.seen_after,
        critic_after=critic_sees(config, batch.after, batch.wrench, batch.seen_after),
        noise=noise,
    )


class PaperTrainer:
    """The compiled program of a training; it serves every seed.

    Args:
        config: The training.
    """

    def __init__(self, config: PaperConfig) -> None:
        self.config = config
        began = time.process_time()

        def begin(key: Array) -> Learner:
            return create(config, key)

        def run(learner: Learner, first: Array, end: Array) -> Learner:
            return advance(config, learner, first, end)

        self._begin, self._run = Program(begin), Program(run, donate=(0,))
        # A call for no rounds compiles, and does nothing.
        jax.block_until_ready(self._run(self._begin(jax.random.key(0)), jnp.int32(0), jnp.int32(0)))
        self.compile_s = time.process_time() - began
        """CPU time of the compilation [s]."""
        options = dict(cpu_options()) if jax.default_backend() == "cpu" else None
        self._evaluate = Evaluator(td3.act, config.flight, config.episodes, compiler_options=options)

    def train(
        self, seed: int, on_progress: OnProgress = lambda _: None, every: int | None = None
    ) -> PaperResult:
        """Train a policy.

        Args:
            seed: Of all chance.
            on_progress: Hears of every evaluation.
            every: Environment steps between two evaluations; None for what the settings say.
        """
        config = self.config
        stride = max((every or config.evaluate_every) // config.interval, 1)
        rounds = (config.steps - 1) // config.interval + 1
        learner = jax.block_until_ready(self._begin(jax.random.key(seed)))
        checkpoints: list[Checkpoint] = []
        train_s, first = 0.0, 0
        for end in [*range(1, rounds, stride), rounds]:
            began = time.process_time()
            learner = jax.block_until_ready(self._run(learner, jnp.int32(first), jnp.int32(end)))
            train_s += time.process_time() - began
            first = end
            progress = _progress((end - 1) * config.interval, learner, self._evaluate, train_s)
            weights = {name: np.array(value) for name, value in learner.networks.actor.items()}
            checkpoints.append(Checkpoint(progress, weights))
            on_progress(progress)
        return PaperResult(
            final=checkpoints[-1],
            best=max(checkpoints, key=_merit),
            curve=tuple(c.progress for c in checkpoints),
            train_s=train_s,
            compile_s=self.compile_s,
        )


def _merit(checkpoint: Checkpoint) -> tuple[float, float]:
    e = checkpoint.progress.evaluation
    return e.length, e.reward


def train_paper(config: PaperConfig, seed: int, on_progress: OnProgress = lambda _: None) -> PaperResult:
    """Compile and train once; see `PaperTrainer`."""
    return PaperTrainer(config).train(seed, on_progress)


def _progress(step: int, learner: Learner, evaluate: Evaluator, train_s: float) -> Progress:
    figures = learner.figures
    return Progress(
        step=step,
        evaluation=evaluate(learner.networks.actor),
        train_s=train_s,
        episodes=int(figures.episodes),
        critic_updates=int(figures.critic_updates),
        actor_updates=int(figures.actor_updates),
        critic_loss=float(figures.critic_loss),
        actor_value=float(figures.actor_value),
    )
