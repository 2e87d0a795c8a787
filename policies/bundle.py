"""Policy bundles: a directory that holds all that is needed to act, and proof that it acts as it did.

    policy.json           format, spec, network, version, provenance, sha256 of the weights, golden pair
    weights.safetensors   the arrays, named as in `policies.gaussian_policy` or `policies.mlp_policy`

The golden pair is one observation and the mean action for it, made when the bundle was written. A runtime
(NumPy, ONNX, C) replays it before it is allowed to act.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from policies.gaussian_policy import GRIPPER_PREFIX, TRUNK, GaussianPolicy, layer_count
from policies.mlp_policy import MlpPolicy
from robot_rl.core.errors import PolicyError, SpecError, nearest
from robot_rl.core.protocols import Policy
from robot_rl.core.spec import EnvSpec

FORMAT = 1
MANIFEST = "policy.json"
WEIGHTS = "weights.safetensors"
GOLDEN_TOLERANCE = 1e-5
"""Largest difference of an action element when the golden pair is replayed."""

GAUSSIAN, MLP = "tanh-gaussian", "tanh-mlp"
"""Kinds of networks."""
RUNTIMES: dict[str, type[GaussianPolicy] | type[MlpPolicy]] = {GAUSSIAN: GaussianPolicy, MLP: MlpPolicy}
"""What acts with each kind."""


@dataclass(frozen=True)
class Bundle:
    """A policy as data."""

    spec: EnvSpec
    weights: Mapping[str, np.ndarray]
    version: int
    """Version of the weights, as the learner counts."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Where the policy comes from: task, seed, steps, git state, ..."""
    kind: str = GAUSSIAN
    """Kind of the network, one of `RUNTIMES`."""

    def policy(self) -> Policy:
        """The policy, ready to act."""
        if self.kind not in RUNTIMES:
            raise PolicyError(f"network kind {self.kind!r}: {nearest(self.kind, RUNTIMES)}")
        return RUNTIMES[self.kind](self.spec, self.weights, self.version)


def golden_observation(spec: EnvSpec) -> dict[str, np.ndarray]:
    """A fixed observation of typical magnitude within the spec's bounds, different in every element."""
    rng = np.random.default_rng(20230301)
    observation = {}
    for name, array in spec.observation.entries:
        if array.dtype == "uint8":
            observation[name] = rng.integers(0, 256, array.shape, np.uint8)
            continue
        value = rng.uniform(-array.scale, array.scale, array.shape)
        observation[name] = np.clip(value, array.low, array.high).astype(array.dtype)
    return observation


def save_bundle(directory: Path, bundle: Bundle) -> None:
    """Write `bundle` into `directory`, over an older one; the manifest comes last and completes it."""
    spec = bundle.spec
    observation = golden_observation(spec)
    action = bundle.policy()(observation, None)
    data = safetensors.numpy.save({k: np.ascontiguousarray(v, np.float32) for k, v in bundle.weights.items()})
    manifest = {
        "format": FORMAT,
        "spec": spec.to_json(),
        "network": _network(bundle),
        "version": bundle.version,
        "provenance": dict(bundle.provenance),
        "sha256": hashlib.sha256(data).hexdigest(),
        "golden": {
            "observation": {k: v.tolist() for k, v in observation.items()},
            "action": action.tolist(),
        },
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in ((WEIGHTS, data), (MANIFEST, json.dumps(manifest, indent=2).encode())):
        temporary = directory / (name + ".tmp")
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(directory / name)


def _network(bundle: Bundle) -> dict[str, Any]:
    """What a reader of the manifest needs to know to run the network."""
    layers = [bundle.weights[f"layers.{n}.weight"].shape for n in range(layer_count(bundle.weights))]
    sizes = [layers[0][0], *(shape[1] for shape in layers)]
    if bundle.kind == MLP:
        return {
            "kind": MLP,
            "input": "the packed float32 vectors of the observation, each over its scale",
            "activation": "tanh",
            "output": "the action, behind a tanh too",
            "sizes": sizes,
        }
    trunk = bundle.weights.get(TRUNK + "weight")
    return {
        "kind": GAUSSIAN,
        "input": "the packed float32 vectors of the observation, each over its scale, behind the trunk's "
        "output for the features of images",
        "activation": "relu",
        "output": "mean and log standard deviation; the action is tanh(mean)",
        "sizes": sizes,
        "trunk": None if trunk is None else list(trunk.shape),
        "discrete_gripper": layer_count(bundle.weights, GRIPPER_PREFIX) > 0,
    }


def load_bundle(directory: Path, spec: EnvSpec | None = None) -> Bundle:
    """Read a bundle, check it against its digest, its golden pair and, when given, the task's `spec`."""
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        data = (directory / WEIGHTS).read_bytes()
    except FileNotFoundError as error:
        raise PolicyError(f"{directory} is not a policy bundle: {error.filename} is missing") from None
    except (OSError, ValueError) as error:
        raise PolicyError(f"{path} cannot be read: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else manifest
        raise PolicyError(f"{path} has format {found!r}; this version reads format {FORMAT}")
    try:
        if hashlib.sha256(data).hexdigest() != manifest["sha256"]:
            raise PolicyError(f"{directory / WEIGHTS} is damaged: its sha256 is not the one in {MANIFEST}")
        bundle = Bundle(
            spec=EnvSpec.from_json(manifest["spec"]),
            weights=safetensors.numpy.load(data),
            version=int(manifest["version"]),
            provenance=manifest["provenance"],
            kind=manifest["network"]["kind"],
        )
        golden = manifest["golden"]
        observation = {
            name: np.array(golden["observation"][name], array.dtype).reshape(array.shape)
            for name, array in bundle.spec.observation.entries
        }
        expected = np.array(golden["action"], np.float32)
    except safetensors.SafetensorError as error:
        raise PolicyError(f"{directory / WEIGHTS} is not a safetensors file: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyError(f"{path} is incomplete or ill-formed: {error!r}") from None
    except SpecError as error:
        raise PolicyError(f"{path}: {error}") from None
    if spec is not None:
        try:
            spec.check_same(bundle.spec, "the task", f"the policy {directory}")
        except SpecError as error:
            raise PolicyError(str(error)) from None
    check_golden(bundle.policy(), observation, expected)
    return bundle


def check_golden(policy: Policy, observation: Mapping[str, np.ndarray], expected: np.ndarray) -> None:
    """Raise `PolicyError` unless `policy` repeats the golden action."""
    action = policy(observation, None)
    if action.shape != expected.shape or not np.abs(action - expected).max() <= GOLDEN_TOLERANCE:
        raise PolicyError(
            f"the golden action is not repeated: {action.tolist()} instead of {expected.tolist()}"
        )
