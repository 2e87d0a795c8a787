"""A subscription that is asked for its messages, for a node that looks at topics when it has time."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile


class Tap:
    """A subscription of a node that nobody spins: what comes stays in its history until it is taken.

    Args:
        node: In no executor.
        kind: Type of the messages.
        topic: Their topic.
        qos: With the depth of the history.
    """

    def __init__(self, node: Node, kind: type, topic: str, qos: QoSProfile) -> None:
        self.topic = topic
        self._subscription = node.create_subscription(kind, topic, lambda message: None, qos)

    def take(self) -> list[Any]:
        """What has come since the last time, as far as the depth of the history, in order."""
        messages = []
        handle, kind = self._subscription.handle, self._subscription.msg_type
        with handle:
            while (row := handle.take_message(kind, False)) is not None:
                messages.append(row[0])
        return messages
