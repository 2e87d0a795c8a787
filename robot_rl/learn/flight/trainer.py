"""Runs a training by gradients through the simulator: compiles, updates, hands over the weights."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from robot_rl.core.errors import ConfigError
from robot_rl.core.spec import EnvSpec
from robot_rl.learn.compile import cpu_options
from robot_rl.learn.flight.arrays import arrays_of, outline, with_arrays
from robot_rl.learn.flight.gradient import (
    Cost,
    Metrics,
    Pilot,
    Schedule,
    create,
    exported,
    inputs_of,
    update_block,
)
from robot_rl.learn.flight.settings import GradientSettings
from sim.quadrotor.dynamics import Array
from sim.quadrotor.environment import reset
from sim.quadrotor.settings import FlightSettings

KNOBS = ("cost", "learning_rate", "warmup", "final_rate", "updates", "max_norm")
"""Settings that a compiled training is given with each call."""

OnBlock = Callable[[int, Mapping[str, float]], None]
"""Told the number of updates so far, and the figures of the last of them."""


@dataclass(frozen=True)
class Trained:
    """What came of a training."""

    weights: dict[str, np.ndarray]
    """Of `policies.mlp_policy.MlpPolicy`."""
    updates: int
    """Of the policy."""
    env_steps: int
    """Of all quadrotors together."""
    cpu_s: float
    """Processor time of the updates, without compilation [s]."""
    wall_s: float
    """Wall time of the same [s]."""
    invalid: int
    """Updates whose gradient was not finite, and was left out."""


class Trainer:
    """Compiled programs for one kind of training; they serve every seed, cost, step size and length.

    Args:
        settings: Of the training.
        task: What is flown.
        spec: What the policy sees and commands.
    """

    def __init__(self, settings: GradientSettings, task: FlightSettings, spec: EnvSpec) -> None:
        began, began_wall = time.process_time(), time.monotonic()
        self.task = task
        self._settings = settings
        self._inputs = inputs_of(task, spec.observation.vector_scale)
        shape = (settings.block, settings.worlds)
        outlines = []

        # Keys are made inside of the programs: each operation outside would be compiled on its own.
        def draw(seed: Array, first: Array) -> list[Array]:
            of_start, of_fresh, _ = jax.random.split(jax.random.key(seed), 3)
            key = jnp.where(first < 0, of_start, jax.random.fold_in(of_fresh, first))
            fresh = reset(key, task, shape)._replace(key=None)  # chance comes from outside
            outlines.append(outline(fresh))
            return arrays_of(fresh)

        def block(
            knobs: Any, pilot: Pilot, arrays: list[Array], seed: Array, first: Array
        ) -> tuple[Pilot, Metrics]:
            key = jax.random.fold_in(jax.random.split(jax.random.key(seed), 3)[2], first)
            fresh = with_arrays(outlines[0], arrays)
            return update_block(settings, task, knobs, pilot, fresh, key, first)

        options = cpu_options()
        zero = np.int32(0)
        self._draw = jax.jit(draw).lower(zero, zero).compile(options)
        arrays = self._draw(zero, zero)
        pilot = create(settings, task, arrays, 0)
        lowered = jax.jit(block, donate_argnums=1).lower(self._knobs(settings), pilot, arrays, zero, zero)
        self._block = lowered.compile(options)
        self.compile_cpu_s = time.process_time() - began
        """Processor time of the compilation [s]."""
        self.compile_wall_s = time.monotonic() - began_wall
        """Wall time of the same [s]."""

    def _check(self, settings: GradientSettings) -> None:
        differ = [
            f.name
            for f in dataclasses.fields(settings)
            if f.name not in KNOBS and getattr(settings, f.name) != getattr(self._settings, f.name)
        ]
        if differ:
            raise ConfigError(f"this trainer was compiled for another {', '.join(differ)}: make a new one")

    def _knobs(self, settings: GradientSettings) -> tuple:
        return self._inputs, Cost.of(settings.cost), Schedule.of(settings)

    def train(self, settings: GradientSettings, seed: int, on_block: OnBlock = lambda *_: None) -> Trained:
        """Train a policy.

        Args:
            settings: Those of the constructor, or others of cost, step size and number of updates.
            seed: Of everything.
            on_block: Told how it goes.

        Raises:
            ConfigError: Another setting differs: the programs were compiled for it.
        """
        self._check(settings)
        began, began_wall = time.process_time(), time.monotonic()
        knobs, of_seed = self._knobs(settings), np.int32(seed)
        pilot = create(settings, self.task, self._draw(of_seed, np.int32(-1)), seed)
        invalid = 0
        for first in range(0, settings.updates, settings.block):
            fresh = self._draw(of_seed, np.int32(first))
            pilot, metrics = self._block(knobs, pilot, fresh, of_seed, np.int32(first))
            figures = jax.device_get(metrics)
            invalid += int(figures.invalid.sum())
            on_block(first + settings.block, {k: float(v[-1]) for k, v in figures._asdict().items()})
        weights = exported(pilot.params, self._inputs)
        return Trained(
            weights=weights,
            updates=settings.updates,
            env_steps=settings.updates * settings.worlds * settings.window,
            cpu_s=time.process_time() - began,
            wall_s=time.monotonic() - began_wall,
            invalid=invalid,
        )
