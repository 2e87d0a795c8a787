"""The CDR bytes that are made without ROS are those that ROS 2 reads and writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped
from rclpy import serialization
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import String, UInt8MultiArray

from robot_rl.core.spec import ArraySpec, EnvSpec, Spec
from robot_rl.core.types import (
    ArmState,
    Episode,
    Intrinsics,
    Mode,
    Pose,
    Sight,
    StampedImage,
    StampedPose,
    TeleopCommand,
)
from robot_rl.data import messages
from robot_rl.data.episode_log import read_raw
from robot_rl.data.json_messages import ControlChange
from robot_rl.data.recorder import EpisodeRecorder
from robot_rl.nodes import convert

pytestmark = [
    pytest.mark.ros,
    # A parser below rosidl imports a module that Python 3.11 deprecates.
    pytest.mark.filterwarnings("ignore:module 'sre_.*' is deprecated:DeprecationWarning"),
]

STAMP = 3_000_000_007
SIX = np.arange(6.0)
POSE = Pose(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.6, 0.0, 0.8]))
PICTURE = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
LENS = Intrinsics(5, 4, 7.0, 7.5, 2.0, 1.5)
CASES = {
    PoseStamped: messages.pose_stamped(STAMP, POSE, "base"),
    TwistStamped: messages.twist_stamped(STAMP, SIX, "tool0"),
    WrenchStamped: messages.wrench_stamped(STAMP, SIX, ""),
    JointState: messages.joint_state(STAMP, ["a", "bcd"], SIX[:2], effort=SIX[2:4], frame=""),
    String: messages.string("\u00fc and more"),
    Image: messages.image(STAMP, PICTURE, "side_optical_frame"),
    CameraInfo: messages.camera_info(STAMP, LENS, "side_optical_frame"),
    UInt8MultiArray: messages.byte_array(b"12345"),
}


def name_of(kind: type) -> str:
    """As "std_msgs/msg/String"."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


@pytest.mark.parametrize("kind", CASES)
def test_ros_writes_the_same_message(kind: type) -> None:
    """Equal but for padding: what ROS 2 puts there, and behind the end, is left to chance."""
    ours = CASES[kind]
    theirs = serialization.serialize_message(serialization.deserialize_message(ours, kind))
    msgtype = name_of(kind)
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
    image = serialization.deserialize_message(CASES[Image], Image)
    assert (image.width, image.height, image.step, image.encoding) == (5, 4, 15, "rgb8")
    assert bytes(image.data) == PICTURE.tobytes()
    info = serialization.deserialize_message(CASES[CameraInfo], CameraInfo)
    assert (info.k[0], info.k[4], info.p[2], info.p[6]) == (7.0, 7.5, 2.0, 1.5)


def test_the_recorder_and_the_graph_log_the_same_messages(tmp_path: Path) -> None:
    """Topic by topic, but for `safety/state`, which the in-process loop has no supervisor to publish."""
    state = ArmState(STAMP, np.arange(7.0), np.arange(7.0), POSE, SIX, SIX, 0.05, True, POSE)
    spec = EnvSpec(Spec.of({}), ArraySpec((1,)), 10.0, "task")
    sight = Sight(stages=(0.25, 0.5), images={"side": StampedImage(STAMP, PICTURE)})
    person = TeleopCommand(STAMP, True, SIX, -1, "failure", 2, "spacemouse", lost=True)
    with EpisodeRecorder(tmp_path, spec, {"side": LENS}) as recorder:
        recorder.begin(Episode(0, 0, Mode.TRAIN))
        recorder.state(state, {"cube": StampedPose(STAMP, POSE)}, sight, person)
    logged = {m.topic: m for m in read_raw(tmp_path / "000000.mcap")}
    graph = convert.state_messages(state) | {"cube/pose": convert.pose_message(StampedPose(STAMP, POSE))}
    del graph["safety/state"]
    graph["intervention/twist"], graph["intervention/event"] = convert.teleop_messages(person)
    graph["intervention/control"] = convert.json_message(ControlChange(STAMP, "spacemouse", "policy"))
    graph["side/image_raw"] = convert.image_message("side", sight.images["side"])
    graph["side/camera_info"] = convert.camera_info_message("side", STAMP, LENS)
    graph["reward/success_probability"] = convert.probability_message(STAMP, sight.stages)
    assert set(graph) == set(logged)
    for topic, message in graph.items():
        assert (
            logged[topic].msgtype == f"{type(message).__module__.split('.')[0]}/msg/{type(message).__name__}"
        )
        assert serialization.deserialize_message(logged[topic].data, type(message)) == message
