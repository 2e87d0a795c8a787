"""Specs and transitions for the tests of robot_rl.data."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_rl.core.spec import ArraySpec, EnvSpec, Spec
from robot_rl.core.types import Key, Source, Transition

ACTION = ArraySpec((5,), low=-1.0, high=1.0, names=("x", "y", "z", "yaw", "gripper"))


def small_spec(rate: float = 10.0) -> EnvSpec:
    """24 floats of state, as the picking task has."""
    observation = Spec.of(
        {
            "tcp.position": ArraySpec((3,), "m", "base"),
            "tcp.velocity": ArraySpec((6,), "m/s", "base"),
            "cube.position": ArraySpec((3,), "m", "base"),
            "cube.yaw": ArraySpec((2,)),
            "gripper": ArraySpec((3,), "m"),
            "target": ArraySpec((4,), "m", "base"),
            "hold": ArraySpec((), "s"),
            "lag": ArraySpec((2,), "rad"),
        }
    )
    return EnvSpec(observation, ACTION, rate, "pick")


def image_spec() -> EnvSpec:
    observation = Spec.of(
        {
            "wrist": ArraySpec((4, 6, 3), low=0, high=255, dtype="uint8"),
            "joint": ArraySpec((2,), "rad", dtype="float64"),
            "count": ArraySpec((), dtype="int32"),
        }
    )
    return EnvSpec(observation, ACTION, 10.0, "image")


def feature_spec(crops: int = 4) -> EnvSpec:
    """Proprioception, and the features of two cameras with some crops."""
    arrays = {"tcp.position": ArraySpec((3,), "m", "base")}
    for camera in ("wrist", "side"):
        arrays[f"{camera}.features"] = ArraySpec((8,), dtype="float16", encoder="0123456789abcdef")
        arrays[f"{camera}.crops"] = ArraySpec((crops, 8), dtype="float16", encoder="0123456789abcdef")
    return EnvSpec(Spec.of(arrays), ACTION, 10.0, "features")


def random_arrays(spec: Spec, rng: np.random.Generator) -> dict[str, np.ndarray]:
    arrays = {}
    for name, array in spec.entries:
        value = rng.integers(0, 200, array.shape) if array.dtype[0] in "iu" else rng.normal(size=array.shape)
        arrays[name] = np.asarray(value, array.dtype)
    return arrays


def transition(
    spec: EnvSpec, sequence: int = 0, actor: str = "actor", run: int = 1, **changes: Any
) -> Transition:
    """A transition whose arrays depend on its sequence number alone."""
    rng = np.random.default_rng(sequence)
    values: dict[str, Any] = {
        "key": Key(actor, run, sequence),
        "episode": sequence // 10,
        "step": sequence % 10,
        "observation": random_arrays(spec.observation, rng),
        "action": rng.uniform(-1, 1, spec.action.shape).astype(np.float32),
        "proposal": rng.uniform(-1, 1, spec.action.shape).astype(np.float32),
        "reward": 0.1 * sequence,
        "penalty": 0.01,
        "terminated": sequence % 10 == 9,
        "truncated": sequence % 7 == 6,
        "next_observation": random_arrays(spec.observation, rng),
        "source": Source(sequence % 4),
        "policy_version": sequence // 3,
        "stamp": sequence * 100_000_000,
    }
    return Transition(**(values | changes))


def assert_same(a: Transition, b: Transition) -> None:
    """Bit for bit the same transition."""
    for name in Transition.__dataclass_fields__:
        left, right = getattr(a, name), getattr(b, name)
        if isinstance(left, dict):
            assert list(left) == list(right)
            for key in left:
                _assert_same_array(left[key], right[key])
        elif isinstance(left, np.ndarray):
            _assert_same_array(left, right)
        else:
            assert left == right, name
            assert type(left) is type(right), name


def _assert_same_array(a: np.ndarray, b: np.ndarray) -> None:
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()
