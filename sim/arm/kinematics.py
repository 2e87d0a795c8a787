"""Kinematics of the Panda with its hand, in NumPy: where an episode starts must not depend on the simulator.

Denavit-Hartenberg parameters in Craig's convention are those of Franka's documentation.
"""

from __future__ import annotations

import math

import numpy as np

from robot_rl.core.frames import conjugate, multiply, quaternion_from_matrix, rotation_vector
from robot_rl.core.types import Pose
from sim.arm.model import HOME, TCP_OFFSET

# For each joint: a [m], d [m], alpha [rad].
_CRAIG = (
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -math.pi / 2),
    (0.0, 0.316, math.pi / 2),
    (0.0825, 0.0, math.pi / 2),
    (-0.0825, 0.384, -math.pi / 2),
    (0.0, 0.0, math.pi / 2),
    (0.088, 0.0, math.pi / 2),
)
_FLANGE_TO_TCP = 0.107 + TCP_OFFSET
_HAND_YAW = -math.pi / 4


def forward(q: np.ndarray) -> tuple[Pose, np.ndarray]:
    """TCP pose in the base frame, and its (6, 7) Jacobian there: linear rows, then angular."""
    rotation, position = np.eye(3), np.zeros(3)
    axes, origins = np.empty((7, 3)), np.empty((7, 3))
    for i, ((a, d, alpha), angle) in enumerate(zip(_CRAIG, q.tolist(), strict=True)):
        ca, sa, ct, st = math.cos(alpha), math.sin(alpha), math.cos(angle), math.sin(angle)
        position = position + rotation @ (a, -sa * d, ca * d)
        rotation = rotation @ np.array([[ct, -st, 0.0], [st * ca, ct * ca, -sa], [st * sa, ct * sa, ca]])
        axes[i], origins[i] = rotation[:, 2], position
    position = position + rotation[:, 2] * _FLANGE_TO_TCP
    c, s = math.cos(_HAND_YAW), math.sin(_HAND_YAW)
    rotation = rotation @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    jacobian = np.vstack([np.cross(axes, position - origins).T, axes.T])
    return Pose(position, quaternion_from_matrix(rotation)), jacobian


def inverse(goal: Pose, q: np.ndarray = HOME, iterations: int = 100) -> np.ndarray:
    """Joint positions (7,) [rad] that bring the TCP to `goal`, from `q` by damped least squares.

    Raises:
        ValueError: `goal` is out of reach.
    """
    q = q.astype(float)
    for _ in range(iterations):
        pose, jacobian = forward(q)
        turn = rotation_vector(multiply(goal.quaternion, conjugate(pose.quaternion)))
        error = np.concatenate([goal.position - pose.position, turn])
        if float(error @ error) < 1e-20:
            return q
        damping = 1e-6 + 0.1 * float(error @ error)
        q = q + jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + damping * np.eye(6), error)
    raise ValueError(f"the arm cannot reach position {goal.position}, quaternion {goal.quaternion}")
