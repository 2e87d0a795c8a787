"""Core types come back from ROS messages bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String, UInt8MultiArray

from robot_rl.core.errors import CameraError, CodecError
from robot_rl.core.types import ArmCommand, ArmState, Pose, StampedImage, TeleopCommand
from robot_rl.data.json_messages import Intervention
from robot_rl.nodes import convert
from robot_rl.nodes.messages import SafetyState

any_float = st.floats(allow_nan=True, allow_infinity=True, width=64)
stamps = st.integers(0, 2**31 * 10**9 - 1)


def vectors(size):
    return arrays(np.float64, (size,), elements=any_float)


poses = st.builds(Pose, vectors(3), vectors(4))
states = st.builds(
    ArmState,
    stamp=stamps,
    q=vectors(7),
    dq=vectors(7),
    tcp=poses,
    twist=vectors(6),
    wrench=vectors(6),
    gripper_width=any_float,
    gripper_closed=st.booleans(),
    target=poses,
    fault=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
)


def over_the_wire(message):
    """The message as another process gets it."""
    return deserialize_message(serialize_message(message), type(message))


def same_bits(a, b):
    return np.asarray(a, float).tobytes() == np.asarray(b, float).tobytes()


@given(states)
def test_the_state_of_the_arm(state):
    sent = {topic: over_the_wire(m) for topic, m in convert.state_messages(state).items()}
    assert {topic: type(m) for topic, m in sent.items()} == dict(convert.STATE_TYPES)
    back = convert.arm_state(sent)
    assert (back.stamp, back.gripper_closed, back.fault) == (state.stamp, state.gripper_closed, state.fault)
    for name in ("q", "dq", "twist", "wrench", "gripper_width"):
        assert same_bits(getattr(back, name), getattr(state, name)), name
    for name in ("tcp", "target"):
        ours, theirs = getattr(back, name), getattr(state, name)
        assert same_bits(ours.position, theirs.position)
        assert same_bits(ours.quaternion, theirs.quaternion)


@given(stamps, poses, st.booleans())
def test_a_command(stamp, pose, close):
    target, gripper = convert.command_messages(ArmCommand(stamp, pose, close))
    back = convert.arm_command(over_the_wire(target), over_the_wire(gripper))
    assert (back.stamp, back.close_gripper) == (stamp, close)
    assert same_bits(back.target.position, pose.position)
    assert same_bits(back.target.quaternion, pose.quaternion)


@given(
    stamps,
    st.booleans(),
    vectors(6),
    st.sampled_from([-1, 0, 1]),
    st.sampled_from(["", "success"]),
    st.integers(-1, 3),
)
def test_what_the_person_wants(stamp, active, twist, gripper, outcome, label):
    sent = TeleopCommand(stamp, active, twist, gripper, outcome, label)
    message, text = convert.teleop_messages(sent)
    event = convert.json_from(Intervention, over_the_wire(text))
    back = convert.teleop_command(over_the_wire(message), event)
    assert (back.stamp, back.active, back.gripper) == (stamp, active, gripper)
    assert (back.outcome, back.label) == (outcome, label)
    assert same_bits(back.twist, twist)


@given(st.binary(max_size=100_000))
def test_bytes(data):
    assert convert.bytes_from(over_the_wire(convert.bytes_message(data))) == data
    assert convert.bytes_from(UInt8MultiArray(data=data)) == data


def test_the_fingers_share_the_width():
    joints = JointState(
        name=["joint1", *convert.FINGERS], position=[0.5, 0.02, 0.02], velocity=[1.0, 0.0, 0.0]
    )
    q, dq = convert.joints_from(joints)
    assert (q.tolist(), dq.tolist()) == ([0.5], [1.0])


@pytest.mark.parametrize(
    "message",
    [JointState(), JointState(name=["joint1"], position=[1.0]), JointState(name=list(convert.FINGERS))],
)
def test_joints_of_another_robot_are_refused(message):
    with pytest.raises(CodecError, match="joint_states: names"):
        convert.joints_from(message)


@pytest.mark.parametrize(
    "message",
    [JointState(), JointState(name=["wheel"], position=[1.0], effort=[1.0]), JointState(name=["gripper"])],
)
def test_another_gripper_is_refused(message):
    with pytest.raises(CodecError, match="expected one joint 'gripper'"):
        convert.gripper_from(message)


def test_text_that_is_no_message_is_refused():
    with pytest.raises(CodecError, match="SafetyState message is not JSON"):
        convert.json_from(SafetyState, String(data="{"))


@given(stamps, st.integers(1, 9), st.integers(1, 9), st.data())
def test_a_picture(stamp, height, width, data):
    image = data.draw(arrays(np.uint8, (height, width, 3)))
    message = over_the_wire(convert.image_message("side", StampedImage(stamp, image)))
    assert message.header.frame_id == "side_optical_frame"
    back = convert.image_from(message)
    assert back.stamp == stamp
    np.testing.assert_array_equal(back.image, image)
    assert convert.cdr_stamp(serialize_message(message)) == stamp


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"encoding": "bgr8"}, "encoding 'bgr8', expected 'rgb8'"),
        ({"encoding": "16UC1"}, "encoding '16UC1'"),
        ({"width": 3}, "rows of 6, expected 18 in rows of 9"),
        ({"height": 3}, "has 12 bytes"),
        ({"step": 8}, "rows of 8"),
        ({"data": b""}, "has 0 bytes"),
    ],
)
def test_a_picture_of_another_form_is_refused(changes, reason):
    given = {"height": 2, "width": 2, "encoding": "rgb8", "step": 6, "data": bytes(12)} | changes
    with pytest.raises(CameraError, match=reason):
        convert.image_from(Image(**given))


@given(stamps, st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_how_likely_success_is(stamp, stages):
    message = over_the_wire(convert.probability_message(stamp, tuple(stages)))
    assert convert.nanoseconds_of(message.header.stamp) == stamp
    assert convert.probability_from(message) == tuple(stages)


@pytest.mark.parametrize("names", [[], ["success"], ["stage1", "stage2"]])
def test_probabilities_of_something_else_are_refused(names):
    with pytest.raises(CodecError, match="expected stage1, stage2"):
        convert.probability_from(JointState(name=names, position=[0.5] if names else []))
