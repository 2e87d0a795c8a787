"""Devices of a person that live behind topics: the operator's web page, and an arm that she leads by hand."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from std_msgs.msg import String

from drivers.teleop.leader import LeaderState
from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import CodecError, DeviceError
from robot_rl.core.types import DeviceState
from robot_rl.nodes.convert import json_from, pose_from
from robot_rl.nodes.messages import OperatorInput
from robot_rl.nodes.qos import STREAM

TURN = 1.0
"""A browser that sent nothing for this long makes room for another one [s]."""


class ConsoleDevice:
    """The `InputDevice` of whoever is at the web page, from `operator/input`.

    One browser has its hands on it at a time: what another one sends meanwhile is refused, but for an e-stop.
    A button that went down and up between two reads is held down for one of them.
    """

    def __init__(
        self,
        node: Node,
        on_input: Callable[[], None] = lambda: None,
        on_e_stop: Callable[[str], None] = lambda reason: None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Listen to the console.

        Args:
            node: Owns the subscription.
            on_input: Called when something has come.
            on_e_stop: Called with a reason when a browser whose input is refused presses the e-stop.
            clock: Steady time [ns].
        """
        self._node = node
        self._clock = clock
        self._on_input = on_input
        self._on_e_stop = on_e_stop
        self._input: OperatorInput | None = None
        self._arrived_at = 0
        self._buttons: frozenset[str] = frozenset()
        self._tapped: frozenset[str] = frozenset()
        self._refused: str = ""
        self._closed = False
        node.create_subscription(String, "operator/input", self._receive, STREAM)

    @property
    def name(self) -> str:
        return "console"

    def _receive(self, message: String) -> None:
        try:
            hands = json_from(OperatorInput, message)
        except CodecError as error:
            self._node.get_logger().error(f"operator/input ignored: {error}", throttle_duration_sec=1.0)
            return
        now = self._clock()
        buttons = frozenset(hands.buttons.split())
        before = self._input
        if before is not None and hands.who != before.who and now - self._arrived_at < nanoseconds(TURN):
            if hands.who != self._refused:
                self._refused = hands.who
                self._node.get_logger().warning(f"{hands.who} wants control; {before.who} has it")
            if "e_stop" in buttons:
                self._on_e_stop(f"the e-stop button of {hands.who}")
            return
        if before is None or hands.who != before.who:
            self._refused = ""
        self._input, self._arrived_at, self._buttons = hands, now, buttons
        self._tapped |= buttons
        self._on_input()

    def read(self) -> DeviceState:
        hands = self._input
        if self._closed:
            raise DeviceError("the console was closed: open it anew")
        if hands is None:
            raise DeviceError("nobody has taken control on the console's page yet")
        axes = np.array([hands.x, hands.y, hands.z, hands.rx, hands.ry, hands.rz], dtype=float)
        buttons, self._tapped = self._buttons | self._tapped, frozenset()
        return DeviceState(self._arrived_at, axes, buttons, hands.frame)

    def close(self) -> None:
        """Read no more; the subscription belongs to the node."""
        self._closed = True


class LeaderTopics:
    """The newest pose and buttons of a leader arm, from `leader/pose` and `leader/buttons`."""

    def __init__(self, node: Node) -> None:
        self._pose: PoseStamped | None = None
        self._arrived_at = 0
        self._buttons: frozenset[str] = frozenset()
        node.create_subscription(PoseStamped, "leader/pose", self._on_pose, STREAM)
        node.create_subscription(String, "leader/buttons", self._on_buttons, STREAM)

    def _on_pose(self, message: PoseStamped) -> None:
        self._pose, self._arrived_at = message, time.monotonic_ns()

    def _on_buttons(self, message: String) -> None:
        """Names of the buttons that are held down, with spaces between them."""
        self._buttons = frozenset(message.data.split())

    def __call__(self) -> LeaderState | None:
        """The source of a `LeaderArm`."""
        if self._pose is None:
            return None
        return LeaderState(self._arrived_at, pose_from(self._pose).pose, self._buttons)
