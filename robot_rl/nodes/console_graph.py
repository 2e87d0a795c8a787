"""The graph as the operator's console acts on it: publishers and a client behind `robot_rl.console.Graph`.

The console's server calls it from its own thread and the messages go out at once: between a key and the arm
there is no queue of ours.
"""

from __future__ import annotations

import os

from rclpy.node import Node
from rclpy.task import Future
from std_msgs.msg import String
from std_srvs.srv import Trigger

from robot_rl.console.graph import OnAnswer
from robot_rl.core.types import DeviceState
from robot_rl.nodes.convert import json_message
from robot_rl.nodes.messages import OperatorCommand, OperatorInput
from robot_rl.nodes.qos import STREAM


class RosGraph:
    """Satisfies `robot_rl.console.graph.Graph`."""

    def __init__(self, node: Node) -> None:
        """Publish and call with `node`, which somebody else spins."""
        self._input = node.create_publisher(String, "operator/input", STREAM)
        self._command = node.create_publisher(String, "operator/command", STREAM)
        self._e_stop = node.create_publisher(String, "safety/e_stop_request", STREAM)
        self._clear = node.create_client(Trigger, "safety/clear_fault")
        # Each console names its pages for itself, and two of them may serve one graph.
        self._place = f"console {os.getpid()}"
        self._sequence = 0

    def command(self, who: str, name: str) -> None:
        self._command.publish(json_message(OperatorCommand(who, name)))

    def e_stop(self, reason: str) -> bool:
        self._e_stop.publish(String(data=reason))
        return self._e_stop.get_subscription_count() > 0

    def clear_fault(self, on_answer: OnAnswer) -> None:
        if not self._clear.service_is_ready():
            on_answer(False, "the robot's process is not there.")
            return

        def done(future: Future) -> None:
            if (problem := future.exception()) is not None:
                on_answer(False, str(problem))
            elif (answer := future.result()) is not None:
                on_answer(answer.success, answer.message)

        self._clear.call_async(Trigger.Request()).add_done_callback(done)

    def send(self, who: str, hands: DeviceState) -> None:
        self._sequence += 1
        x, y, z, rx, ry, rz = hands.axes.tolist()
        buttons = " ".join(sorted(hands.buttons))
        message = OperatorInput(
            f"{who}, {self._place}", self._sequence, x, y, z, rx, ry, rz, buttons, hands.frame
        )
        self._input.publish(json_message(message))
