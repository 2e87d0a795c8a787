"""A Crazyflie's values to ROS messages and back. Its poses are in the frame `world`, z up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped

from drivers.crazyflie.state import CrazyflieState, Flags
from robot_rl.core.errors import CodecError
from robot_rl.core.frames import normalise
from robot_rl.core.types import Pose, StampedPose
from robot_rl.nodes.convert import pose_from, pose_message, twist_from, twist_message

WORLD = "world"
"""frame_id of the room."""


@dataclass(frozen=True)
class CrazyflieStatus:
    """What `state` tells, as JSON."""

    stamp: int
    """Of the pose that it goes with [ns]."""
    battery: float
    """[V]."""
    flags: str
    """The supervisor's, lower case, with spaces between them: "armed can_fly flying"."""
    deviation: float
    """Standard deviation of the estimated position [m]."""
    fault: str
    """Why it is not obeyed any more, "" when all is well."""
    refused: str
    """Why the last setpoint was not obeyed, "" when it was."""


def flag_names(flags: Flags) -> str:
    """As `CrazyflieStatus.flags`."""
    return " ".join(sorted(flag.name.lower() for flag in flags if flag.name))


def world_pose(stamp: int, pose: Pose) -> PoseStamped:
    """A pose in the frame of the room."""
    message = pose_message(StampedPose(stamp, pose))
    message.header.frame_id = WORLD
    return message


def world_twist(state: CrazyflieState) -> TwistStamped:
    """Linear velocity in the room [m/s], and angular velocity in the body [rad/s]."""
    message = twist_message(state.stamp, np.concatenate([state.velocity, state.rates]))
    message.header.frame_id = WORLD
    return message


def pose_in_world(message: PoseStamped) -> Pose:
    """Inverse of `world_pose`, without the stamp.

    Raises:
        CodecError: It is in another frame, or no pose.
    """
    _check_frame(message.header.frame_id)
    pose = pose_from(message).pose
    try:
        return Pose(pose.position, normalise(pose.quaternion))
    except ValueError as error:
        raise CodecError(str(error)) from None


def twist_in_world(message: TwistStamped) -> np.ndarray:
    """(6,) linear [m/s] in the room, then angular [rad/s].

    Raises:
        CodecError: It is in another frame.
    """
    _check_frame(message.header.frame_id)
    return twist_from(message)


def _check_frame(frame: str) -> None:
    if frame != WORLD:
        raise CodecError(f"the frame {frame!r} is not known to the Crazyflie: use {WORLD!r}")
