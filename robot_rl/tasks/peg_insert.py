"""Put a square peg into a square hole: the pure part of `franka_peg_insert`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_rl.core.frames import rotate, swing_twist, tool_yaw
from robot_rl.core.spec import ArraySpec, Observation, Spec
from robot_rl.core.types import ArmState, Pose
from robot_rl.env.hold import Hold, HoldByTruth
from robot_rl.env.relative_frame import tool_axes
from robot_rl.env.task import Judgement, Objects, Senses
from robot_rl.tasks.proprioception import Proprioception


@dataclass(frozen=True)
class PegInsertConfig:
    """Goal and time limit."""

    depth: float = 0.02
    """The peg's tip must be this far below the mouth of the hole [m]."""
    margin: float = 0.001
    """Added to the depth that the robot itself must sense, so that the tracker's noise does not end an
    episode that ground truth would not call a success [m]."""
    label_margin: float = 0.002
    """A person calls the peg inserted when it is this much deeper than it must be [m]."""
    hold_time: float = 0.3
    """How long it must stay there [s]."""
    time_limit: float = 10.0
    """Length of an episode [s]."""


def tip(tcp: Pose, peg_length: float) -> np.ndarray:
    """(3,) tip of a peg that reaches `peg_length` below the TCP, in the base frame [m]."""
    return tcp.position + rotate(tcp.quaternion, np.array([0.0, 0.0, peg_length]))


def inserted(config: PegInsertConfig, peg_length: float, margin: float, state: ArmState, hole: Pose) -> bool:
    """Whether the peg is `margin` [m] deeper than it must be, in the hole and not beside the board."""
    way = tip(state.tcp, peg_length) - hole.position
    return bool(way[2] <= -(config.depth + margin) and np.hypot(way[0], way[1]) < 0.01)


class PegInsert:
    """Observation and sparse reward of inserting the peg into the tracked object `hole`.

    What is observed of the hole is relative to the tool, and the square makes its yaw repeat after a quarter
    of a turn. Force and torque tell whether the peg touches, and on which side.
    """

    name = "franka_peg_insert"

    def __init__(self, config: PegInsertConfig, peg_length: float, control_rate: float) -> None:
        self.config = config
        self.peg_length = peg_length
        self.time_limit = round(config.time_limit * control_rate)
        self._held = Hold(round(config.hold_time * control_rate))
        self._own = Proprioception(control_rate, gripper=False, force=True)
        arrays = {
            "hole.position": ArraySpec((3,), "m", "tool", -2, 2, scale=0.03, names=("x", "y", "z")),
            "hole.yaw": ArraySpec((2,), "1", "tool", -1, 1, names=("cos4", "sin4")),
            "hold": ArraySpec((1,), "1", "", 0, 1),
        }
        self.observation_spec = Spec.of(arrays | self._own.arrays)

    def reset(self, state: ArmState, senses: Senses) -> Observation:
        self._held.reset()
        self._own.reset(state)
        return self._observe(state, senses.objects)

    def step(self, state: ArmState, senses: Senses) -> Judgement:
        success = self._held.update(self._is_in(self.config.margin, state, senses.objects["hole"].pose))
        return Judgement(self._observe(state, senses.objects), 1.0 if success else 0.0, success)

    def stage(self, state: ArmState, truth: Mapping[str, Pose]) -> int:
        return int(self._is_in(self.config.label_margin, state, truth["hole"]))

    def judge(self) -> HoldByTruth:
        def is_in(state: ArmState, truth: Mapping[str, Pose]) -> bool:
            return self._is_in(0.0, state, truth["hole"])

        return HoldByTruth(is_in, self._held.wanted)

    def _is_in(self, margin: float, state: ArmState, hole: Pose) -> bool:
        return inserted(self.config, self.peg_length, margin, state, hole)

    def _observe(self, state: ArmState, objects: Objects) -> Observation:
        hole = objects["hole"].pose
        axes = tool_axes(state).T
        yaw = 4.0 * (swing_twist(hole.quaternion)[1] - tool_yaw(state.tcp.quaternion))
        values = {
            "hole.position": axes @ (hole.position - tip(state.tcp, self.peg_length)),
            "hole.yaw": np.array([np.cos(yaw), np.sin(yaw)]),
            "hold": np.array([self._held.fraction]),
        }
        observation = {name: value.astype(np.float32) for name, value in values.items()}
        return observation | self._own.observe(state)
