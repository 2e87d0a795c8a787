"""A model that is only drawn: posed after an arm and its objects, wherever they are simulated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robot_rl.core.frames import wxyz_from_xyzw
from robot_rl.core.types import ArmState, Pose
from sim.arm.model import ARM_JOINTS, FINGER_JOINTS
from sim.arm.mujoco_plant import load_mujoco

MARKERS = ("goal", "hole")
"""Objects that physics does not move: mocap bodies of the model."""


class Puppet:
    """Strings for a compiled model that was made from `build_spec`."""

    def __init__(self, model: Any) -> None:
        self._mujoco = load_mujoco()
        self.model = model
        self.data = self._mujoco.MjData(model)
        arm = int(model.joint(ARM_JOINTS[0]).qposadr[0])
        finger = int(model.joint(FINGER_JOINTS[0]).qposadr[0])
        self._arm, self._fingers = self.data.qpos[arm : arm + 7], self.data.qpos[finger : finger + 2]
        bodies = {model.body(i).name: i for i in range(model.nbody)}
        self._markers = {name: int(model.body_mocapid[bodies[name]]) for name in MARKERS if name in bodies}
        self._cube = self.data.qpos[:0]
        if "cube" in bodies:
            start = int(model.joint("cube").qposadr[0])
            self._cube = self.data.qpos[start : start + 7]

    def pose(self, state: ArmState, objects: Mapping[str, Pose]) -> None:
        """Put arm and objects where they are; an object that is not named stays."""
        self._arm[:] = state.q
        self._fingers[:] = state.gripper_width / 2
        for name, pose in objects.items():
            if name == "cube" and self._cube.size:
                self._cube[:3] = pose.position
                self._cube[3:] = wxyz_from_xyzw(pose.quaternion)
            elif name in self._markers:
                marker = self._markers[name]
                self.data.mocap_pos[marker] = pose.position
                self.data.mocap_quat[marker] = wxyz_from_xyzw(pose.quaternion)
        # Also what camera and light fields changed since: mj_camlight reads them.
        self._mujoco.mj_kinematics(self.model, self.data)
        self._mujoco.mj_comPos(self.model, self.data)
        self._mujoco.mj_camlight(self.model, self.data)
