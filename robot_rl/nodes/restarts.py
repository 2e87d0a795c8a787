"""Tells when simulated time starts again, as it does with a new robot's process."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from std_msgs.msg import String

from robot_rl.core.errors import CodecError
from robot_rl.nodes.convert import json_from
from robot_rl.nodes.messages import Tick
from robot_rl.nodes.qos import STREAM


class RestartWatch:
    """Watches for stamps of `sync/tick` that go back; repeated ones do not.

    Args:
        node: Listens.
        on_restart: Called before anything of the new time is used.
    """

    def __init__(self, node: Node, on_restart: Callable[[], None]) -> None:
        self._on_restart = on_restart
        self._newest = -1
        node.create_subscription(String, "sync/tick", self._on_tick, STREAM)

    def _on_tick(self, message: String) -> None:
        try:
            stamp = json_from(Tick, message).stamp
        except CodecError:
            return  # for those who act on ticks to tell
        if stamp < self._newest:
            self._on_restart()
        self._newest = stamp
