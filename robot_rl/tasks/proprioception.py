"""What an arm senses of itself: the part of an observation that needs neither camera nor tracker."""

from __future__ import annotations

import numpy as np

from robot_rl.core.frames import conjugate, multiply, rotation_vector, tool_yaw
from robot_rl.core.spec import ArraySpec
from robot_rl.core.types import ArmState
from robot_rl.env.relative_frame import tool_axes


class Proprioception:
    """Packs an arm's state for a policy that sees the scene through cameras.

    Where the tool is over the table is left out: what was learned in one place then holds in another. Its
    height and yaw are in, since table and joint limits do not move with it.
    """

    def __init__(self, control_rate: float, gripper: bool = True, force: bool = False) -> None:
        """Choose the parts.

        Args:
            control_rate: Steps a second [Hz].
            gripper: With width, speed and command of the gripper.
            force: With the external force and torque on the tool.
        """
        self.control_rate = control_rate
        self.gripper, self.force = gripper, force
        self._width = 0.0
        xyz = ("x", "y", "z")
        self.arrays: dict[str, ArraySpec] = {
            "tcp.height": ArraySpec((1,), "m", "base", -2, 2, scale=0.1),
            "tcp.yaw": ArraySpec((1,), "rad", "base", -3.2, 3.2, scale=0.5),
            "tcp.velocity": ArraySpec((3,), "m/s", "tool", -5, 5, scale=0.2, names=xyz),
            "target.offset": ArraySpec((3,), "m", "tool", -1, 1, scale=0.03, names=xyz),
            "target.yaw_offset": ArraySpec((1,), "rad", "base", -3.2, 3.2, scale=0.3),
        }
        if gripper:
            self.arrays |= {
                "gripper.width": ArraySpec((1,), "m", "", -0.01, 0.1, scale=0.04),
                "gripper.speed": ArraySpec((1,), "m/s", "", -5, 5, scale=0.1),
                "gripper.closed": ArraySpec((1,), "1", "", -1, 1),
            }
        if force:
            self.arrays |= {
                "tcp.force": ArraySpec((3,), "N", "tool", -1e4, 1e4, scale=10.0, names=xyz),
                "tcp.torque": ArraySpec((3,), "Nm", "tool", -1e3, 1e3, scale=1.0, names=xyz),
            }

    def reset(self, state: ArmState) -> None:
        """Begin an episode in `state`."""
        self._width = state.gripper_width

    def observe(self, state: ArmState) -> dict[str, np.ndarray]:
        """The arrays at one tick, float32; call once a tick, since the gripper's speed is a difference."""
        axes = tool_axes(state).T
        lag = rotation_vector(multiply(state.target.quaternion, conjugate(state.tcp.quaternion)))
        values = {
            "tcp.height": state.tcp.position[2:],
            "tcp.yaw": np.array([tool_yaw(state.tcp.quaternion)]),
            "tcp.velocity": axes @ state.twist[:3],
            "target.offset": axes @ (state.target.position - state.tcp.position),
            "target.yaw_offset": lag[2:],
        }
        if self.gripper:
            speed = (state.gripper_width - self._width) * self.control_rate
            self._width = state.gripper_width
            values |= {
                "gripper.width": np.array([state.gripper_width]),
                "gripper.speed": np.array([speed]),
                "gripper.closed": np.array([1.0 if state.gripper_closed else -1.0]),
            }
        if self.force:
            values |= {"tcp.force": axes @ state.wrench[:3], "tcp.torque": axes @ state.wrench[3:]}
        return {name: value.astype(np.float32) for name, value in values.items()}
