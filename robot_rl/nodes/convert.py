"""Core types to ROS messages and back.

Every number travels as float64, so that a value comes back bit for bit and the graph's transitions equal the
in-process loop's. Poses and twists are in the frame `base`; stamps are the graph's nanoseconds.
"""

from __future__ import annotations

import array
from collections.abc import Mapping
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header, String, UInt8MultiArray

from robot_rl.control.fault_advice import fault_advice, hold_advice
from robot_rl.core.clock import NANOSECONDS
from robot_rl.core.errors import CameraError, CodecError
from robot_rl.core.types import (
    ArmCommand,
    ArmState,
    Intrinsics,
    Pose,
    StampedImage,
    StampedPose,
    TeleopCommand,
)
from robot_rl.data import json_messages
from robot_rl.data.json_messages import Intervention
from robot_rl.data.messages import DISTORTION_MODEL
from robot_rl.data.recorder import optical_frame, stage_names
from robot_rl.nodes.messages import SafetyState

BASE = "base"
"""frame_id of the robot's base."""
FINGERS = ("finger_joint1", "finger_joint2")
GRIPPER = "gripper"


def time_message(stamp: int) -> Time:
    """Nanoseconds to a ROS time."""
    sec, nanosec = divmod(stamp, NANOSECONDS)
    return Time(sec=sec, nanosec=nanosec)


def nanoseconds_of(time: Time) -> int:
    """Inverse of `time_message`."""
    return time.sec * NANOSECONDS + time.nanosec


def cdr_stamp(data: bytes) -> int:
    """The stamp of a message with a header, from its CDR bytes [ns].

    Four bytes of encapsulation, then the header's seconds and nanoseconds, little-endian.
    """
    seconds = int.from_bytes(data[4:8], "little", signed=True)
    return seconds * NANOSECONDS + int.from_bytes(data[8:12], "little")


def header(stamp: int) -> Header:
    """Header of a message in the base frame."""
    return Header(stamp=time_message(stamp), frame_id=BASE)


def pose_message(stamped: StampedPose) -> PoseStamped:
    """Position [m] and quaternion xyzw."""
    message = PoseStamped(header=header(stamped.stamp))
    position, orientation = message.pose.position, message.pose.orientation
    position.x, position.y, position.z = stamped.pose.position.tolist()
    orientation.x, orientation.y, orientation.z, orientation.w = stamped.pose.quaternion.tolist()
    return message


def pose_from(message: PoseStamped) -> StampedPose:
    """Inverse of `pose_message`."""
    p, q = message.pose.position, message.pose.orientation
    pose = Pose(np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w]))
    return StampedPose(nanoseconds_of(message.header.stamp), pose)


def twist_message(stamp: int, twist: np.ndarray) -> TwistStamped:
    """(6,) linear [m/s], angular [rad/s]."""
    message = TwistStamped(header=header(stamp))
    v, w = message.twist.linear, message.twist.angular
    v.x, v.y, v.z, w.x, w.y, w.z = twist.tolist()
    return message


def twist_from(message: TwistStamped) -> np.ndarray:
    """Inverse of `twist_message`, without the stamp."""
    v, w = message.twist.linear, message.twist.angular
    return np.array([v.x, v.y, v.z, w.x, w.y, w.z])


def wrench_message(stamp: int, wrench: np.ndarray) -> WrenchStamped:
    """(6,) force [N], torque [Nm]."""
    message = WrenchStamped(header=header(stamp))
    f, t = message.wrench.force, message.wrench.torque
    f.x, f.y, f.z, t.x, t.y, t.z = wrench.tolist()
    return message


def wrench_from(message: WrenchStamped) -> np.ndarray:
    """Inverse of `wrench_message`, without the stamp."""
    f, t = message.wrench.force, message.wrench.torque
    return np.array([f.x, f.y, f.z, t.x, t.y, t.z])


def joint_message(state: ArmState) -> JointState:
    """Joints of the arm, then both fingers, each half open."""
    count = len(state.q)
    message = JointState(header=header(state.stamp), name=_joint_names(count))
    finger = state.gripper_width / 2
    message.position = [*state.q.tolist(), finger, finger]
    message.velocity = [*state.dq.tolist(), 0.0, 0.0]
    return message


def joints_from(message: JointState) -> tuple[np.ndarray, np.ndarray]:
    """(n,) positions [rad] and velocities [rad/s] of the arm, without the fingers."""
    names = list(message.name)
    count = len(names) - len(FINGERS)
    if tuple(names[count:]) != FINGERS or len(message.position) != len(names):
        raise CodecError(f"joint_states: names {names}, expected the arm's joints, then {FINGERS}")
    return np.array(message.position[:count]), np.array(message.velocity[:count])


def gripper_message(stamp: int, width: float, closed: bool) -> JointState:
    """Width [m] as the position; the last command, 1 for close, as the effort."""
    return JointState(
        header=header(stamp), name=[GRIPPER], position=[width], velocity=[0.0], effort=[float(closed)]
    )


def gripper_from(message: JointState) -> tuple[float, bool]:
    """Width [m], and whether the last command was to close."""
    if list(message.name) != [GRIPPER] or len(message.position) != 1 or len(message.effort) != 1:
        raise CodecError(f"gripper message: expected one joint {GRIPPER!r}, got {list(message.name)}")
    return message.position[0], message.effort[0] > 0.5


def state_messages(state: ArmState, inhibited: str = "", denials: int = 0) -> dict[str, Any]:
    """Topic to message, for everything that an arm reports; `arm_state` is its inverse.

    Args:
        state: The arm's.
        inhibited: Why it holds for want of a permit, "" when it has one.
        denials: How often that happened.
    """
    stamp = state.stamp
    advice = fault_advice(state.fault) or hold_advice(inhibited)
    safety = SafetyState(stamp, state.fault, state.peak_force, state.holding, state.limited, advice, denials)
    return {
        "joint_states": joint_message(state),
        "arm/pose": pose_message(StampedPose(stamp, state.tcp)),
        "arm/twist": twist_message(stamp, state.twist),
        "arm/wrench": wrench_message(stamp, state.wrench),
        "gripper/state": gripper_message(stamp, state.gripper_width, state.gripper_closed),
        "arm/controller_state": pose_message(StampedPose(stamp, state.target)),
        "safety/state": json_message(safety),
    }


STATE_TYPES: Mapping[str, type] = {
    "joint_states": JointState,
    "arm/pose": PoseStamped,
    "arm/twist": TwistStamped,
    "arm/wrench": WrenchStamped,
    "gripper/state": JointState,
    "arm/controller_state": PoseStamped,
    "safety/state": String,
}
"""Topic to message type of everything that an arm reports."""


def arm_state(inputs: Mapping[str, Any]) -> ArmState:
    """The arm's state from its messages of one stamp, by topic."""
    pose, width_closed = pose_from(inputs["arm/pose"]), gripper_from(inputs["gripper/state"])
    q, dq = joints_from(inputs["joint_states"])
    safety = json_from(SafetyState, inputs["safety/state"])
    return ArmState(
        stamp=pose.stamp,
        q=q,
        dq=dq,
        tcp=pose.pose,
        twist=twist_from(inputs["arm/twist"]),
        wrench=wrench_from(inputs["arm/wrench"]),
        gripper_width=width_closed[0],
        gripper_closed=width_closed[1],
        target=pose_from(inputs["arm/controller_state"]).pose,
        fault=safety.fault,
        peak_force=safety.peak_force,
        holding=safety.holding,
        limited=safety.limited,
    )


def command_messages(command: ArmCommand) -> tuple[PoseStamped, JointState]:
    """`arm/target_pose` and `gripper/command`; both carry the stamp of the state that they answer."""
    target = pose_message(StampedPose(command.stamp, command.target))
    return target, gripper_message(command.stamp, 0.0, command.close_gripper)


def arm_command(target: PoseStamped, gripper: JointState) -> ArmCommand:
    """Inverse of `command_messages`."""
    stamped = pose_from(target)
    return ArmCommand(stamped.stamp, stamped.pose, gripper_from(gripper)[1])


def teleop_messages(command: TeleopCommand, request: str = "") -> tuple[TwistStamped, String]:
    """`intervention/twist` and `intervention/event`; `request` names the episode's reset request."""
    event = Intervention(
        command.stamp,
        command.active,
        command.gripper,
        command.outcome,
        command.label,
        command.who,
        command.lost,
        request,
    )
    return twist_message(command.stamp, command.twist), json_message(event)


def teleop_command(twist: TwistStamped, event: Intervention) -> TeleopCommand:
    """Inverse of `teleop_messages`."""
    return TeleopCommand(
        event.stamp,
        event.active,
        twist_from(twist),
        event.gripper,
        event.outcome,
        event.label,
        event.who,
        event.lost,
    )


def image_message(camera: str, picture: StampedImage) -> Image:
    """A picture as "rgb8"."""
    height, width, _ = picture.image.shape
    message = Image(
        header=Header(stamp=time_message(picture.stamp), frame_id=optical_frame(camera)),
        height=height,
        width=width,
        encoding="rgb8",
        step=3 * width,
    )
    message.data = array.array("B", picture.image.tobytes())
    return message


def image_from(message: Image) -> StampedImage:
    """Inverse of `image_message`; `CameraError` for an encoding or a size that its bytes contradict."""
    if message.encoding != "rgb8":
        raise CameraError(f"an image has the encoding {message.encoding!r}, expected 'rgb8'")
    height, width, step = message.height, message.width, message.step
    if step != 3 * width or len(message.data) != height * step:
        raise CameraError(
            f"an image of {width} x {height} has {len(message.data)} bytes in rows of {step}, "
            f"expected {3 * width * height} in rows of {3 * width}"
        )
    pixels = np.frombuffer(message.data, np.uint8).reshape(height, width, 3)
    return StampedImage(nanoseconds_of(message.header.stamp), pixels)


def camera_info_message(camera: str, stamp: int, intrinsics: Intrinsics) -> CameraInfo:
    """What a camera is; its pictures are not rectified."""
    c = intrinsics
    return CameraInfo(
        header=Header(stamp=time_message(stamp), frame_id=optical_frame(camera)),
        height=c.height,
        width=c.width,
        distortion_model=DISTORTION_MODEL,
        d=list(c.distortion or (0.0,) * 5),
        k=[c.fx, 0.0, c.cx, 0.0, c.fy, c.cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[c.fx, 0.0, c.cx, 0.0, 0.0, c.fy, c.cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def probability_message(stamp: int, stages: tuple[float, ...]) -> JointState:
    """`reward/success_probability`: of each stage of the task."""
    stamped = Header(stamp=time_message(stamp))
    return JointState(header=stamped, name=stage_names(len(stages)), position=list(stages))


def probability_from(message: JointState) -> tuple[float, ...]:
    """Inverse of `probability_message`, without the stamp."""
    if list(message.name) != stage_names(len(message.position)) or not message.name:
        raise CodecError(
            f"reward/success_probability: names {list(message.name)} for {len(message.position)} values, "
            "expected stage1, stage2, ..."
        )
    return tuple(message.position)


def json_message(value: object) -> String:
    """A message of `robot_rl.nodes.messages` as a ROS string."""
    return String(data=json_messages.encode(value))


def json_from(cls: type[json_messages.T], message: String) -> json_messages.T:
    """Inverse of `json_message`."""
    return json_messages.decode(cls, message.data)


def bytes_message(data: bytes) -> UInt8MultiArray:
    """Bulk bytes. Handed over as an `array`, whose memory rclpy copies at once instead of item by item."""
    message = UInt8MultiArray()
    message.data = array.array("B", data)
    return message


def bytes_from(message: UInt8MultiArray) -> bytes:
    """Inverse of `bytes_message`."""
    return bytes(memoryview(message.data))


def _joint_names(count: int) -> list[str]:
    return [*(f"joint{i + 1}" for i in range(count)), *FINGERS]
