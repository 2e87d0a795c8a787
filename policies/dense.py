"""The part of a policy that other runtimes can run: dense layers from packed observation to action."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.bundle import GAUSSIAN, Bundle
from policies.gaussian_policy import GRIPPER_PREFIX, layer_count
from robot_rl.core.errors import PolicyError
from robot_rl.core.spec import EnvSpec


@dataclass(frozen=True)
class Dense:
    """x <- activation(x W + b)."""

    weight: np.ndarray
    """(in, out) float32."""
    bias: np.ndarray
    """(out,) float32."""
    activation: str
    """"relu" or "tanh"."""


def dense_layers(bundle: Bundle) -> list[Dense]:
    """Layers of the mean action; the first one takes the packed observation over `Spec.vector_scale`.

    Raises:
        PolicyError: The policy has other parts too: pictures, features of pictures, a discrete gripper.
    """
    bundle.policy()  # what is no policy is refused here, with the reason
    spec = bundle.spec.observation
    if packed := [name for name in spec if name not in spec.vector_names]:
        raise PolicyError(
            f"only policies of float32 vectors can be exported; this one sees {', '.join(packed)} too"
        )
    if layer_count(bundle.weights, GRIPPER_PREFIX):
        raise PolicyError(
            "a policy with a discrete gripper cannot be exported: its gripper is a second network. Train it "
            "with a continuous one"
        )
    count, outputs = layer_count(bundle.weights), bundle.spec.action.size
    hidden = "relu" if bundle.kind == GAUSSIAN else "tanh"
    layers = []
    for n in range(count):
        weight, bias = bundle.weights[f"layers.{n}.weight"], bundle.weights[f"layers.{n}.bias"]
        if n == count - 1:  # the mean comes before the standard deviation
            weight, bias = weight[:, :outputs], bias[:outputs]
        activation = hidden if n < count - 1 else "tanh"
        layers.append(Dense(np.asarray(weight, np.float32), np.asarray(bias, np.float32), activation))
    return layers


def run(layers: list[Dense], x: np.ndarray) -> np.ndarray:
    """Actions (..., a) float32 for inputs (..., n), over their scales already."""
    for layer in layers:
        x = x @ layer.weight + layer.bias
        x = np.maximum(x, 0.0) if layer.activation == "relu" else np.tanh(x)
    return x


def sizes_of(layers: list[Dense]) -> list[int]:
    """Inputs, then the outputs of each layer."""
    return [layers[0].weight.shape[0], *(layer.weight.shape[1] for layer in layers)]


def sample_vectors(spec: EnvSpec, count: int, seed: int = 0) -> np.ndarray:
    """(count, n) float32 packed observations of typical magnitude within their bounds, to measure errors."""
    rng = np.random.default_rng(seed)
    parts = []
    for name in spec.observation.vector_names:
        array = spec.observation[name]
        value = rng.uniform(-array.scale, array.scale, (count, array.size))
        parts.append(np.clip(value, array.low, array.high))
    return np.concatenate(parts, axis=1).astype(np.float32)


def bound_vectors(spec: EnvSpec, count: int, seed: int = 0) -> np.ndarray:
    """(count, n) float32 packed observations anywhere within their bounds.

    Where there are none, within three times the typical magnitude.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for name in spec.observation.vector_names:
        array = spec.observation[name]
        far = 3.0 * array.scale
        low = array.low if np.isfinite(array.low) else -far
        high = array.high if np.isfinite(array.high) else far
        parts.append(rng.uniform(low, high, (count, array.size)))
    return np.concatenate(parts, axis=1).astype(np.float32)
