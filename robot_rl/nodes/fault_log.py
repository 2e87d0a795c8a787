"""Says once that a source is at fault, and once that it is well again, however often it fails."""

from __future__ import annotations

from rclpy.node import Node


class FaultLog:
    """The log of the faults of one source, such as a camera.

    Args:
        node: Logs.
        source: What the messages are about.
    """

    def __init__(self, node: Node, source: str) -> None:
        self._node = node
        self._source = source
        self.fault = ""
        """What is wrong now, "" when nothing is."""

    def bad(self, reason: Exception) -> None:
        """Tell that something is wrong, unless the log has said so already."""
        if not self.fault:
            text = str(reason)
            self._node.get_logger().error(text if self._source in text else f"{self._source}: {text}")
        self.fault = str(reason)

    def good(self) -> None:
        """Tell that all is well, if the log has said otherwise."""
        if self.fault:
            self._node.get_logger().info(f"{self._source} is back")
        self.fault = ""
