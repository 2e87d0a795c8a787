"""The benchmark's own node: what it hears of a graph, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.node import Node
from std_msgs.msg import String

from robot_rl.core.types import Pose, StampedPose
from robot_rl.data.json_messages import ControlChange
from robot_rl.nodes.convert import json_from, pose_from
from robot_rl.nodes.messages import SafetyState
from robot_rl.nodes.qos import LATCHED, STREAM


@dataclass
class Heard:
    """What the benchmark's own node hears of a graph, each with its steady time of arrival [s]."""

    commands: list[tuple[float, StampedPose]] = field(default_factory=list)
    """Each with the stamp of the state that it answers."""
    targets: dict[int, Pose] = field(default_factory=dict)
    """Stamp of a state to the target that the controller held then."""
    safety: list[tuple[float, SafetyState]] = field(default_factory=list)
    control: list[tuple[float, ControlChange]] = field(default_factory=list)


class Listener:
    """A node that listens to the commands, the safety state and who is in control."""

    def __init__(self) -> None:
        rclpy.init()
        self.heard = Heard()
        self._node = Node("listener")
        self._executor = EventsExecutor()
        self._executor.add_node(self._node)
        heard = self.heard
        self._listen(PoseStamped, "arm/target_pose", heard.commands, pose_from)
        self._listen(String, "safety/state", heard.safety, lambda m: json_from(SafetyState, m))
        self._listen(
            String, "intervention/control", heard.control, lambda m: json_from(ControlChange, m), LATCHED
        )
        self._node.create_subscription(PoseStamped, "arm/controller_state", self._on_target, STREAM)
        self._ended = False
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _on_target(self, message: PoseStamped) -> None:
        target = pose_from(message)
        self.heard.targets[target.stamp] = target.pose

    def _listen(
        self, kind: type, topic: str, into: list[Any], read: Callable[[Any], Any], qos: Any = STREAM
    ) -> None:
        def on_message(message: Any) -> None:
            into.append((time.monotonic(), read(message)))

        self._node.create_subscription(kind, topic, on_message, qos)

    def _spin(self) -> None:
        while not self._ended:
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown()
