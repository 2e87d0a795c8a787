"""Whether this machine can carry a training: memory for the rings, time for an encoder; asked beforehand."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

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
MEMORY_SHARE = 0.8
"""Largest part of the available memory that the rings may take."""
MEMORY_INFO = Path("/proc/meminfo")
"""Where Linux tells what memory is available."""


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


def require_memory(shape: Shape, config: LearnerConfig) -> None:
    """Raise `ConfigError` when the pictures or features of full rings do not fit into this host's memory.

    A device's own memory is its allocator's to refuse.
    """
    if shape.sight is None or jax.default_backend() != "cpu":
        return
    row = math.prod(shape.sight.shape) * shape.sight.dtype.itemsize
    need, available = row * (config.capacity + config.demo_capacity), available_memory()
    if need > MEMORY_SHARE * available:
        fits = int(MEMORY_SHARE * available) // row
        raise ConfigError(
            f"replay would take {need} bytes, {row} for each of {config.capacity} + {config.demo_capacity} "
            f"transitions, but this machine has {available} bytes available: lower learner.capacity and "
            f"learner.demo_capacity to at most {fits} transitions together"
        )


def available_memory() -> int:
    """Memory that can be used without swapping [bytes]; all there is, where the system tells no better."""
    if MEMORY_INFO.exists():
        for line in MEMORY_INFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
