"""Whether this machine can train an encoder end to end: the time of a step, measured before it is begun."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp

from robot_rl.core.errors import ConfigError
from robot_rl.learn import encoder
from robot_rl.learn.agent import Shape
from robot_rl.learn.compile import Program
from robot_rl.learn.settings import LearnerConfig

SAMPLE = 8
"""Transitions in the batch that is timed; the time of a larger one is in proportion."""
TRAINING = 5000
"""Environment steps of a typical training, for the message."""


def step_time(shape: Shape, config: LearnerConfig) -> float:
    """CPU time [s] that the encoder takes in the critic steps of one environment step.

    That is one pass forward and backward for the observation, and one forward for the next. All else that
    the learner does takes milliseconds.
    """
    params = encoder.init(jax.random.key(0), len(shape.cameras))
    pictures = jnp.zeros((SAMPLE, len(shape.cameras), *shape.picture), jnp.uint8)

    def sample(
        params: encoder.Params, seen: jax.Array, following: jax.Array
    ) -> tuple[encoder.Params, jax.Array]:
        gradient = jax.grad(lambda p: encoder.encode(p, seen).sum())(params)
        return gradient, encoder.encode(params, following)

    program = Program(sample)
    jax.block_until_ready(program(params, pictures, pictures + 1))  # compile
    # Not wall time, which other load on the machine would stretch; XLA has one thread here.
    start = time.process_time()
    jax.block_until_ready(program(params, pictures, pictures + 1))
    return (time.process_time() - start) * config.batch_size / SAMPLE * config.utd_ratio


def require_accelerator(shape: Shape, config: LearnerConfig) -> None:
    """Raise `ConfigError`, with the time to expect, when an encoder would be trained on a CPU unforced."""
    if not shape.picture or config.force_cpu or jax.default_backend() != "cpu":
        return
    seconds = step_time(shape, config)
    raise ConfigError(
        f"training the encoder end to end takes about {seconds:.2g} s for each environment step on this CPU, "
        f"{seconds * TRAINING / 3600.0:.2g} h for {TRAINING} steps. Encode once instead (encoder.kind "
        '"pretrained"), use a host with a GPU and JAX for it, or set learner.force_cpu to true'
    )
