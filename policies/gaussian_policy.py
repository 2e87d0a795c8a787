"""The learned policy at run time: a tanh-Gaussian network in NumPy.

Names of the arrays, shared by learner, bundle and exports (all float32):

    layers.N.weight (in, out), layers.N.bias (out,)     dense layers, ReLU between them; the last one gives
                                                        mean and log standard deviation side by side
    std.max (1,)                                        largest standard deviation, before the tanh
    gripper.layers.N.weight / .bias / .scale / .offset  optional Q-function of a discrete gripper over close,
                                                        keep, open (-1, 0, +1), layer-normalised
    trunk.weight (in, out), trunk.bias / .scale / .offset (out,)    for observations with features of images;
    gripper.trunk.weight / .bias / .scale / .offset                 likewise
    encoder.N.M.weight / .bias                          for observations with images, see `convolutions`

The input is the packed observation over `Spec.vector_scale`. With features it comes behind the output of the
trunk, tanh(layer norm(features @ weight + bias) * scale + offset). The action is tanh(mean), or with a random
generator tanh(mean + exp(log_std) * noise).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from policies import convolutions
from robot_rl.core.errors import PolicyError
from robot_rl.core.spec import EnvSpec, Observation

MIN_LOG_STD = -5.0
"""Least log standard deviation before the tanh."""
MAX_STD = "std.max"
"""Name of the array that holds the largest standard deviation."""
NORM_EPSILON = 1e-6
"""Added to the variance in layer normalisation."""
GRIPPER_PREFIX = "gripper."
GRIPPER_CHOICES = np.array([-1.0, 0.0, 1.0], np.float32)
"""Values of the gripper's action: close, keep, open."""

TRUNK = "trunk."
"""Begins the names of the layer that takes the features of images."""

Layer = tuple[np.ndarray, np.ndarray]
Trunk = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
NormalisedLayer = tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]


def layer_count(weights: Mapping[str, np.ndarray], prefix: str = "") -> int:
    """Number of dense layers below `prefix`."""
    count = 0
    while f"{prefix}layers.{count}.weight" in weights:
        count += 1
    return count


class GaussianPolicy:
    """Maps observations to actions. The weights are copied, so that nobody can change them in flight."""

    def __init__(self, spec: EnvSpec, weights: Mapping[str, np.ndarray], version: int = 0) -> None:
        self.spec = spec
        self._version = version
        check_weights(spec, weights)
        arrays = {name: np.array(array, np.float32) for name, array in weights.items()}
        # The division by the scales is folded into the first layer, where the observation comes last.
        scale = spec.observation.vector_scale
        for first in ("layers.0.weight", f"{GRIPPER_PREFIX}layers.0.weight"):
            if first in arrays:
                arrays[first][-scale.size :] /= scale[:, None]
        self._cameras = [
            (name, convolutions.layers_of(arrays, n)) for n, name in enumerate(spec.observation.image_names)
        ]
        self._trunk = _trunk(arrays, TRUNK)
        self._gripper_trunk = _trunk(arrays, GRIPPER_PREFIX + TRUNK)
        self._max_log_std = np.log(arrays[MAX_STD][0])
        self._layers: list[Layer] = [
            (arrays[f"layers.{n}.weight"], arrays[f"layers.{n}.bias"]) for n in range(layer_count(arrays))
        ]
        self._gripper: list[NormalisedLayer] = []
        for n in range(layer_count(arrays, GRIPPER_PREFIX)):
            name = f"{GRIPPER_PREFIX}layers.{n}."
            scale, offset = arrays.get(name + "scale"), arrays.get(name + "offset")
            self._gripper.append((arrays[name + "weight"], arrays[name + "bias"], scale, offset))
        self._dimension = spec.action.size - bool(self._gripper)

    @property
    def version(self) -> int:
        """Version of the weights."""
        return self._version

    def __call__(self, observation: Observation, rng: np.random.Generator | None) -> np.ndarray:
        """(a,) float32 in [-1, 1]; the mean action when `rng` is None, else a sample."""
        vector, features = self.spec.observation.vector(observation), self._features(observation)
        x = _see(self._trunk, vector, features)
        for weight, bias in self._layers[:-1]:
            x = x @ weight
            x += bias
            np.maximum(x, 0.0, out=x)
        weight, bias = self._layers[-1]
        x = x @ weight
        x += bias
        action = x[: self._dimension]
        if rng is not None:
            log_std = np.clip(x[self._dimension :], MIN_LOG_STD, self._max_log_std)
            action = action + np.exp(log_std) * rng.standard_normal(self._dimension, np.float32)
        action = np.tanh(action)
        if not self._gripper:
            return action
        choice = GRIPPER_CHOICES[self._gripper_values(vector, features).argmax()]
        return np.append(action, choice)

    def _features(self, observation: Observation) -> np.ndarray | None:
        """(f,) float32 of all cameras; None without a trunk to take them."""
        if self._trunk is None:
            return None
        if self._cameras:
            parts = [convolutions.encode(layers, observation[name]) for name, layers in self._cameras]
            return np.concatenate(parts)
        return self.spec.observation.features(observation).astype(np.float32)

    def _gripper_values(self, vector: np.ndarray, features: np.ndarray | None) -> np.ndarray:
        """(3,) values of closing, keeping and opening, for a packed observation in its units."""
        x = _see(self._gripper_trunk, vector, features)
        for weight, bias, scale, offset in self._gripper[:-1]:
            x = x @ weight + bias
            if scale is not None and offset is not None:
                x = _normalised(x) * scale + offset
            x = np.maximum(x, 0.0)
        weight, bias, _, _ = self._gripper[-1]
        return x @ weight + bias


def _trunk(arrays: Mapping[str, np.ndarray], prefix: str) -> Trunk | None:
    if prefix + "weight" not in arrays:
        return None
    weight, bias, scale, offset = (arrays[prefix + part] for part in ("weight", "bias", "scale", "offset"))
    return weight, bias, scale, offset


def _see(trunk: Trunk | None, vector: np.ndarray, features: np.ndarray | None) -> np.ndarray:
    """Input of the hidden layers."""
    if trunk is None or features is None:
        return vector
    weight, bias, scale, offset = trunk
    return np.concatenate([np.tanh(_normalised(features @ weight + bias) * scale + offset), vector])


def _normalised(x: np.ndarray) -> np.ndarray:
    """Layer normalisation of one row (Ba et al. 2016)."""
    x = x - x.mean()
    return x / np.sqrt(x.dot(x) / x.size + np.float32(NORM_EPSILON))


def check_weights(spec: EnvSpec, weights: Mapping[str, np.ndarray]) -> None:
    """Raise `PolicyError` unless the arrays make a network from this observation to this action."""
    gripper_layers = layer_count(weights, GRIPPER_PREFIX)
    outputs = {"": 2 * (spec.action.size - bool(gripper_layers)), GRIPPER_PREFIX: len(GRIPPER_CHOICES)}
    known, features = {MAX_STD}, spec.observation.feature_size
    if spec.observation.image_names:
        convolved, features = convolutions.check(weights, spec.observation)
        known |= convolved
    if weights.get(MAX_STD, np.zeros(0)).shape != (1,) or not weights[MAX_STD][0] > 0:
        raise PolicyError(f"the weights hold no positive {MAX_STD} of shape (1,)")
    for prefix in ("", GRIPPER_PREFIX) if gripper_layers else ("",):
        width = spec.observation.vector_size
        if features:
            known |= {f"{prefix}{TRUNK}{part}" for part in ("weight", "bias", "scale", "offset")}
            width += _trunk_width(weights, prefix + TRUNK, features)
        count = layer_count(weights, prefix)
        if count == 0:
            raise PolicyError(
                f"the weights hold no array {prefix}layers.0.weight; they have {sorted(weights)}"
            )
        for n in range(count):
            name = f"{prefix}layers.{n}."
            weight = weights[name + "weight"]
            if weight.ndim != 2 or weight.shape[0] != width:
                raise PolicyError(f"{name}weight has shape {weight.shape}, expected ({width}, outputs)")
            width = weight.shape[1]
            for part in ("bias", "scale", "offset"):
                if part != "bias" and (name + part not in weights or not prefix):
                    continue
                vector = weights.get(name + part)
                if vector is None or vector.shape != (width,):
                    found = "missing" if vector is None else f"of shape {vector.shape}"
                    raise PolicyError(f"{name}{part} is {found}, expected ({width},)")
                known.add(name + part)
            known.add(name + "weight")
        if width != outputs[prefix]:
            raise PolicyError(
                f"the network {prefix or 'of the actor '}gives {width} numbers; "
                f"an action of {spec.action.size} needs {outputs[prefix]}"
            )
    if extra := sorted(set(weights) - known):
        raise PolicyError(f"unexpected arrays in the weights: {extra}")
    for name, array in weights.items():
        if not np.isfinite(array).all():
            raise PolicyError(f"{name} is not finite")


def _trunk_width(weights: Mapping[str, np.ndarray], prefix: str, features: int) -> int:
    """Width of a trunk for so many features; `PolicyError` unless it is whole."""
    weight = weights.get(prefix + "weight", np.zeros(0))
    if weight.ndim != 2 or weight.shape[0] != features:
        raise PolicyError(f"{prefix}weight has shape {weight.shape}, expected ({features}, outputs)")
    width = weight.shape[1]
    for part in ("bias", "scale", "offset"):
        shape = weights.get(prefix + part, np.zeros(0)).shape
        if shape != (width,):
            raise PolicyError(f"{prefix}{part} has shape {shape}, expected ({width},)")
    return width
