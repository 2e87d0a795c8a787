"""A point mass that is easy to learn, and transitions without meaning, for the tests of the learner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from robot_rl.core.spec import ArraySpec, EnvSpec, Observation, Spec
from robot_rl.core.types import Key, Source, Transition
from robot_rl.learn.settings import LearnerConfig

TINY = LearnerConfig(
    hidden=(16, 16),
    critics=3,
    critic_subset=2,
    batch_size=16,
    block=5,
    capacity=40,
    demo_capacity=60,
    demonstrations=2,
    bc_steps=20,
    learning_starts=10,
)
"""Compiles fast; learns nothing worth knowing."""

QUICK = LearnerConfig(
    hidden=(64, 64),
    batch_size=64,
    learning_rate=1e-3,
    demonstrations=2,
    bc_steps=200,
    bc_weight_end=0.0,
    bc_decay_steps=500,
    initial_std=0.5,
    learning_starts=50,
)
"""Learns to move a point within a thousand steps, a second or two."""

SPEC = EnvSpec(
    Spec.of({"position": ArraySpec((3,), "m", "base", scale=0.5), "force": ArraySpec((), "N", scale=10.0)}),
    ArraySpec((3,), low=-1.0, high=1.0, names=("dx", "dy", "gripper")),
    10.0,
    "sample",
)

POINT = EnvSpec(
    Spec.of({"x": ArraySpec((1,), "m", low=-1.0, high=1.0)}),
    ArraySpec((1,), low=-1.0, high=1.0, names=("dx",)),
    10.0,
    "point",
)


def seeing(spec: EnvSpec, crops: int = 0) -> EnvSpec:
    """The same task with the features of two unlike cameras."""
    arrays = dict(spec.observation.entries)
    for camera, size in CAMERAS.items():
        arrays[f"{camera}.features"] = ArraySpec((size,), dtype="float16", encoder="0123456789abcdef")
    for camera, size in CAMERAS.items() if crops else ():
        arrays[f"{camera}.crops"] = ArraySpec((crops, size), dtype="float16", encoder="0123456789abcdef")
    return EnvSpec(Spec.of(arrays), spec.action, spec.control_rate, spec.name)


CAMERAS = {"wrist": 6, "side": 4}
"""Features of each camera."""


def with_sight(transition: Transition, spec: EnvSpec) -> Transition:
    """The transition with random features as `spec` has them, the same ones for the same key."""
    rng = np.random.default_rng([transition.key.sequence, 1])

    def seen(observation: Observation) -> dict[str, np.ndarray]:
        missing = {name: array for name, array in spec.observation.entries if name not in observation}
        return {**observation} | {
            name: rng.standard_normal(array.shape, np.float32).astype(array.dtype)
            for name, array in missing.items()
        }

    return replace(
        transition,
        observation=seen(transition.observation),
        next_observation=seen(transition.next_observation),
    )


def noise_transition(
    n: int, source: Source = Source.POLICY, *, terminated: bool = False, truncated: bool = False
) -> Transition:
    """The n-th of a stream of random transitions; the same n always gives the same one."""
    rng = np.random.default_rng(n)

    def observation() -> dict[str, np.ndarray]:
        return {
            "position": rng.standard_normal(3, np.float32),
            "force": np.array(rng.normal(0.0, 10.0), np.float32),
        }

    action = rng.uniform(-1, 1, 3).astype(np.float32)
    return Transition(
        key=Key("test", 0, n),
        episode=0,
        step=n,
        observation=observation(),
        action=action,
        proposal=action,
        reward=float(rng.random() < 0.3),
        penalty=0.01 * float(rng.random() < 0.3),
        terminated=terminated,
        truncated=truncated,
        next_observation=observation(),
        source=source,
        policy_version=1,
        stamp=0,
    )


def noise_stream(steps: int, demos: int = 24) -> list[Transition]:
    """Two demonstration episodes, then practice in which every seventh step is a person's."""
    ends = (demos // 2 - 1, demos - 1)
    stream = [noise_transition(n, Source.DEMO, terminated=n in ends) for n in range(demos)]
    for n in range(demos, demos + steps):
        source = Source.HUMAN if n % 7 == 0 else Source.POLICY
        stream.append(noise_transition(n, source, terminated=n % 11 == 0, truncated=n % 13 == 0))
    return stream


def point_episode(
    start: float, goal: float, actions: Iterator[np.ndarray], first: int, source: Source, steps: int = 30
) -> Iterator[Transition]:
    """An episode of a point on a line, moved by 0.1 m times the action.

    It succeeds, with reward 1, at 0.1 m from `goal`; the time limit truncates it. Each action is drawn from
    `actions` after the transition before it was given out.
    """
    x = start
    for step in range(steps):
        action = np.asarray(next(actions), np.float32)
        following = float(np.clip(x + 0.1 * action[0], -1.0, 1.0))
        success = abs(following - goal) < 0.1
        yield Transition(
            key=Key("test", 0, first + step),
            episode=0,
            step=step,
            observation={"x": np.array([x], np.float32)},
            action=action,
            proposal=action,
            reward=float(success),
            penalty=0.0,
            terminated=success,
            truncated=not success and step == steps - 1,
            next_observation={"x": np.array([following], np.float32)},
            source=source,
            policy_version=1,
            stamp=0,
        )
        if success:
            return
        x = following


def guessed(seen: Observation, sign: float, act: np.ndarray | None, n: int) -> Transition:
    """A task of one step: tell the sign of what was `seen`. Without `act` a person does, right but shy."""
    action = np.array([0.3 * sign], np.float32) if act is None else act
    return replace(
        noise_transition(n),
        observation=seen,
        next_observation=seen,
        action=action,
        proposal=action,
        reward=float(np.clip(0.5 + 0.5 * sign * action[0], 0, 1)),
        penalty=0.0,
        terminated=True,
        source=Source.DEMO if act is None else Source.POLICY,
    )
