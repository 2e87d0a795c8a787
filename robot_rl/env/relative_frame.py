"""The tool frame, in which a policy senses and acts.

SERL (Luo et al., 2024) expresses velocities and actions in the end-effector frame and poses relative to the
start of the episode, so that what was learned in one place holds in another. Here the frame's axes are those
of the *commanded* TCP orientation: the measured one lags and shakes, and an action that rotates about a
shaking axis slowly tilts the tool.
"""

from __future__ import annotations

import numpy as np

from robot_rl.core.frames import conjugate, matrix_from_quaternion, multiply, rotation_vector
from robot_rl.core.types import ArmState, Pose


def tool_axes(state: ArmState) -> np.ndarray:
    """(3, 3) rotation matrix that maps tool coordinates to base coordinates."""
    return matrix_from_quaternion(state.target.quaternion)


def twist_to_tool(axes: np.ndarray, twist: np.ndarray) -> np.ndarray:
    """(6,) twist of the TCP from base to tool coordinates; linear part first."""
    return np.concatenate([axes.T @ twist[:3], axes.T @ twist[3:]])


def twist_to_base(axes: np.ndarray, twist: np.ndarray) -> np.ndarray:
    """Inverse of `twist_to_tool`."""
    return np.concatenate([axes @ twist[:3], axes @ twist[3:]])


def pose_difference(a: Pose, b: Pose, axes: np.ndarray) -> np.ndarray:
    """(6,) what has to be added to `b` to reach `a`, tool coordinates: metres, then rotation vector [rad]."""
    rotation = rotation_vector(multiply(a.quaternion, conjugate(b.quaternion)))
    return np.concatenate([axes.T @ (a.position - b.position), axes.T @ rotation])
