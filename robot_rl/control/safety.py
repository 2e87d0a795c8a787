"""Safety limits of an arm: every command passes here, whoever gave it, and so does every state.

Commands are clipped into a convex set (a box for the position, a cone and an interval for the orientation)
and to a speed, with the reasons at hand. What cannot be clipped is a fault: it latches, and the arm holds the
pose that it has. A command that stopped coming is no fault: the arm holds until the next one. Nor is a permit
that is missing: the arm is inhibited, and holds until it is given again (`robot_rl.control.watch`).

Two kinds of time enter and are never mixed: stamps, on the clock of the states and commands, say what answers
what; `now`, on the clock of the watchdogs (steady time when live, simulated time in lockstep), says how long
nothing has been heard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robot_rl.core.clock import nanoseconds, seconds
from robot_rl.core.errors import RobotFaultError
from robot_rl.core.frames import (
    DOWN_QUATERNION,
    conjugate,
    multiply,
    normalise,
    quaternion_from_rotation_vector,
    rotation_vector,
    swing_twist,
    yaw_quaternion,
)
from robot_rl.core.protocols import PlantState
from robot_rl.core.types import ArmCommand, Pose

EMERGENCY_STOP = "emergency stop"
"""A fault whose reason begins with this was asked for: a person has to clear it, also in simulation."""


@dataclass(frozen=True, slots=True)
class SafetyLimits:
    """What an arm may be told and may do. Positions are in the base frame; the table is z = 0."""

    workspace_min: tuple[float, float, float] = (0.33, -0.30, 0.022)
    """Lowest corner of the box for the TCP's target [m]. The fingers reach 9 mm below the TCP, and a full
    stop from full speed overshoots by 11 mm."""
    workspace_max: tuple[float, float, float] = (0.68, 0.30, 0.35)
    """Highest corner of the box for the TCP's target [m]."""
    tilt: float = 0.3
    """Largest angle between the target's tool axis and straight down [rad], in [0, pi]."""
    yaw: float = 1.0
    """Largest turn of the target's tool about the vertical, either way [rad], in [0, pi]."""
    linear_speed: float = 0.45
    """Fastest that the target may move [m/s]."""
    angular_speed: float = 4.0
    """Fastest that the target may turn [rad/s]."""
    joint_lower: tuple[float, ...] = (-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973)
    """Lower joint limits [rad]; the default is the Panda's."""
    joint_upper: tuple[float, ...] = (2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973)
    """Upper joint limits [rad]; the default is the Panda's."""
    joint_margin: float = 0.03
    """Coming this near to a joint limit is a fault [rad]."""
    joint_speed: tuple[float, ...] = (2.15, 2.15, 2.15, 2.15, 2.55, 2.55, 2.55)
    """Joint speeds above these are a fault [rad/s]; just below the Panda's own limits."""
    force: float = 120.0
    """An external force on the TCP above this is a fault [N]."""
    torque: float = 30.0
    """An external torque on the TCP above this is a fault [Nm]."""
    control_period: float = 0.1
    """Usual time between commands [s]: the target may jump by what its speed allows in this time."""
    command_timeout: float = 0.18
    """Without a new command for this long, the arm holds [s]. Less than 0.2 s after the end of who commands,
    and late by 0.08 s, as on a busy machine, it still comes in time."""
    state_timeout: float = 0.05
    """Without a new state for this long, there is a fault [s]."""

    def __post_init__(self) -> None:
        if not all(a < b for a, b in zip(self.workspace_min, self.workspace_max, strict=True)):
            raise ValueError(
                f"workspace_min must be below workspace_max, got {self.workspace_min}, {self.workspace_max}"
            )
        if not (0.0 <= self.tilt <= math.pi and 0.0 <= self.yaw <= math.pi):
            raise ValueError(f"tilt and yaw must be in [0, pi] rad, got {self.tilt}, {self.yaw}")
        for name in ("linear_speed", "angular_speed", "force", "torque", "control_period"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be more than 0, got {getattr(self, name)}")
        if self.command_timeout < self.control_period or self.state_timeout <= 0.0:
            raise ValueError(
                "command_timeout must be at least control_period, and state_timeout more than 0 s, got "
                f"{self.command_timeout}, {self.state_timeout}"
            )
        if not len(self.joint_lower) == len(self.joint_upper) == len(self.joint_speed):
            raise ValueError("joint_lower, joint_upper and joint_speed must have one number for each joint")


def clip_pose(limits: SafetyLimits, pose: Pose) -> tuple[Pose, tuple[str, ...]]:
    """The nearest allowed pose, and what kept it from being the wished one: workspace, tilt, yaw."""
    position, position_reasons = _clip_position(limits, pose.position)
    attitude, attitude_reasons = _clip_attitude(limits, _attitude(pose.quaternion))
    if not attitude_reasons:
        return Pose(position, pose.quaternion), position_reasons
    return Pose(position, _quaternion(attitude)), position_reasons + attitude_reasons


def _clip_position(limits: SafetyLimits, position: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    inside = np.clip(position, limits.workspace_min, limits.workspace_max)
    return inside, () if np.array_equal(inside, position) else ("workspace",)


def _clip_attitude(limits: SafetyLimits, attitude: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    reasons: tuple[str, ...] = ()
    x, y, yaw = attitude.tolist()
    tilt = math.hypot(x, y)
    # The slack keeps a pose on the limit, which does not survive the way to a quaternion and back bit by
    # bit, from being clipped once more.
    if tilt > limits.tilt + 1e-9:
        x, y = x * limits.tilt / tilt, y * limits.tilt / tilt
        reasons += ("tilt",)
    if abs(yaw) > limits.yaw + 1e-9:
        yaw = math.copysign(limits.yaw, yaw)
        reasons += ("yaw",)
    return np.array([x, y, yaw]), reasons


def _attitude(quaternion: np.ndarray) -> np.ndarray:
    """(3,) horizontal rotation vector of the tilt, and yaw [rad]; zeros for a tool that points down.

    The allowed orientations are convex in these coordinates.
    """
    swing, yaw = swing_twist(multiply(quaternion, conjugate(DOWN_QUATERNION)))
    attitude = rotation_vector(swing)
    attitude[2] = yaw
    return attitude


def _quaternion(attitude: np.ndarray) -> np.ndarray:
    """Inverse of `_attitude`."""
    swing = quaternion_from_rotation_vector(np.array([attitude[0], attitude[1], 0.0]))
    return multiply(swing, multiply(yaw_quaternion(float(attitude[2])), DOWN_QUATERNION))


class SafetySupervisor:
    """Holds the goal of the controller, and decides what may become the goal.

    The controller calls `monitor` at every tick and steers to `target`. Whoever commands calls `accept`.
    """

    def __init__(self, limits: SafetyLimits) -> None:
        self.limits = limits
        self.fault = ""
        """Reason of the latched fault, "" for none."""
        self.reasons: tuple[str, ...] = ()
        """What the last command was clipped or dropped for."""
        self.holding = True
        """No command is in force."""
        self.holds = 0
        """Counts the times that a hold began: the controller then starts afresh at `target`."""
        self.inhibited = ""
        """Why no command may be in force now, without a fault; "" when one may."""
        self.denials = 0
        """Counts the times that this stopped an arm that followed a command."""
        self.sensing = False
        """The last state was finite: there is something to control."""
        self.target = Pose(np.zeros(3), DOWN_QUATERNION)
        """What the controller steers to: always the last accepted or held pose."""
        margin = limits.joint_margin
        self._joints = tuple(
            (low + margin, high - margin, speed)
            for low, high, speed in zip(
                limits.joint_lower, limits.joint_upper, limits.joint_speed, strict=True
            )
        )
        self._force_squared = limits.force**2
        self._peak_squared = 0.0
        self._torque_squared = limits.torque**2
        self._command_timeout = nanoseconds(limits.command_timeout)
        self._state_timeout = nanoseconds(limits.state_timeout)
        self._arm: PlantState | None = None
        self._stamp = -1
        self._fresh_at = 0
        self._commanded_at = 0
        self._earliest_stamp = 0
        self._linear_budget = 0.0
        self._angular_budget = 0.0

    def reset(self, arm: PlantState, stamp: int, now: int) -> None:
        """Hold the pose that the arm has after a move that was not commanded; drop commands from before.

        A latched fault stays.
        """
        self._arm, self._stamp, self._fresh_at = arm, stamp, now
        self._earliest_stamp = stamp
        self._commanded_at = now
        self.reasons = (self.inhibited,) if self.inhibited else ()
        self._peak_squared = 0.0
        self._hold()

    @property
    def peak_force(self) -> float:
        """Largest external force at any tick of the controller since the last reset [N]."""
        return math.sqrt(self._peak_squared)

    def accept(self, command: ArmCommand, now: int) -> bool:
        """Take the allowed part of a command as the goal.

        Returns:
            Whether it is in force. It is not while a fault holds the arm or it is inhibited, nor when it
            answers a state from before the last reset or cleared fault, or one older than the command
            timeout. A command that is not finite is a fault.
        """
        if self.fault:
            self.reasons = ("fault",)
            return False
        if self.inhibited:
            self.reasons = (self.inhibited,)
            return False
        wish = command.target
        if not (np.isfinite(wish.position).all() and np.isfinite(wish.quaternion).all()):
            return self._trip(
                f"the command is not finite: position {wish.position}, quaternion {wish.quaternion}"
            )
        if abs(float(wish.quaternion @ wish.quaternion) - 1.0) > 1e-3:
            return self._trip(f"the command's quaternion {wish.quaternion} is not of unit length")
        if command.stamp < self._earliest_stamp or self._stamp - command.stamp > self._command_timeout:
            self.reasons = ("late",)
            return False
        self.target, self.reasons = self._approach(wish, seconds(now - self._commanded_at))
        self._commanded_at = now
        self.holding = False
        return True

    def _approach(self, wish: Pose, elapsed: float) -> tuple[Pose, tuple[str, ...]]:
        """The allowed pose nearest to `wish` that the target may reach at its speed limits.

        Each limit is a budget of path that fills with time, up to what one control period may use: commands
        that come late by a little are not slowed, and fast ones are not faster.
        """
        limits = self.limits
        linear_full = limits.linear_speed * limits.control_period
        angular_full = limits.angular_speed * limits.control_period
        self._linear_budget = min(self._linear_budget + limits.linear_speed * elapsed, linear_full)
        self._angular_budget = min(self._angular_budget + limits.angular_speed * elapsed, angular_full)

        inside, reasons = clip_pose(limits, Pose(wish.position, normalise(wish.quaternion)))
        path = inside.position - self.target.position
        distance = math.sqrt(float(path @ path))
        position = inside.position
        if distance > self._linear_budget:
            # Clipped again because a held pose may lie outside; the box comes before the speed.
            position, _ = _clip_position(
                limits, self.target.position + path * (self._linear_budget / distance)
            )
            reasons += ("linear speed",)
        self._linear_budget = max(self._linear_budget - distance, 0.0)

        here = _attitude(self.target.quaternion)
        turn = _attitude(inside.quaternion) - here
        angle = math.sqrt(float(turn @ turn))
        quaternion = inside.quaternion
        if angle > self._angular_budget:
            attitude, _ = _clip_attitude(limits, here + turn * (self._angular_budget / angle))
            quaternion = _quaternion(attitude)
            reasons += ("angular speed",)
        self._angular_budget = max(self._angular_budget - angle, 0.0)
        return Pose(position, quaternion), reasons

    def monitor(self, arm: PlantState, stamp: int, now: int) -> None:
        """Check the state of one control tick and the watchdogs."""
        self._arm = arm
        if stamp != self._stamp:
            self._stamp = stamp
            self._fresh_at = now
        violation = self._violation(arm)
        if self.fault:
            return
        if now - self._fresh_at > self._state_timeout:
            self._trip(f"no new state for {seconds(now - self._fresh_at):.3f} s")
        elif violation:
            self._trip(violation)
        elif not self.holding and now - self._commanded_at > self._command_timeout:
            self.reasons = ("command timeout",)
            self._hold()

    def _violation(self, arm: PlantState) -> str:
        """What is wrong with a state, "" for nothing. Comparisons are such that NaN fails them."""
        pose_sum = sum(arm.position.tolist(), sum(arm.quaternion.tolist()))
        self.sensing = math.isfinite(pose_sum)
        if not self.sensing:
            return "the measured pose is not finite"
        for i, (q, dq, (low, high, speed)) in enumerate(
            zip(arm.q.tolist(), arm.dq.tolist(), self._joints, strict=True)
        ):
            if not low <= q <= high:
                self.sensing = math.isfinite(q)
                return f"joint {i + 1} at {q:.3f} rad, allowed {low:.3f} to {high:.3f} rad"
            if not -speed <= dq <= speed:
                self.sensing = math.isfinite(dq)
                return f"joint {i + 1} moves at {dq:.2f} rad/s, allowed {speed:.2f} rad/s"
        fx, fy, fz, tx, ty, tz = arm.wrench.tolist()
        force, torque = fx * fx + fy * fy + fz * fz, tx * tx + ty * ty + tz * tz
        if force > self._peak_squared:
            self._peak_squared = force
        if not force <= self._force_squared:
            return f"external force {math.sqrt(force):.0f} N, allowed {self.limits.force:.0f} N"
        if not torque <= self._torque_squared:
            return f"external torque {math.sqrt(torque):.1f} Nm, allowed {self.limits.torque:.1f} Nm"
        return ""

    def e_stop(self, reason: str = EMERGENCY_STOP) -> None:
        """Latch a fault on somebody's request; a button that is held down calls again and again.

        An emergency stop comes before a fault that there is already: who pressed it has to agree to go on.
        """
        stopped = self.fault.startswith(EMERGENCY_STOP)
        if self.fault and not stopped and reason.startswith(EMERGENCY_STOP):
            self.fault = f"{reason}, after: {self.fault}"
        self._trip(reason)

    def inhibit(self, reason: str) -> None:
        """Hold, and take no command, for as long as the last `reason` is not ""."""
        if reason and not self.holding:
            self.denials += 1
            self._hold()
        if not self.fault and self.inhibited != reason:
            self.reasons = (reason,) if reason else ()
        self.inhibited = reason

    def check_permitted(self) -> None:
        """Raise `RobotFaultError` while the arm is inhibited."""
        if self.inhibited:
            raise RobotFaultError(self.inhibited)

    def clear_fault(self, arm: PlantState, stamp: int, now: int) -> None:
        """Give control back, holding the present pose, when nothing is wrong with the newest state.

        Raises:
            RobotFaultError: The cause is still there; the fault stays.
        """
        self.check_permitted()
        violation = self._violation(arm)
        if not violation and stamp == self._stamp and now - self._fresh_at > self._state_timeout:
            violation = f"no new state for {seconds(now - self._fresh_at):.3f} s"
        if violation:
            raise RobotFaultError(violation)
        self.fault = ""
        self.reset(arm, stamp, now)

    def _trip(self, reason: str) -> bool:
        """Latch a fault unless there is one; always False, for "not in force"."""
        if not self.fault:
            self.fault = reason
            self.reasons = ("fault",)
            self._hold()
        return False

    def _hold(self) -> None:
        """Make the present pose the target, when there is one."""
        self.holding = True
        self.holds += 1
        self._linear_budget = self.limits.linear_speed * self.limits.control_period
        self._angular_budget = self.limits.angular_speed * self.limits.control_period
        arm = self._arm
        if arm is not None and np.isfinite(arm.position).all() and np.isfinite(arm.quaternion).all():
            self.target = Pose(arm.position.copy(), arm.quaternion.copy())
