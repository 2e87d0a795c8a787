"""Pick up a cube: the pure part of `franka_pick_cube`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_rl.core.frames import conjugate, multiply, rotation_vector, swing_twist, tool_yaw
from robot_rl.core.spec import ArraySpec, Observation, Spec
from robot_rl.core.types import ArmState, Pose
from robot_rl.env.hold import Hold, HoldByTruth
from robot_rl.env.relative_frame import tool_axes
from robot_rl.env.task import Judgement, Objects, Senses


@dataclass(frozen=True)
class PickCubeConfig:
    """Goal and time limit. Lengths in metres, times in seconds."""

    lift_height: float = 0.1
    """How far above its place on the table the cube must be held [m]."""
    margin: float = 0.003
    """Added to the height that the robot itself must sense, so that marker noise does not end an episode
    that ground truth would not call a success [m]."""
    label_margin: float = 0.03
    """A person calls the cube lifted when it is this much higher than it must be [m]."""
    hold_time: float = 0.5
    """How long the cube must be held there [s]."""
    time_limit: float = 10.0
    """Length of an episode [s]."""
    rest_height: float = 0.02
    """Height of the cube's centre when it lies on the table [m]."""
    grasp_radius: float = 0.05
    """The cube counts as held when its centre is nearer to the closed TCP than this [m]."""


def held_above(config: PickCubeConfig, margin: float, state: ArmState, cube: Pose) -> bool:
    """Whether the closed hand holds the cube `margin` [m] higher than it must be, at this instant."""
    apart = float(np.linalg.norm(cube.position - state.tcp.position))
    height = config.rest_height + config.lift_height + margin
    return state.gripper_closed and apart < config.grasp_radius and float(cube.position[2]) >= height


class PickCube:
    """Observation and sparse reward of picking up the tracked object `cube`.

    The observation is Markov: the hold counter and the commanded gripper are in it, since success depends
    on the one and the effect of an action on the other. All of it is relative to the tool; nothing says
    where on the table that is. Cloned from five demonstrations, a policy that also sees its absolute
    position succeeds about half as often. The cube's yaw enters as cos and sin of four times the angle to
    the tool, because the cube looks the same after a quarter of a turn.
    """

    name = "franka_pick_cube"

    def __init__(self, config: PickCubeConfig, control_rate: float) -> None:
        self.config = config
        self.control_rate = control_rate
        self.time_limit = round(config.time_limit * control_rate)
        self._held = Hold(round(config.hold_time * control_rate))
        self._width = 0.0
        self.observation_spec = Spec.of(
            {
                "cube.position": ArraySpec((3,), "m", "tool", -2, 2, scale=0.1, names=("x", "y", "z")),
                "cube.yaw": ArraySpec((2,), "1", "tool", -1, 1, names=("cos4", "sin4")),
                "cube.height": ArraySpec((1,), "m", "base", -2, 2, scale=0.1),
                "tcp.velocity": ArraySpec((3,), "m/s", "tool", -5, 5, scale=0.2, names=("x", "y", "z")),
                "target.offset": ArraySpec((3,), "m", "tool", -1, 1, scale=0.03, names=("x", "y", "z")),
                "target.yaw_offset": ArraySpec((1,), "rad", "base", -3.2, 3.2, scale=0.3),
                "gripper.width": ArraySpec((1,), "m", "", -0.01, 0.1, scale=0.04),
                "gripper.speed": ArraySpec((1,), "m/s", "", -5, 5, scale=0.1),
                "gripper.closed": ArraySpec((1,), "1", "", -1, 1),
                "hold": ArraySpec((1,), "1", "", 0, 1),
            }
        )

    def reset(self, state: ArmState, senses: Senses) -> Observation:
        self._held.reset()
        self._width = state.gripper_width
        return self._observe(state, senses.objects)

    def step(self, state: ArmState, senses: Senses) -> Judgement:
        success = self._held.update(
            held_above(self.config, self.config.margin, state, senses.objects["cube"].pose)
        )
        observation = self._observe(state, senses.objects)
        self._width = state.gripper_width
        return Judgement(observation, 1.0 if success else 0.0, success)

    def stage(self, state: ArmState, truth: Mapping[str, Pose]) -> int:
        return int(held_above(self.config, self.config.label_margin, state, truth["cube"]))

    def judge(self) -> HoldByTruth:
        def held(state: ArmState, truth: Mapping[str, Pose]) -> bool:
            return held_above(self.config, 0.0, state, truth["cube"])

        return HoldByTruth(held, self._held.wanted)

    def _observe(self, state: ArmState, objects: Objects) -> Observation:
        cube = objects["cube"].pose
        axes = tool_axes(state).T
        yaw = 4.0 * (swing_twist(cube.quaternion)[1] - tool_yaw(state.tcp.quaternion))
        lag = rotation_vector(multiply(state.target.quaternion, conjugate(state.tcp.quaternion)))
        values = {
            "cube.position": axes @ (cube.position - state.tcp.position),
            "cube.yaw": np.array([np.cos(yaw), np.sin(yaw)]),
            "cube.height": cube.position[2:] - self.config.rest_height,
            "tcp.velocity": axes @ state.twist[:3],
            "target.offset": axes @ (state.target.position - state.tcp.position),
            "target.yaw_offset": lag[2:],
            "gripper.width": np.array([state.gripper_width]),
            "gripper.speed": np.array([(state.gripper_width - self._width) * self.control_rate]),
            "gripper.closed": np.array([1.0 if state.gripper_closed else -1.0]),
            "hold": np.array([self._held.fraction]),
        }
        return {name: value.astype(np.float32) for name, value in values.items()}
