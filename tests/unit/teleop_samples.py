"""A device, a clock and an arm for the tests of teleoperation."""

from __future__ import annotations

import numpy as np

from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import DeviceError
from robot_rl.core.frames import DOWN_QUATERNION, multiply, quaternion_from_rotation_vector
from robot_rl.core.types import ArmState, DeviceState, Pose

HOME = Pose(np.array([0.5, 0.0, 0.2]), DOWN_QUATERNION)


def arm(target: Pose = HOME, closed: bool = False) -> ArmState:
    """An arm at rest at its target."""
    six = np.zeros(6)
    return ArmState(7, np.zeros(7), np.zeros(7), target, six, six, 0.08, closed, target)


def moved(pose: Pose, twist: np.ndarray, time: float) -> Pose:
    """Where a pose is after it moved with a twist (6,) for `time` [s]."""
    turn = quaternion_from_rotation_vector(twist[3:] * time)
    return Pose(pose.position + twist[:3] * time, multiply(turn, pose.quaternion))


class Time:
    """A steady clock that the test moves on."""

    def __init__(self) -> None:
        self.now = 1_000_000_000

    def __call__(self) -> int:
        return self.now

    def pass_by(self, duration: float) -> None:
        """Let `duration` [s] go by."""
        self.now += nanoseconds(duration)


class Hand:
    """The `InputDevice` of a hand that does what the test says."""

    def __init__(self, time: Time, name: str = "spacemouse") -> None:
        self.time = time
        self.name = name
        self.axes = np.zeros(6)
        self.buttons: frozenset[str] = frozenset()
        self.frame = ""
        self.plugged = True
        self.silent_since: int | None = None

    def push(self, *axes: float) -> None:
        """Deflect the first axes."""
        self.axes = np.array([*axes, *[0.0] * (6 - len(axes))])

    def hold(self, *buttons: str) -> None:
        """Hold down these buttons and no others."""
        self.buttons = frozenset(buttons)

    def read(self) -> DeviceState:
        if not self.plugged:
            raise DeviceError("it was unplugged: plug it in again")
        stamp = self.time.now if self.silent_since is None else self.silent_since
        return DeviceState(stamp, self.axes.copy(), self.buttons, self.frame)

    def close(self) -> None:
        self.plugged = False
