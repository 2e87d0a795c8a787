"""Starts what the session waits for with the device in the operator's hand, for recording without a page."""

from __future__ import annotations

from rclpy.node import Node
from std_msgs.msg import String

from robot_rl.core.errors import CodecError
from robot_rl.nodes.convert import json_from, json_message
from robot_rl.nodes.messages import OperatorCommand, SessionState
from robot_rl.nodes.qos import LATCHED, STREAM

CONSOLE = "console"
"""The device with buttons of its own for all commands."""


class DeviceCommands:
    """While the session waits, the button "take_over" of a device means start, and "hand_back" undo.

    A session that was paused goes on only from where it was paused.
    """

    def __init__(self, node: Node) -> None:
        """Follow the session and publish commands, as `node`."""
        self._node = node
        self.session: SessionState | None = None
        """What the session said last; None before that."""
        self._commands = node.create_publisher(String, "operator/command", STREAM)
        node.create_subscription(String, "session/state", self._on_session, LATCHED)

    def _on_session(self, message: String) -> None:
        try:
            self.session = json_from(SessionState, message)
        except CodecError as error:
            self._node.get_logger().error(f"session/state ignored: {error}")

    def press(self, device: str, buttons: frozenset[str]) -> None:
        """Some buttons of a device went down."""
        session = self.session
        if device == CONSOLE or session is None or session.activity != "waiting":
            return
        if "take_over" in buttons:
            command = "start"
        elif "hand_back" in buttons and session.undo >= 0:
            command = "undo"
        else:
            return
        self._commands.publish(json_message(OperatorCommand(device, command)))
