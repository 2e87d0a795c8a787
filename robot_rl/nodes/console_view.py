"""The topics that the operator's console shows, into its `Model`.

The page shows at most 15 states a second, and the graph sends many more messages. So the streams are not
called back: their subscriptions keep the newest message, which is taken, and decoded, when it is to be shown.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from robot_rl.console.model import Model
from robot_rl.core.errors import CameraError, CodecError
from robot_rl.core.types import ArmState, Pose
from robot_rl.data.json_messages import ControlChange
from robot_rl.data.recorder import SUCCESS_PROBABILITY_TOPIC
from robot_rl.nodes.camera_topics import image_topic
from robot_rl.nodes.convert import (
    STATE_TYPES,
    arm_state,
    image_from,
    json_from,
    nanoseconds_of,
    pose_from,
    probability_from,
)
from robot_rl.nodes.messages import EpisodeEvent, Heartbeat, Permit, SafetyState, SessionState
from robot_rl.nodes.qos import LATCHED, NEWEST, STREAM, keep_last
from robot_rl.nodes.tap import Tap
from robot_rl.tasks.arm import ArmTaskConfig

GLANCE = keep_last(1, reliable=False)
"""Streams of which a lost message is not missed: the robot's process never waits for the console."""

BEATS = keep_last(64, reliable=False)
"""Heartbeats of all processes between two looks."""

BEATS_PERIOD = 0.5
"""Time between two looks at the heartbeats [s]."""

FORGET = 5.0
"""A process that has been silent for this long is no longer shown [s]."""


class ConsoleView:
    """Looks at the graph's topics and shows them."""

    def __init__(
        self,
        node: Node,
        config: ArmTaskConfig,
        model: Model,
        on_scene: Callable[[ArmState, dict[str, Pose]], None],
        on_result: Callable[[EpisodeEvent], None],
        on_metrics: Callable[[dict[str, float]], None],
    ) -> None:
        """Subscribe to everything that is shown.

        Args:
            node: Nobody may spin it.
            config: Settings of the task.
            model: Takes what is shown.
            on_scene: Takes the arm's state and the poses of the objects, for the 3-D view.
            on_result: Takes the events of episodes, for the curves.
            on_metrics: Takes what the learner says of itself, for the curves.
        """
        self._node = node
        self._model = model
        self._on_scene = on_scene
        self._on_result = on_result
        self._on_metrics = on_metrics
        self._arm = [Tap(node, kind, topic, GLANCE) for topic, kind in STATE_TYPES.items()]
        self._inputs: dict[str, Any] = {}
        self._objects = {f"{n}/pose": n for n in config.objects} | {f"truth/{n}": n for n in config.objects}
        self._poses = [Tap(node, PoseStamped, topic, GLANCE) for topic in self._objects]
        self._seen: dict[str, Pose] = {}
        self._images = {c: Tap(node, Image, image_topic(c), NEWEST) for c in config.cameras}
        self._probability = Tap(node, JointState, SUCCESS_PROBABILITY_TOPIC, GLANCE)
        self._permit = Tap(node, String, "safety/permit", GLANCE)
        self._session = Tap(node, String, "session/state", LATCHED)
        self._control = Tap(node, String, "intervention/control", LATCHED)
        self._episode = Tap(node, String, "episode/event", STREAM)
        self._metrics = Tap(node, String, "learner/metrics", LATCHED)
        self._beats = Tap(node, String, "heartbeat", BEATS)
        self._heard: dict[str, float] = {}
        self._look_at_beats = 0.0
        self._complaints: set[str] = set()

    def look(self) -> None:
        """Show what is new. What nobody looks at is left where it is, but for what the curves are made of."""
        for name, kind, tap in (
            ("session", SessionState, self._session),
            ("control", ControlChange, self._control),
        ):
            self._show_newest(name, kind, tap)
        for event in self._decoded(EpisodeEvent, self._episode):
            self._model.put("episode", event)
            self._on_result(event)
        self._look_at_metrics()
        self._look_at_arm()
        self._show_newest("permit", Permit, self._permit)
        self._look_at_beats_now()
        if self._model.watched:
            self._look_at_pictures()

    def _look_at_arm(self) -> None:
        news = False
        for tap in self._arm:
            for message in tap.take():
                self._inputs[tap.topic] = message
                news = True
        for tap in self._poses:
            for message in tap.take():
                name = self._objects[tap.topic]
                # What a simulator knows is shown rather than what its tracker makes of it.
                if f"truth/{name}" == tap.topic or f"truth/{name}" not in self._seen:
                    self._seen[tap.topic] = pose_from(message).pose
        if not news or len(self._inputs) < len(self._arm):
            return
        try:
            state = arm_state(self._inputs)
            self._model.put("safety", json_from(SafetyState, self._inputs["safety/state"]))
        except CodecError as error:
            self._complain("the robot's state", error)
            return
        self._model.put_arm(state)
        self._on_scene(state, {self._objects[topic]: pose for topic, pose in self._seen.items()})

    def _look_at_pictures(self) -> None:
        for camera, tap in self._images.items():
            for message in tap.take()[-1:]:
                try:
                    self._model.put_picture(camera, image_from(message))
                except CameraError as error:
                    self._complain(camera, error)
        for message in self._probability.take()[-1:]:
            try:
                stages = probability_from(message)
            except CodecError as error:
                self._complain(SUCCESS_PROBABILITY_TOPIC, error)
                continue
            stamp = nanoseconds_of(message.header.stamp)
            self._model.put("probability", {"stamp": stamp, "stages": [round(p, 4) for p in stages]})

    def _look_at_metrics(self) -> None:
        for message in self._metrics.take()[-1:]:
            try:
                figures = {str(k): float(v) for k, v in json.loads(message.data).items()}
            except (ValueError, TypeError, AttributeError) as error:
                self._complain("learner/metrics", error)
                continue
            self._on_metrics(figures)

    def _look_at_beats_now(self) -> None:
        now = time.monotonic()
        if now < self._look_at_beats:
            return
        self._look_at_beats = now + BEATS_PERIOD
        for beat in self._decoded(Heartbeat, self._beats):
            self._heard[beat.node] = now
        ages = {
            node: round(now - heard, 1) for node, heard in sorted(self._heard.items()) if now - heard < FORGET
        }
        self._model.put("processes", ages)

    def _show_newest(self, section: str, kind: type, tap: Tap) -> None:
        for message in self._decoded(kind, tap)[-1:]:
            self._model.put(section, message)

    def _decoded(self, kind: type, tap: Tap) -> list[Any]:
        messages = []
        for message in tap.take():
            try:
                messages.append(json_from(kind, message))
            except CodecError as error:
                self._complain(tap.topic, error)
        return messages

    def _complain(self, source: str, error: Exception) -> None:
        """Say once that a source sends what cannot be read."""
        if source not in self._complaints:
            self._complaints.add(source)
            self._node.get_logger().error(f"{source} is not shown: {error}")
