"""The heartbeat of a process of the graph: its loop turns, so it can do what it is there for.

It is sent by the loop itself and not by a thread beside it: a loop that hangs has none. The process `safety`
(`robot_rl.nodes.safety_process`) listens.
"""

from __future__ import annotations

import os

from rclpy.node import Node
from std_msgs.msg import String

from robot_rl.nodes.convert import json_message
from robot_rl.nodes.messages import GOODBYE, HEARTBEAT_RATE, Heartbeat
from robot_rl.nodes.qos import STREAM

TOPIC = "heartbeat"
"""Of all processes."""


class Heartbeats:
    """The heartbeats of one process. `Spinner` sends them for every process that `run` has started."""

    def __init__(self, node: Node, process: str) -> None:
        """Prepare to publish.

        Args:
            node: Any node of the process.
            process: Its name in the node table.
        """
        self.process = process
        self.due = 0.0
        """When the next one is due, on the clock of `time.monotonic` [s]."""
        self._publisher = node.create_publisher(String, TOPIC, STREAM)
        self._pid = os.getpid()
        self._sequence = 0

    def beat(self, now: float) -> None:
        """Publish one when it is due; call it at each turn of the loop with `time.monotonic()`."""
        if now >= self.due:
            self._publish(self._sequence)
            self._sequence += 1
            # After a pause none is made up for: they would say nothing new.
            self.due = max(self.due + 1.0 / HEARTBEAT_RATE, now)

    def say_goodbye(self) -> None:
        """Publish that the process ends because somebody wanted it, and that nobody shall wait for it."""
        self._publish(GOODBYE)

    def _publish(self, sequence: int) -> None:
        self._publisher.publish(json_message(Heartbeat(self.process, self._pid, sequence)))
