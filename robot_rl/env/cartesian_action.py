"""From an action in [-1, 1] to the next target pose of the TCP, and from a person's twist to that action.

The action moves the *previous target*, kept on a leash around the measured pose. Adding to the measured pose
instead, as SERL does, ratchets downwards under load: every step takes the sag of the last one for the new
target. A person's twist moves the same target, so that what she does can be imitated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from robot_rl.core.errors import ConfigError, InvalidActionError, nearest
from robot_rl.core.frames import (
    DOWN_QUATERNION,
    conjugate,
    multiply,
    quaternion_from_rotation_vector,
    rotation_vector,
)
from robot_rl.core.spec import ArraySpec
from robot_rl.core.types import ArmCommand, ArmState, Pose, TeleopCommand
from robot_rl.env.relative_frame import tool_axes, twist_to_base, twist_to_tool

TWIST_AXES = ("x", "y", "z", "rx", "ry", "rz")


@dataclass(frozen=True)
class ActionConfig:
    """How an action maps to motion."""

    axes: tuple[str, ...] = ("x", "y", "z", "rz")
    """Which elements of a twist the action commands, in this order; the gripper comes last."""
    gripper: bool = True
    """Whether the action commands the gripper; without, it stays as it is."""
    frame: Literal["tool", "base"] = "tool"
    """Axes that the action is expressed in."""
    linear_scale: float = 0.04
    """Motion of the target at full action [m per step]."""
    angular_scale: float = 0.3
    """Rotation of the target at full action [rad per step]."""
    linear_leash: float = 0.04
    """How far the target may lead the measured TCP, per base axis [m]."""
    angular_leash: float = 0.4
    """How far the target may lead the measured TCP, rotation angle [rad]."""
    gripper_threshold: float = 0.5
    """The gripper closes below minus this and opens above it; between them it stays as it is."""
    gripper_penalty: float = 0.01
    """Cost of each switch of the gripper command [reward]."""

    def __post_init__(self) -> None:
        for axis in self.axes:
            if axis not in TWIST_AXES:
                raise ConfigError(f"action axis {axis!r}: {nearest(axis, TWIST_AXES)}")
        for name in ("linear_scale", "angular_scale", "linear_leash", "angular_leash"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive, not {getattr(self, name)}")


class CartesianAction:
    """The action mapping of one robot at one control rate."""

    def __init__(self, config: ActionConfig, control_rate: float) -> None:
        self.config = config
        self.period = 1.0 / control_rate
        names = (*config.axes, "gripper") if config.gripper else config.axes
        self.spec = ArraySpec((len(names),), low=-1.0, high=1.0, names=names)
        self._index = np.array([TWIST_AXES.index(axis) for axis in config.axes])
        scale = np.repeat([config.linear_scale, config.angular_scale], 3)
        self._step = scale[self._index]  # metres or radians per step at full action

    def validate(self, action: np.ndarray) -> np.ndarray:
        """Return the action as (a,) float32; `InvalidActionError` unless it is finite and in [-1, 1]."""
        array = np.asarray(action, dtype=np.float32)
        if array.shape != self.spec.shape:
            raise InvalidActionError(
                f"action of shape {array.shape}, expected {self.spec.shape} ({', '.join(self.spec.names)})"
            )
        if not np.isfinite(array).all():
            raise InvalidActionError(f"action is not finite: {array}")
        if np.abs(array).max() > 1.0 + 1e-6:
            raise InvalidActionError(f"action leaves [-1, 1]: {array}")
        return array

    def command(self, action: np.ndarray, state: ArmState) -> ArmCommand:
        """The set-point that `action` (validated) asks for in `state`; safety limits come after it."""
        twist = np.zeros(6)
        twist[self._index] = action[: len(self._index)].astype(float) * self._step
        if self.config.frame == "tool":
            twist = twist_to_base(tool_axes(state), twist)
        leash = self.config.linear_leash
        lead = state.target.position + twist[:3] - state.tcp.position
        position = state.tcp.position + np.clip(lead, -leash, leash)
        quaternion = multiply(quaternion_from_rotation_vector(twist[3:]), state.target.quaternion)
        quaternion = self._leash_rotation(quaternion, state)
        return ArmCommand(state.stamp, Pose(position, quaternion), self.closes(action, state.gripper_closed))

    def _leash_rotation(self, target: np.ndarray, state: ArmState) -> np.ndarray:
        lead = rotation_vector(multiply(target, conjugate(state.tcp.quaternion)))
        angle = float(np.linalg.norm(lead))
        if angle <= self.config.angular_leash:
            return target
        # Stop turning instead of turning the target back: a target on the measured side of the leash would
        # take over the measured tilt, and with it the sag under load.
        before = rotation_vector(multiply(state.target.quaternion, conjugate(state.tcp.quaternion)))
        if angle < float(np.linalg.norm(before)):
            return target
        return state.target.quaternion

    def closes(self, action: np.ndarray, closed: bool) -> bool:
        """Gripper command after `action`, with hysteresis around the present one."""
        if not self.config.gripper:
            return closed
        if action[-1] < -self.config.gripper_threshold:
            return True
        if action[-1] > self.config.gripper_threshold:
            return False
        return closed

    def penalty(self, action: np.ndarray, closed: bool) -> float:
        """Cost of switching the gripper with this action."""
        return self.config.gripper_penalty if self.closes(action, closed) != closed else 0.0

    def from_teleop(self, teleop: TeleopCommand, state: ArmState) -> np.ndarray:
        """(a,) float32, the action that does what the person asks for, as near as the bounds allow."""
        if not np.isfinite(teleop.twist).all():
            raise InvalidActionError(f"twist of the person is not finite: {teleop.twist}")
        twist = np.asarray(teleop.twist, dtype=float)
        if self.config.frame == "tool":
            twist = twist_to_tool(tool_axes(state), twist)
        motion = np.clip(twist[self._index] * self.period / self._step, -1.0, 1.0)
        if not self.config.gripper:
            return motion.astype(np.float32)
        # "Leave it" is recorded as the present command: a label of 0 would teach a policy to hesitate.
        gripper = teleop.gripper or (-1 if state.gripper_closed else 1)
        return np.array([*motion, gripper], dtype=np.float32)


def upright(yaw: float) -> np.ndarray:
    """Quaternion xyzw of a tool that points down, turned by `yaw` [rad] about the base's z axis."""
    return multiply(quaternion_from_rotation_vector(np.array([0.0, 0.0, yaw])), DOWN_QUATERNION)
