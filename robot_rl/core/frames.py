"""Rotations and poses. Quaternions are xyzw, unit, and the same rotation whether q or -q.

`T_ab` maps coordinates in b to coordinates in a. MuJoCo orders quaternions wxyz: convert with
`wxyz_from_xyzw` and `xyzw_from_wxyz` at its boundary and nowhere else.
"""

from __future__ import annotations

import math

import numpy as np

from robot_rl.core.types import Pose

IDENTITY_QUATERNION = np.array([0.0, 0.0, 0.0, 1.0])
"""xyzw."""
DOWN_QUATERNION = np.array([1.0, 0.0, 0.0, 0.0])
"""xyzw: half a turn about x, a tool that points down with its x axis along the base's x."""


def xyzw_from_wxyz(q: np.ndarray) -> np.ndarray:
    """From MuJoCo's order to ours."""
    return np.array([q[1], q[2], q[3], q[0]], dtype=float)


def wxyz_from_xyzw(q: np.ndarray) -> np.ndarray:
    """From our order to MuJoCo's."""
    return np.array([q[3], q[0], q[1], q[2]], dtype=float)


def normalise(q: np.ndarray) -> np.ndarray:
    """Scale to unit length; raise ValueError for a zero or non-finite quaternion."""
    norm = math.sqrt(float(q @ q))
    if not norm > 1e-12 or not math.isfinite(norm):
        raise ValueError(f"not a rotation: quaternion {q}")
    return np.asarray(q, dtype=float) / norm


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Hamilton product: the rotation `b`, then `a`."""
    ax, ay, az, aw = (float(v) for v in a)
    bx, by, bz, bw = (float(v) for v in b)
    return np.array(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ]
    )


def conjugate(q: np.ndarray) -> np.ndarray:
    """The inverse rotation."""
    return np.array([-q[0], -q[1], -q[2], q[3]], dtype=float)


def rotate(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Rotate the vector `v` (3,) by `q`."""
    return matrix_from_quaternion(q) @ v


def matrix_from_quaternion(q: np.ndarray) -> np.ndarray:
    """(3, 3) rotation matrix."""
    x, y, z, w = (float(v) for v in q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_matrix(m: np.ndarray) -> np.ndarray:
    """Xyzw with w >= 0, by the largest of the four squared components (Shepperd, 1978)."""
    trace = float(m[0, 0] + m[1, 1] + m[2, 2])
    squares = [
        1 + 2 * float(m[0, 0]) - trace,
        1 + 2 * float(m[1, 1]) - trace,
        1 + 2 * float(m[2, 2]) - trace,
        1 + trace,
    ]
    i = int(np.argmax(squares))
    q = np.empty(4)
    q[i] = squares[i]
    if i == 3:
        q[:3] = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    else:
        j, k = (i + 1) % 3, (i + 2) % 3
        q[j] = m[j, i] + m[i, j]
        q[k] = m[k, i] + m[i, k]
        q[3] = m[k, j] - m[j, k]
    q = normalise(q)
    return -q if q[3] < 0 else q


def rotation_vector(q: np.ndarray) -> np.ndarray:
    """Axis times angle [rad], angle in [0, pi]: the logarithm of the rotation."""
    q = -q if q[3] < 0 else q
    vector = np.array(q[:3], dtype=float)
    sine = math.sqrt(float(vector @ vector))
    if sine < 1e-9:
        return 2.0 * vector
    return vector * (2.0 * math.atan2(sine, float(q[3])) / sine)


def quaternion_from_rotation_vector(v: np.ndarray) -> np.ndarray:
    """Inverse of `rotation_vector`."""
    angle = math.sqrt(float(np.dot(v, v)))
    if angle < 1e-9:
        return normalise(np.array([0.5 * v[0], 0.5 * v[1], 0.5 * v[2], 1.0]))
    s = math.sin(0.5 * angle) / angle
    return np.array([v[0] * s, v[1] * s, v[2] * s, math.cos(0.5 * angle)])


def slerp(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """The rotation at the fraction `t` of the short way from `a` to `b`."""
    delta = multiply(b, conjugate(a))
    return multiply(quaternion_from_rotation_vector(t * rotation_vector(delta)), a)


def sixd_from_quaternion(q: np.ndarray) -> np.ndarray:
    """(6,) first two columns of the matrix: continuous, unlike angles (Zhou et al., CVPR 2019)."""
    return matrix_from_quaternion(q)[:, :2].T.ravel()


def quaternion_from_sixd(d: np.ndarray) -> np.ndarray:
    """Inverse of `sixd_from_quaternion`, by Gram-Schmidt for any two independent columns."""
    x = d[:3] / np.linalg.norm(d[:3])
    y = d[3:] - x * float(x @ d[3:])
    y = y / np.linalg.norm(y)
    return quaternion_from_matrix(np.column_stack([x, y, np.cross(x, y)]))


def yaw_quaternion(yaw: float) -> np.ndarray:
    """Rotation by `yaw` [rad] about the base's z axis."""
    return np.array([0.0, 0.0, math.sin(0.5 * yaw), math.cos(0.5 * yaw)])


def swing_twist(q: np.ndarray) -> tuple[np.ndarray, float]:
    """Split `q` = swing * twist, the twist about z: (quaternion of the swing, twist angle [rad]).

    The twist is in (-pi, pi]. At a swing of half a turn it is not defined; then it is 0.
    """
    norm = math.hypot(float(q[2]), float(q[3]))
    if norm < 1e-9:
        return np.asarray(q, dtype=float), 0.0
    half = math.atan2(float(q[2]), float(q[3]))
    angle = 2.0 * half
    if angle > math.pi:
        angle -= 2.0 * math.pi
    elif angle <= -math.pi:
        angle += 2.0 * math.pi
    return multiply(q, yaw_quaternion(-angle)), angle


def tool_yaw(q: np.ndarray) -> float:
    """Yaw [rad] about the base's z axis of a tool that points down, 0 for `DOWN_QUATERNION`."""
    return swing_twist(multiply(q, conjugate(DOWN_QUATERNION)))[1]


def compose(a: Pose, b: Pose) -> Pose:
    """T_ac from T_ab and T_bc."""
    return Pose(a.position + rotate(a.quaternion, b.position), multiply(a.quaternion, b.quaternion))


def inverse(a: Pose) -> Pose:
    """T_ba from T_ab."""
    q = conjugate(a.quaternion)
    return Pose(-rotate(q, a.position), q)
