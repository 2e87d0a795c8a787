"""Nodes that a test spins by itself, without processes of their own."""

from __future__ import annotations

import time
from collections.abc import Callable

import rclpy
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile

from robot_rl.nodes.qos import STREAM

PATIENCE = 30.0
"""Longest time that a test waits for something [s]."""


class Bench:
    """Nodes of this process, one of which is the test's."""

    def __init__(self) -> None:
        rclpy.init()
        self.executor = EventsExecutor()
        self.nodes: list[Node] = []
        self.node = self.add(Node("probe"))

    def add(self, node: Node) -> Node:
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def wait(self, ready: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not ready():
            assert time.monotonic() < deadline
            self.executor.spin_once(timeout_sec=0.05)

    def publisher(
        self, topic: str, kind: type, readers: int = 1, qos: QoSProfile = STREAM
    ) -> Callable[[object], None]:
        """What publishes on a topic; waits until so many listen to it."""
        publisher = self.node.create_publisher(kind, topic, qos)
        self.wait(lambda: publisher.get_subscription_count() >= readers)
        return publisher.publish

    def close(self) -> None:
        self.executor.shutdown()
        for node in self.nodes:
            node.destroy_node()
        rclpy.shutdown()
