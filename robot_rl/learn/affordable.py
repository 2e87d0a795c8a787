"""Whether this machine can train an encoder end to end: the time of a step, measured before it is begun."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp

from robot_rl.core.errors import ConfigError
from robot_rl.learn import agent as agents
from robot_rl.learn.agent import Agent, Shape
from robot_rl.learn.compile import Program
from robot_rl.learn.replay import Batch
from robot_rl.learn.settings import LearnerConfig
from robot_rl.learn.update import critic_step

SAMPLE = 8
"""Transitions in the batch that is timed; the time of a larger one is in proportion."""
TRAINING = 5000
"""Environment steps of a typical training, for the message."""


def step_time(shape: Shape, config: LearnerConfig) -> float:
    """Time [s] of the critic steps of one environment step on pictures, extrapolated from a small batch."""
    noise, order = jnp.zeros((SAMPLE, shape.continuous)), jnp.arange(config.critics)
    pictures = jnp.zeros((SAMPLE, len(shape.cameras), *shape.picture), jnp.uint8)
    batch = Batch(
        observation=jnp.zeros((SAMPLE, shape.observations)),
        action=jnp.zeros((SAMPLE, shape.actions)),
        next_observation=jnp.zeros((SAMPLE, shape.observations)),
        reward=jnp.zeros(SAMPLE),
        penalty=jnp.zeros(SAMPLE),
        continues=jnp.ones(SAMPLE),
        features=pictures,
        next_features=pictures,
    )

    def sample(agent: Agent) -> Agent:
        return critic_step(agent, shape, config, batch, noise, order)[0]

    program, agent = Program(sample), agents.create(shape, config, 0)
    jax.block_until_ready(program(agent))  # compile
    start = time.monotonic()
    jax.block_until_ready(program(agent))
    return (time.monotonic() - start) * config.batch_size / SAMPLE * config.utd_ratio


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
