"""A device's buttons start what waits, and take it back, and do nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rclpy.node import Node
from std_msgs.msg import String

from robot_rl.nodes.convert import json_from, json_message
from robot_rl.nodes.device_commands import DeviceCommands
from robot_rl.nodes.messages import OperatorCommand, SessionState
from robot_rl.nodes.qos import LATCHED, STREAM
from tests.ros.benches import Bench


class Desk(Bench):
    """Says where the session is, and hears the commands."""

    def __init__(self) -> None:
        super().__init__()
        intervention = self.add(Node("intervention"))
        self.commands = DeviceCommands(intervention)
        self.heard: list[OperatorCommand] = []
        self.node.create_subscription(String, "operator/command", self._hear, STREAM)
        self._say = self.publisher("session/state", String, qos=LATCHED)
        self.wait(lambda: intervention.count_subscribers("operator/command"))

    def _hear(self, message: String) -> None:
        self.heard.append(json_from(OperatorCommand, message))

    def session(self, activity: str, undo: int = -1) -> None:
        """The session says so, and the device's process hears it."""
        state = SessionState("actor", 0, "", "demonstrations", 0, activity=activity, undo=undo)
        self._say(json_message(state))
        self.wait(lambda: self.commands.session == state)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


def test_buttons_count_while_the_session_waits(desk: Desk) -> None:
    press = desk.commands.press
    press("gamepad", frozenset({"take_over"}))  # nobody has said where the session is
    for activity in ("running", "paused", "held"):
        desk.session(activity, undo=0)
        press("gamepad", frozenset({"take_over"}))
        press("gamepad", frozenset({"hand_back"}))
    desk.session("waiting")
    press("gamepad", frozenset({"hand_back"}))  # there is nothing to take back
    press("gamepad", frozenset({"close", "success"}))
    press("console", frozenset({"take_over"}))  # the page has buttons of its own
    desk.session("waiting", undo=3)
    press("gamepad", frozenset({"hand_back"}))
    press("spacemouse", frozenset({"take_over"}))
    desk.wait(lambda: len(desk.heard) >= 2)
    assert desk.heard == [OperatorCommand("gamepad", "undo"), OperatorCommand("spacemouse", "start")]
