"""The node of a camera: publishes its frames, and with each what camera it is."""

from __future__ import annotations

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from robot_rl.core.types import Intrinsics, StampedImage
from robot_rl.nodes.camera_topics import image_topic, info_topic
from robot_rl.nodes.convert import camera_info_message, image_message
from robot_rl.nodes.qos import STREAM


class CameraNode(Node):
    """Publishes the frames of one camera."""

    def __init__(self, camera: str) -> None:
        super().__init__(f"{camera}_camera_driver")
        self.camera = camera
        self._image = self.create_publisher(Image, image_topic(camera), STREAM)
        self._info = self.create_publisher(CameraInfo, info_topic(camera), STREAM)
        self._sent: tuple[CameraInfo, Image] | None = None

    def publish(self, frame: StampedImage, intrinsics: Intrinsics) -> None:
        """Publish a frame and what camera it is from."""
        info = camera_info_message(self.camera, frame.stamp, intrinsics)
        self._sent = info, image_message(self.camera, frame)
        self.publish_again()

    def publish_again(self) -> None:
        """Publish the last frame once more, for a peer that has missed it."""
        if self._sent is not None:
            info, image = self._sent
            self._image.publish(image)
            self._info.publish(info)  # last: who has it knows that the picture is out
