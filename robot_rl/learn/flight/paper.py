"""The training of "Learning to Fly in Seconds" (Eschmann, Albani, Loianno; RA-L 2024), as one program.

    result = train_paper(PaperConfig(), seed=0)

The schedule is the published program's: after each step whose number is a multiple of 10, and from the
warm-up on, both critics and their targets are updated, and every second time the actor and its target. In
between, policies are evaluated and validated as there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from robot_rl.learn.compile import Program, cpu_options
from robot_rl.learn.flight.gradient import act
from robot_rl.learn.flight.paper_rounds import Learner, advance, create
from robot_rl.learn.flight.paper_settings import PaperConfig
from robot_rl.learn.flight.paper_validation import Validation, Validator
from sim.quadrotor.dynamics import Array
from sim.quadrotor.evaluation import Evaluation, Evaluator


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
    validation: Validation | None = None
    """Of the actor in the world of the training, at the steps where there is one."""


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
        self._evaluate = Evaluator(act, config.flight, config.episodes, compiler_options=cpu_options())
        self._validate = Validator(config)

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
            progress = self._progress((end - 1) * config.interval, learner, train_s)
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

    def _progress(self, step: int, learner: Learner, train_s: float) -> Progress:
        actor, figures = learner.networks.actor, learner.figures
        return Progress(
            step=step,
            evaluation=self._evaluate(actor),
            train_s=train_s,
            episodes=int(figures.episodes),
            critic_updates=int(figures.critic_updates),
            actor_updates=int(figures.actor_updates),
            critic_loss=float(figures.critic_loss),
            actor_value=float(figures.actor_value),
            validation=self._validate(actor) if step % self.config.validate_every == 0 else None,
        )


def _merit(checkpoint: Checkpoint) -> tuple[float, float]:
    e = checkpoint.progress.evaluation
    return e.length, e.reward


def train_paper(config: PaperConfig, seed: int, on_progress: OnProgress = lambda _: None) -> PaperResult:
    """Compile and train once; see `PaperTrainer`."""
    return PaperTrainer(config).train(seed, on_progress)
