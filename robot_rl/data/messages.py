"""ROS 2 messages as CDR bytes without ROS: what the in-process loop writes into its episode logs.

The definitions are those of ROS 2 Kilted as the rosbags package carries them; the bytes are the same as
rclpy's. Stamps are nanoseconds, quaternions xyzw, names and frames as in ROS.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from robot_rl.core.clock import NANOSECONDS
from robot_rl.core.errors import LogError
from robot_rl.core.types import Intrinsics, Pose

POSE = "geometry_msgs/msg/PoseStamped"
TWIST = "geometry_msgs/msg/TwistStamped"
WRENCH = "geometry_msgs/msg/WrenchStamped"
JOINT_STATE = "sensor_msgs/msg/JointState"
IMAGE = "sensor_msgs/msg/Image"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
STRING = "std_msgs/msg/String"
BYTES = "std_msgs/msg/UInt8MultiArray"

DISTORTION_MODEL = "plumb_bob"
"""The only one: k1, k2, p1, p2, k3."""

_EMPTY = np.zeros(0)


def pose_stamped(stamp: int, pose: Pose, frame: str) -> bytes:
    """`geometry_msgs/PoseStamped`: position [m] and quaternion in `frame`."""
    x, y, z = pose.position.tolist()
    quaternion = pose.quaternion.tolist()
    point = _type("geometry_msgs/msg/Point")(x, y, z)
    orientation = _type("geometry_msgs/msg/Quaternion")(*quaternion)
    value = _type("geometry_msgs/msg/Pose")(point, orientation)
    return _serialize(_type(POSE)(_header(stamp, frame), value), POSE)


def twist_stamped(stamp: int, twist: np.ndarray, frame: str) -> bytes:
    """`geometry_msgs/TwistStamped` of (6,): linear [m/s], angular [rad/s], in `frame`."""
    value = _type("geometry_msgs/msg/Twist")(*_two_vectors(twist))
    return _serialize(_type(TWIST)(_header(stamp, frame), value), TWIST)


def wrench_stamped(stamp: int, wrench: np.ndarray, frame: str) -> bytes:
    """`geometry_msgs/WrenchStamped` of (6,): force [N], torque [Nm], in `frame`."""
    value = _type("geometry_msgs/msg/Wrench")(*_two_vectors(wrench))
    return _serialize(_type(WRENCH)(_header(stamp, frame), value), WRENCH)


def joint_state(
    stamp: int,
    names: Sequence[str],
    position: np.ndarray,
    velocity: np.ndarray | None = None,
    effort: np.ndarray | None = None,
    frame: str = "base",
) -> bytes:
    """`sensor_msgs/JointState`: [rad] or [m], per second, [Nm] or [N]; what is None stays empty."""
    for what, values in (("positions", position), ("velocities", velocity), ("efforts", effort)):
        if values is not None and len(values) != len(names):
            raise LogError(f"joint state: {len(values)} {what} for {len(names)} names")
    arrays = [_EMPTY if v is None else np.asarray(v, np.float64) for v in (position, velocity, effort)]
    return _serialize(_type(JOINT_STATE)(_header(stamp, frame), list(names), *arrays), JOINT_STATE)


def image(stamp: int, image: np.ndarray, frame: str) -> bytes:
    """`sensor_msgs/Image` of (h, w, 3) uint8, as "rgb8", seen from `frame`."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise LogError(f"image: {image.dtype} {image.shape}, expected uint8 (height, width, 3)")
    height, width, _ = image.shape
    pixels = np.ascontiguousarray(image).reshape(-1)
    message = _type(IMAGE)(_header(stamp, frame), height, width, "rgb8", 0, 3 * width, pixels)
    return _serialize(message, IMAGE)


def camera_info(stamp: int, intrinsics: Intrinsics, frame: str) -> bytes:
    """`sensor_msgs/CameraInfo` of a camera that is not rectified; `frame` is its optical frame."""
    c, float64 = intrinsics, np.float64
    k = np.array([c.fx, 0, c.cx, 0, c.fy, c.cy, 0, 0, 1], float64)
    p = np.array([c.fx, 0, c.cx, 0, 0, c.fy, c.cy, 0, 0, 0, 1, 0], float64)
    distortion = np.array(c.distortion or (0.0,) * 5, float64)
    whole = _type("sensor_msgs/msg/RegionOfInterest")(0, 0, 0, 0, False)
    header, r = _header(stamp, frame), np.eye(3).reshape(-1)
    message = _type(CAMERA_INFO)(
        header, c.height, c.width, DISTORTION_MODEL, distortion, k, r, p, 0, 0, whole
    )
    return _serialize(message, CAMERA_INFO)


def string(text: str) -> bytes:
    """`std_msgs/String`."""
    return _serialize(_type(STRING)(text), STRING)


def byte_array(data: bytes) -> bytes:
    """`std_msgs/UInt8MultiArray` without dimensions: a message of `robot_rl.data.codec`."""
    layout = _type("std_msgs/msg/MultiArrayLayout")([], 0)
    return _serialize(_type(BYTES)(layout, np.frombuffer(data, np.uint8)), BYTES)


def deserialize(data: bytes, msgtype: str) -> Any:
    """The message in CDR bytes, as an object with the fields of its definition."""
    from rosbags.serde import SerdeError

    _check_known(msgtype)
    try:
        return typestore().deserialize_cdr(data, msgtype)
    except (SerdeError, ValueError) as error:
        raise LogError(f"{msgtype}: {len(data)} bytes that are not such a message: {error}") from None


@cache
def definition(msgtype: str) -> tuple[str, str]:
    """The text of a message definition with all it contains, as rosbag2 stores it, and its type hash."""
    _check_known(msgtype)
    return typestore().generate_msgdef(msgtype, ros_version=2)[0], typestore().hash_rihs01(msgtype)


@cache
def typestore() -> Any:
    """The message definitions of ROS 2 Kilted."""
    from rosbags.typesys import Stores, get_typestore  # 70 ms, which the command line need not wait for

    return get_typestore(Stores.ROS2_KILTED)


@cache
def _type(msgtype: str) -> Any:
    return typestore().types[msgtype]


def _check_known(msgtype: str) -> None:
    if msgtype not in typestore().fielddefs:
        raise LogError(f"{msgtype!r} is not a message type of ROS 2, which look like 'std_msgs/msg/String'")


def _serialize(message: Any, msgtype: str) -> bytes:
    return bytes(typestore().serialize_cdr(message, msgtype))


def _header(stamp: int, frame: str) -> Any:
    sec, nanosec = divmod(stamp, NANOSECONDS)
    return _type("std_msgs/msg/Header")(_type("builtin_interfaces/msg/Time")(sec, nanosec), frame)


def _two_vectors(values: np.ndarray) -> tuple[Any, Any]:
    a, b, c, d, e, f = values.tolist()
    vector = _type("geometry_msgs/msg/Vector3")
    return vector(a, b, c), vector(d, e, f)
