"""Names of the topics between camera and actor, and which of them a tick waits for. Imports no ROS."""

from __future__ import annotations

from robot_rl.data.images import image_topic as image_topic
from robot_rl.data.recorder import SUCCESS_PROBABILITY_TOPIC
from robot_rl.tasks.arm import ArmTaskConfig

CAMERAS = "the camera process (robot_rl.nodes.camera_process)"
PERCEPTION = "the perception process (robot_rl.nodes.perception_process)"


def info_topic(camera: str) -> str:
    """`sensor_msgs/CameraInfo`, one with each image."""
    return f"{camera}/camera_info"


def features_topic(camera: str) -> str:
    """`std_msgs/UInt8MultiArray`, `Kind.FEATURES` of `robot_rl.data.codec`."""
    return f"{camera}/features"


def awaited(config: ArmTaskConfig) -> dict[str, str]:
    """Topic to its publisher, for what the actor needs of a task's cameras at each tick.

    In lockstep the robot's process names these in the tick's manifest, with the tick's stamp.
    """
    if config.encoder.kind == "trainable":
        topics = {image_topic(camera): CAMERAS for camera in config.cameras}
    else:
        topics = {features_topic(camera): PERCEPTION for camera in config.cameras}
    if topics and is_judged(config):
        topics[SUCCESS_PROBABILITY_TOPIC] = PERCEPTION
    return topics


def is_judged(config: ArmTaskConfig) -> bool:
    """Whether a classifier is there to judge the pictures: not while its labels are still collected."""
    return config.reward == "classifier" and bool(config.classifier.directory)


def is_encoded(config: ArmTaskConfig) -> bool:
    """Whether the graph needs the perception process."""
    return bool(config.cameras) and (config.encoder.kind != "trainable" or is_judged(config))
