"""A deterministic policy at run time: a small tanh network in NumPy, as microcontrollers fly it.

Names of the arrays, shared by trainer, bundle and exports (all float32):

    layers.N.weight (in, out), layers.N.bias (out,)     dense layers, x <- tanh(x W + b), the last one too

The input is the packed observation over `Spec.vector_scale`; constants that a trainer subtracts from it
belong into the first layer's bias. The action is the last layer's output, in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from policies.gaussian_policy import layer_count
from robot_rl.core.errors import PolicyError
from robot_rl.core.spec import EnvSpec, Observation


class MlpPolicy:
    """Maps observations to actions. The weights are copied, so that nobody can change them in flight."""

    def __init__(self, spec: EnvSpec, weights: Mapping[str, np.ndarray], version: int = 0) -> None:
        self.spec = spec
        self._version = version
        check_weights(spec, weights)
        arrays = {name: np.array(array, np.float32) for name, array in weights.items()}
        arrays["layers.0.weight"] /= spec.observation.vector_scale[:, None]
        self._layers = [
            (arrays[f"layers.{n}.weight"], arrays[f"layers.{n}.bias"]) for n in range(layer_count(arrays))
        ]

    @property
    def version(self) -> int:
        """Version of the weights."""
        return self._version

    def __call__(self, observation: Observation, rng: np.random.Generator | None) -> np.ndarray:
        """(a,) float32 in [-1, 1], the same one whether `rng` is None or not."""
        return self.act(self.spec.observation.vector(observation))

    def act(self, vectors: np.ndarray) -> np.ndarray:
        """Actions (..., a) for packed observations (..., n) float32, in their units."""
        x = vectors
        for weight, bias in self._layers:
            x = np.tanh(x @ weight + bias)
        return x


def check_weights(spec: EnvSpec, weights: Mapping[str, np.ndarray]) -> None:
    """Raise `PolicyError` unless the arrays make a network from this observation to this action."""
    if packed := [n for n in spec.observation if n not in spec.observation.vector_names]:
        raise PolicyError(f"a tanh-mlp policy reads float32 vectors only; the observation has {packed}")
    count = layer_count(weights)
    if count == 0:
        raise PolicyError(f"the weights hold no array layers.0.weight; they have {sorted(weights)}")
    width, known = spec.observation.vector_size, set[str]()
    for n in range(count):
        name = f"layers.{n}."
        weight, bias = weights[name + "weight"], weights.get(name + "bias", np.zeros(0))
        if weight.ndim != 2 or weight.shape[0] != width:
            raise PolicyError(f"{name}weight has shape {weight.shape}, expected ({width}, outputs)")
        width = weight.shape[1]
        if bias.shape != (width,):
            raise PolicyError(f"{name}bias has shape {bias.shape}, expected ({width},)")
        known |= {name + "weight", name + "bias"}
    if width != spec.action.size:
        raise PolicyError(f"the network gives {width} numbers; the action has {spec.action.size}")
    if extra := sorted(set(weights) - known):
        raise PolicyError(f"unexpected arrays in the weights: {extra}")
    for name in sorted(known):
        if not np.isfinite(weights[name]).all():
            raise PolicyError(f"{name} is not finite")
