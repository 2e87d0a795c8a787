"""Flight policies with random weights, for the tests of run times and exports."""

from __future__ import annotations

import itertools

import numpy as np

from policies.bundle import MLP, Bundle
from robot_rl.core.spec import EnvSpec
from sim.quadrotor import layout


def flight_spec(history: int, preview: int = 0) -> EnvSpec:
    """What a flight policy sees and commands: `history` past actions, `preview` points of the reference."""
    ahead = [0.1 * (1 + n) for n in range(preview)]
    return layout.flight_spec(history, ahead, layout.BALANCED, "quadrotor_sample")


def weights_of(spec: EnvSpec, hidden: tuple[int, ...], gain: float = 1.0) -> dict[str, np.ndarray]:
    """Random weights; `gain` 1 keeps the activations moderate, more saturates them."""
    rng = np.random.default_rng(7)
    sizes = (spec.observation.vector_size, *hidden, spec.action.size)
    weights = {}
    for n, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        deviation = gain / np.sqrt(inputs)
        weights[f"layers.{n}.weight"] = rng.normal(0.0, deviation, (inputs, outputs)).astype(np.float32)
        weights[f"layers.{n}.bias"] = rng.normal(0.0, 0.1 * gain, outputs).astype(np.float32)
    return weights


def bundle_of(spec: EnvSpec, hidden: tuple[int, ...], gain: float = 1.0) -> Bundle:
    """A bundle of a flight policy."""
    return Bundle(spec, weights_of(spec, hidden, gain), 3, {"task": spec.name, "seed": 7}, MLP)
