"""Cartesian impedance control with a clipped error: one law for every backend, simulated or real.

At every tick, with the TCP at position p and orientation q (base frame), joint velocities dq, the TCP's
Jacobian J and the goal (p_g, q_g):

    p_d <- p_d + a (p_g - p_d)          a = 1 - exp(-period / filter_time)
    q_d <- normalised (1 - a) q_d + a q_g, on the short side
    e   = clip([p_d - p; vec(q_d q^-1)])                          [m; sine of half the angle]
    i   <- clip(i + e period), 0 when the goal is new             [m s; s]
    f   = K e - D J dq + K_i i                                    [N; Nm]
    t_n = k_n (q_n - q_joints) - 2 sqrt(k_n) dq                   [Nm]
    tau = J^T f + (1 - J^T (J J^T + l^2)^-1 J) t_n + coriolis     [Nm]

and the change of tau from tick to tick is limited. The clip, per axis and per direction, comes before the
gain: a contact is pushed with at most K times the clip, so that K can be high where accuracy needs it. In
free motion the same clip bounds the speed to about K clip / D.

The law is that of SERL's controller (Luo et al., "SERL: A Software Suite for Sample-Efficient Robotic
Reinforcement Learning", ICRA 2024). Differences: the null space is projected by normal equations, which is
the same damped pseudo-inverse without an SVD; the target's orientation is filtered along the chord, which
differs from the arc in third order of the angle; filter and integral are in SI units, whatever the period.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from robot_rl.core.protocols import PlantState
from robot_rl.core.types import Pose


@dataclass(frozen=True, slots=True)
class ImpedanceGains:
    """Settings of the impedance law. Six numbers go x, y, z, then rotation about x, y, z of the base."""

    stiffness: tuple[float, ...] = (2000.0, 2000.0, 2000.0, 150.0, 150.0, 150.0)
    """K: [N/m] and [Nm] per unit of the sine of half the angle."""
    damping: tuple[float, ...] = (89.0, 89.0, 89.0, 7.0, 7.0, 7.0)
    """D: [N s/m] and [Nm s/rad]."""
    integral: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    """K_i: [N/(m s)] and [Nm/s]."""
    clip_negative: tuple[float, ...] = (0.02, 0.02, 0.02, 0.05, 0.05, 0.05)
    """Largest error towards the negative direction of each axis [m] and [sine of half the angle]."""
    clip_positive: tuple[float, ...] = (0.02, 0.02, 0.02, 0.05, 0.05, 0.05)
    """Largest error towards the positive direction of each axis [m] and [sine of half the angle]."""
    integral_clip: tuple[float, ...] = (0.1, 0.1, 0.1, 0.3, 0.3, 0.3)
    """Largest size of the error's integral [m s] and [s]."""
    filter_time: float = 0.033
    """Time constant of the target filter [s]; 0 for none. The default covers 3 % of the way in 1 ms."""
    null_stiffness: tuple[float, ...] = (2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0)
    """k_n: pull of each joint to its posture [Nm/rad], in the null space of the task. At a tenth of it the
    elbow swings out in long motions."""
    null_damping_factor: float = 0.05
    """l: damping of the pseudo-inverse, in the mixed units of J's singular values. It lets l^2 / (s^2 + l^2)
    of the posture's pull into a direction of singular value s: 1 mm at the workspace's corners."""
    torque_rate: float = 1000.0
    """Largest change of a joint's torque [Nm/s]."""

    def __post_init__(self) -> None:
        for name in ("stiffness", "damping", "integral", "clip_negative", "clip_positive", "integral_clip"):
            _check_numbers(name, getattr(self, name), 6)
        _check_numbers("null_stiffness", self.null_stiffness, 7)
        if not (self.filter_time >= 0.0 and self.null_damping_factor > 0.0 and self.torque_rate > 0.0):
            raise ValueError(
                "filter_time must be 0 or more, null_damping_factor and torque_rate more than 0, got "
                f"{self.filter_time}, {self.null_damping_factor}, {self.torque_rate}"
            )


def _check_numbers(name: str, values: tuple[float, ...], count: int) -> None:
    if len(values) != count or not all(v >= 0.0 and math.isfinite(v) for v in values):
        raise ValueError(f"{name} must be {count} finite numbers, each 0 or more, got {values}")


class LawMemory(NamedTuple):
    """What the law carries from one tick to the next."""

    goal: Pose
    """Goal of the last tick; another object starts the integral again."""
    position: tuple[float, float, float]
    """p_d, filtered target in the base frame [m]."""
    quaternion: tuple[float, float, float, float]
    """q_d, filtered target, unit xyzw."""
    integral: tuple[float, ...]
    """i: [m s] and [s]."""
    torque: np.ndarray
    """(7,) tau of the last tick [Nm]."""
    posture: np.ndarray
    """(7,) joint positions that the null space is pulled to [rad]."""


class ImpedanceLaw:
    """The law for one set of gains and one period: constants and pure functions, no state."""

    def __init__(self, gains: ImpedanceGains, period: float) -> None:
        if not period > 0.0:
            raise ValueError(f"period must be more than 0 s, got {period}")
        self.gains = gains
        self.period = period
        self._alpha = 1.0 - math.exp(-period / gains.filter_time) if gains.filter_time > 0.0 else 1.0
        self._max_step = np.full(7, gains.torque_rate * period)
        self._null_stiffness = np.array(gains.null_stiffness)
        self._null_damping = 2.0 * np.sqrt(self._null_stiffness)
        self._regulariser = gains.null_damping_factor**2 * np.eye(6)
        self._integrates = any(gains.integral)
        self._axes = tuple(zip(gains.stiffness, gains.damping, strict=True))
        self._clips = tuple(
            (-low, high) for low, high in zip(gains.clip_negative, gains.clip_positive, strict=True)
        )

    def start(self, arm: PlantState, torque: np.ndarray | None = None) -> LawMemory:
        """Memory of a law that holds the arm where it is now.

        Args:
            arm: state of the arm now.
            torque: (7,) torque of the tick before [Nm], where a running law starts again; else 0.
        """
        position, quaternion = arm.position.copy(), arm.quaternion.copy()
        return LawMemory(
            goal=Pose(position, quaternion),
            position=tuple(position.tolist()),
            quaternion=tuple(quaternion.tolist()),
            integral=(0.0,) * 6,
            torque=np.zeros(7) if torque is None else torque,
            posture=arm.q.copy(),
        )

    def __call__(self, memory: LawMemory, arm: PlantState, goal: Pose) -> tuple[np.ndarray, LawMemory]:
        """One tick.

        Args:
            memory: of the tick before, or from `start`.
            arm: state of the arm now.
            goal: where the TCP should be, base frame.

        Returns:
            (7,) joint torques [Nm] without gravity, and the memory for the next tick.
        """
        position, quaternion = self._filter(memory, goal)
        error = self._clip(pose_error(arm, position, quaternion))
        integral = self._integrate(memory, error, goal) if self._integrates else memory.integral

        jacobian, dq = arm.jacobian, arm.dq
        null_torque = self._null_stiffness * (memory.posture - arm.q)
        null_torque -= self._null_damping * dq
        # The method, not the operator: on arrays this small it takes half the time.
        gram = jacobian.dot(jacobian.T)
        gram += self._regulariser
        task_part = np.linalg.solve(gram, jacobian.dot(null_torque)).tolist()

        twist = jacobian.dot(dq).tolist()
        force = [
            k * e - d * v - t for (k, d), e, v, t in zip(self._axes, error, twist, task_part, strict=True)
        ]
        if self._integrates:
            force = [f + k * i for f, k, i in zip(force, self.gains.integral, integral, strict=True)]
        torque = np.array(force).dot(jacobian)
        torque += null_torque
        torque += arm.coriolis

        previous, step = memory.torque, self._max_step
        np.minimum(torque, previous + step, out=torque)
        np.maximum(torque, previous - step, out=torque)
        return torque, LawMemory(goal, position, quaternion, integral, torque, memory.posture)

    def _filter(
        self, memory: LawMemory, goal: Pose
    ) -> tuple[tuple[float, float, float], tuple[float, float, float, float]]:
        a = self._alpha
        x, y, z = memory.position
        gx, gy, gz = goal.position.tolist()
        position = (x + a * (gx - x), y + a * (gy - y), z + a * (gz - z))

        i, j, k, w = memory.quaternion
        gi, gj, gk, gw = goal.quaternion.tolist()
        b = a if i * gi + j * gj + k * gk + w * gw >= 0.0 else -a
        c = 1.0 - a
        i, j, k, w = c * i + b * gi, c * j + b * gj, c * k + b * gk, c * w + b * gw
        scale = 1.0 / math.sqrt(i * i + j * j + k * k + w * w)
        return position, (i * scale, j * scale, k * scale, w * scale)

    def _clip(self, error: tuple[float, ...]) -> list[float]:
        return [
            low if e < low else high if e > high else e
            for e, (low, high) in zip(error, self._clips, strict=True)
        ]

    def _integrate(self, memory: LawMemory, error: list[float], goal: Pose) -> tuple[float, ...]:
        previous = memory.integral if goal is memory.goal else (0.0,) * 6
        bounds = self.gains.integral_clip
        return tuple(
            min(max(i + e * self.period, -b), b) for i, e, b in zip(previous, error, bounds, strict=True)
        )


def pose_error(
    arm: PlantState, position: tuple[float, float, float], quaternion: tuple[float, float, float, float]
) -> tuple[float, ...]:
    """From the TCP to the target, base frame: the way [m], and the vector part of q_d q^-1 (short side)."""
    px, py, pz = arm.position.tolist()
    bx, by, bz, bw = arm.quaternion.tolist()
    ax, ay, az, aw = quaternion
    s = 1.0 if aw * bw + ax * bx + ay * by + az * bz >= 0.0 else -1.0
    return (
        position[0] - px,
        position[1] - py,
        position[2] - pz,
        s * (ax * bw - aw * bx - ay * bz + az * by),
        s * (ay * bw - aw * by - az * bx + ax * bz),
        s * (az * bw - aw * bz - ax * by + ay * bx),
    )
