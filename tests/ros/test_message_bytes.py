"""The CDR bytes that are made without ROS are those that ROS 2 reads and writes."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.core.types import Pose
from robot_rl.data import messages

serialization = pytest.importorskip("rclpy.serialization")

from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_msgs.msg import String, UInt8MultiArray  # noqa: E402

pytestmark = [
    pytest.mark.ros,
    # A parser below rosidl imports a module that Python 3.11 deprecates.
    pytest.mark.filterwarnings("ignore:module 'sre_.*' is deprecated:DeprecationWarning"),
]

STAMP = 3_000_000_007
SIX = np.arange(6.0)
POSE = Pose(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.6, 0.0, 0.8]))
CASES = {
    PoseStamped: messages.pose_stamped(STAMP, POSE, "base"),
    TwistStamped: messages.twist_stamped(STAMP, SIX, "tool0"),
    WrenchStamped: messages.wrench_stamped(STAMP, SIX, ""),
    JointState: messages.joint_state(STAMP, ["a", "bcd"], SIX[:2], effort=SIX[2:4]),
    String: messages.string("\u00fc and more"),
    UInt8MultiArray: messages.byte_array(b"12345"),
}


@pytest.mark.parametrize("kind", CASES)
def test_ros_writes_the_same_message(kind: type) -> None:
    """Equal but for the padding, which ROS 2 leaves as it finds it."""
    ours = CASES[kind]
    theirs = serialization.serialize_message(serialization.deserialize_message(ours, kind))
    msgtype = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
    assert 0 <= len(theirs) - len(ours) <= 8
    assert str(messages.deserialize(theirs[: len(ours)], msgtype)) == str(messages.deserialize(ours, msgtype))


def test_ros_reads_the_same_values() -> None:
    pose = serialization.deserialize_message(CASES[PoseStamped], PoseStamped)
    assert (pose.header.stamp.sec, pose.header.stamp.nanosec) == (3, 7)
    assert pose.header.frame_id == "base"
    assert (pose.pose.position.z, pose.pose.orientation.y) == (3.0, 0.6)
    joints = serialization.deserialize_message(CASES[JointState], JointState)
    assert (list(joints.name), list(joints.velocity), list(joints.effort)) == (["a", "bcd"], [], [2.0, 3.0])
    wrench = serialization.deserialize_message(CASES[WrenchStamped], WrenchStamped)
    assert (wrench.wrench.force.z, wrench.wrench.torque.z) == (2.0, 5.0)
    assert bytes(serialization.deserialize_message(CASES[UInt8MultiArray], UInt8MultiArray).data) == b"12345"
