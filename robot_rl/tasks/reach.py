"""Bring the TCP to a point: the pure part of `franka_reach`, the smallest task that has every part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_rl.core.spec import ArraySpec, Observation, Spec
from robot_rl.core.types import ArmState, Pose
from robot_rl.env.hold import Hold, HoldByTruth
from robot_rl.env.relative_frame import tool_axes
from robot_rl.env.task import Judgement, Objects, Senses


@dataclass(frozen=True)
class ReachConfig:
    """Goal and time limit."""

    radius: float = 0.015
    """The TCP must come this near to the goal [m]."""
    hold_time: float = 0.3
    """How long it must stay there [s]."""
    time_limit: float = 5.0
    """Length of an episode [s]."""


def within(radius: float, state: ArmState, goal: Pose) -> bool:
    """Whether the TCP is as near to the goal as `radius` [m]."""
    return float(np.linalg.norm(goal.position - state.tcp.position)) <= radius


class Reach:
    """Observation and sparse reward of reaching the tracked object `goal`."""

    name = "franka_reach"

    def __init__(self, config: ReachConfig, control_rate: float) -> None:
        self.config = config
        self.time_limit = round(config.time_limit * control_rate)
        self._held = Hold(round(config.hold_time * control_rate))
        self.observation_spec = Spec.of(
            {
                "goal.position": ArraySpec((3,), "m", "tool", -2, 2, scale=0.1, names=("x", "y", "z")),
                "tcp.velocity": ArraySpec((3,), "m/s", "tool", -5, 5, scale=0.2, names=("x", "y", "z")),
                "target.offset": ArraySpec((3,), "m", "tool", -1, 1, scale=0.03, names=("x", "y", "z")),
                "hold": ArraySpec((1,), "1", "", 0, 1),
            }
        )

    def reset(self, state: ArmState, senses: Senses) -> Observation:
        self._held.reset()
        return self._observe(state, senses.objects)

    def step(self, state: ArmState, senses: Senses) -> Judgement:
        success = self._held.update(within(self.config.radius, state, senses.objects["goal"].pose))
        return Judgement(self._observe(state, senses.objects), 1.0 if success else 0.0, success)

    def stage(self, state: ArmState, truth: Mapping[str, Pose]) -> int:
        return int(within(self.config.radius, state, truth["goal"]))

    def judge(self) -> HoldByTruth:
        def near(state: ArmState, truth: Mapping[str, Pose]) -> bool:
            # Half a millimetre of marker noise must not turn a sensed success into a failure.
            return within(self.config.radius + 0.003, state, truth["goal"])

        return HoldByTruth(near, self._held.wanted)

    def _observe(self, state: ArmState, objects: Objects) -> Observation:
        axes = tool_axes(state).T
        values = {
            "goal.position": axes @ (objects["goal"].pose.position - state.tcp.position),
            "tcp.velocity": axes @ state.twist[:3],
            "target.offset": axes @ (state.target.position - state.tcp.position),
            "hold": np.array([self._held.fraction]),
        }
        return {name: value.astype(np.float32) for name, value in values.items()}
