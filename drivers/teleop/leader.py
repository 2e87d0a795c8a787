"""Following something that has a pose: another arm that a person leads by hand, or a handle in a 3-D view.

The target goes after the wanted pose with a speed that is proportional to what is left, up to the full speed
of `TeleopConfig`:

    v = k * (p_wanted - p_target),   w = k * log(q_wanted * q_target^-1)

A leader is coupled by its motion, not by its place: the poses of the moment at which it takes control count
as equal. So nothing jumps, whatever the two arms' poses are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drivers.teleop.mapping import axes_for_twist
from drivers.teleop.settings import TeleopConfig
from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import DeviceError
from robot_rl.core.frames import IDENTITY_QUATERNION, conjugate, multiply, normalise, rotation_vector
from robot_rl.core.types import ArmState, DeviceState, Pose

GAIN = 5.0
"""How briskly the target closes what is left [1/s]; below the control rate, or it overshoots."""

LINEAR_START = 0.005
"""A leader that leaves its place of rest by this much, within the release time, is moved by a hand [m]."""

PROGRESS = 0.9
"""A target that has closed what was left to this part of it is on its way."""

ANGULAR_START = 0.05
"""The same for a turn [rad]."""


def twist_towards(
    config: TeleopConfig, wanted: Pose, target: Pose, gain: float = GAIN, deadband: float = 1e-5
) -> np.ndarray:
    """(6,) twist that takes `target` to `wanted`, base frame: linear [m/s], angular [rad/s].

    Args:
        config: Gives the full speeds; above them the direction is kept.
        wanted: Where to.
        target: From where: the TCP's target, not its measured pose, which lags behind.
        gain: Speed for what is left [1/s].
        deadband: What is left below this is nothing [m, rad].
    """
    turn = rotation_vector(multiply(wanted.quaternion, conjugate(target.quaternion)))
    parts = (wanted.position - target.position, config.linear_speed), (turn, config.angular_speed)
    twist = []
    for left, limit in parts:
        distance = float(np.linalg.norm(left))
        speed = min(gain * distance, limit) if distance > deadband else 0.0
        twist.append(left * (speed / distance) if speed else np.zeros(3))
    return np.concatenate(twist)


def axes_towards(config: TeleopConfig, wanted: Pose, target: Pose, gain: float = GAIN) -> np.ndarray:
    """(6,) axes in [-1, 1], frame "base", of a device that takes `target` to `wanted` as `twist_towards`."""
    return axes_for_twist(config, twist_towards(config, wanted, target, gain))


class PoseFollower:
    """A clutch between a leader's pose and the TCP's target: couples their motions from a pose of each on."""

    def __init__(self, leader: Pose, target: Pose) -> None:
        self.leader = leader
        self.target = target

    def wanted(self, leader: Pose) -> Pose:
        """Where the target belongs: moved by as much as the leader since then."""
        turn = multiply(leader.quaternion, conjugate(self.leader.quaternion))
        position = self.target.position + leader.position - self.leader.position
        return Pose(position, normalise(multiply(turn, self.target.quaternion)))


@dataclass(frozen=True, slots=True)
class LeaderState:
    """What a leader arm says at one instant."""

    stamp: int
    """Steady time at which it was heard of [ns]."""
    pose: Pose
    """Of its TCP, in its own base frame, whose axes are taken for those of the robot's base."""
    buttons: frozenset[str] = frozenset()
    """Those of `robot_rl.core.types.BUTTONS` that are held down."""


class LeaderArm:
    """The `InputDevice` of an arm that is led by hand.

    A hand that moves it takes control, and lets go of it as of any other device (`drivers.teleop.takeover`).
    Until then the clutch follows both arms, so that only what the hand does from there on counts.
    """

    def __init__(
        self, source: Callable[[], LeaderState | None], config: TeleopConfig, name: str = "leader"
    ) -> None:
        """Follow an arm.

        Args:
            source: Its newest state; None when it has never been heard of.
            config: How motion is made of it, and what takes control.
            name: Names it in logs and on the console.
        """
        self._source = source
        self._config = config
        self._name = name
        self._clutch: PoseFollower | None = None
        self._rested_at = 0
        self._resting = Pose(np.zeros(3), IDENTITY_QUATERNION)
        self._left = np.inf
        self._went_on_at = 0
        self._arm: Pose | None = None
        self._in_control = False
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    def see(self, state: ArmState, in_control: bool) -> None:
        """Learn where the TCP's target is, and whether this device is in control; called before `read`."""
        self._arm = state.target
        if self._in_control and not in_control:
            self._clutch = None
        self._in_control = in_control

    def read(self) -> DeviceState:
        if self._closed:
            raise DeviceError(f"{self._name} was closed: open it anew")
        leader = self._source()
        if leader is None:
            raise DeviceError(f"{self._name}: no pose of it has come yet (topic leader/pose)")
        position, quaternion = leader.pose.position, leader.pose.quaternion
        if not (np.isfinite(position).all() and abs(float(quaternion @ quaternion) - 1.0) < 1e-3):
            raise DeviceError(f"{self._name}: it says {leader.pose}, which is no pose")
        axes = np.zeros(6)
        if self._arm is not None:
            clutch = self._coupled(leader, self._arm)
            if self._in_control or _is_apart(leader.pose, clutch.leader):
                wanted = clutch.wanted(leader.pose)
                if self._goes_on(leader, wanted, self._arm):
                    axes = axes_towards(self._config, wanted, self._arm)
        return DeviceState(leader.stamp, axes, leader.buttons, "base")

    def _goes_on(self, leader: LeaderState, wanted: Pose, target: Pose) -> bool:
        """Whether the leader still moves, or the target still gets nearer.

        What is left at a limit of the workspace, or in a direction that the task does not move in, stays: a
        leader at rest has to count as one.
        """
        way, turn = _difference(wanted, target)
        left = way / LINEAR_START + turn / ANGULAR_START
        if _is_apart(leader.pose, self._resting):
            self._resting, self._left, self._went_on_at = leader.pose, left, leader.stamp
        elif left < PROGRESS * self._left:
            self._left, self._went_on_at = left, leader.stamp
        return leader.stamp - self._went_on_at < nanoseconds(self._config.release_time)

    def _coupled(self, leader: LeaderState, target: Pose) -> PoseFollower:
        """The clutch, which holds on to what it has only while the leader leads, or begins to."""
        if self._clutch is None or not self._in_control:
            held = self._config.dead_man and "dead_man" not in leader.buttons
            may_begin = self._config.take_over == "motion" and not held
            rests = leader.stamp - self._rested_at > nanoseconds(self._config.release_time)
            if self._clutch is None or not may_begin or rests:
                self._clutch, self._rested_at = PoseFollower(leader.pose, target), leader.stamp
            self._clutch.target = target
        return self._clutch

    def close(self) -> None:
        """Read no more; the source belongs to whoever made it."""
        self._closed = True


def _difference(a: Pose, b: Pose) -> tuple[float, float]:
    """Distance [m] and angle [rad] between two poses."""
    turn = rotation_vector(multiply(a.quaternion, conjugate(b.quaternion)))
    return float(np.linalg.norm(a.position - b.position)), float(np.linalg.norm(turn))


def _is_apart(a: Pose, b: Pose) -> bool:
    distance, angle = _difference(a, b)
    return distance > LINEAR_START or angle > ANGULAR_START
