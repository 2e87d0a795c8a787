"""Cameras, encoder and reward classifier, as they look from the other side of the topics.

In lockstep the features of a tick are inputs of it like the arm's state: its manifest names them, and the
robot behind the topics waits for them. On the real clock the newest of each camera count; how old they may be
is for the environment to judge, but an episode begins only when every camera has shown the scene after the
reset.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import UInt8MultiArray

from robot_rl.core.clock import nanoseconds, seconds
from robot_rl.core.errors import EncoderError, LockstepStalledError, RobotRlError, StaleStateError
from robot_rl.core.types import ArmState, CameraFeatures, Episode, Sight, StampedImage
from robot_rl.data.codec import decode_features
from robot_rl.data.recorder import SUCCESS_PROBABILITY_TOPIC
from robot_rl.nodes.camera_topics import (
    CAMERAS,
    PERCEPTION,
    awaited,
    features_topic,
    image_topic,
    info_topic,
)
from robot_rl.nodes.convert import cdr_stamp, image_from, nanoseconds_of, probability_from
from robot_rl.nodes.qos import STREAM
from robot_rl.nodes.topic_robot import TopicRobot
from robot_rl.tasks.arm import ArmTaskConfig

RESET_TIMEOUT = 2.0
"""On the real clock, longest time from a reset to pictures of the scene after it [s]."""


class TopicVision:
    """The `Vision` behind the topics.

    Args:
        robot: The robot behind the topics, whose ticks this one shares.
        config: The task: which cameras and which encoder.
    """

    def __init__(self, robot: TopicRobot, config: ArmTaskConfig) -> None:
        self.robot = robot
        self.cameras = config.cameras
        self.encoder = config.encoder.digest
        self.crops = config.encoder.crops
        self.max_age = nanoseconds(config.max_object_age)
        self._awaited = awaited(config)
        self._newest: dict[str, tuple[int, Any]] = {}
        """Topic to the stamp and the value of its newest message."""
        self._pictured: dict[str, int] = {}
        """Camera to the stamp of its newest frame."""
        for camera in self.cameras:
            # Only the stamp of it counts: it says whether the camera or the encoder is late.
            on_info: Any = partial(self._on_info, camera)
            robot.node.create_subscription(CameraInfo, info_topic(camera), on_info, STREAM, raw=True)
            self._subscribe(Image, image_topic(camera), _image)
            self._subscribe(UInt8MultiArray, features_topic(camera), partial(self._features, camera))
        self._subscribe(JointState, SUCCESS_PROBABILITY_TOPIC, _probability)
        if robot.rate is None:
            robot.sensors.expect(self._awaited, self._who)

    def wait_for_peers(self, timeout: float) -> None:
        """Wait until somebody publishes all that is needed: PyTorch takes seconds to load.

        Raises:
            LockstepStalledError: After `timeout` [s]; names who is missing.
        """
        count = self.robot.node.count_publishers

        def missing() -> str:
            topic = next(topic for topic in self._awaited if not count(topic))
            return f"{topic} from {self._awaited[topic]}"

        self.robot.spinner.wait(lambda: all(count(topic) for topic in self._awaited), missing, timeout)

    def reset(self, episode: Episode) -> None:
        """On the real clock, wait until every camera has shown the scene as it is after the reset."""
        robot = self.robot
        if robot.rate is None:
            return
        try:
            robot.spinner.wait(
                lambda: self._all_since(robot.stamp), partial(self._missing, robot.stamp), RESET_TIMEOUT
            )
        except LockstepStalledError as error:
            raise StaleStateError(f"{error}: no command is sent, and the arm holds") from None
        robot.rate.next_tick = robot.rate.clock.now() + robot.rate.period

    def look(self, state: ArmState) -> Sight:
        if self.robot.rate is None:
            seen = {topic: self.robot.messages[topic] for topic in self._awaited}
        else:
            self._check_judged(state)
            seen = {topic: value for topic, (_, value) in self._newest.items()}
        images = {c: seen[image_topic(c)] for c in self.cameras if image_topic(c) in seen}
        features = {c: seen[features_topic(c)] for c in self.cameras if features_topic(c) in seen}
        return Sight(features, seen.get(SUCCESS_PROBABILITY_TOPIC, ()), images)

    def _check_judged(self, state: ArmState) -> None:
        """Refuse a success probability of the past, which a `Sight` carries without its stamp."""
        limit = state.stamp - self.max_age
        if SUCCESS_PROBABILITY_TOPIC in self._awaited and self._newest[SUCCESS_PROBABILITY_TOPIC][0] < limit:
            raise StaleStateError(
                f"nothing for {seconds(self.max_age):.2f} s on {self._missing(limit)}: "
                "no command is sent, and the arm holds"
            )

    def is_fresh(self) -> bool:
        """Whether the newest of everything is young enough to act on, after an episode was given up."""
        tick = self.robot.sensors.inputs.newest()
        return tick is not None and self._all_since(tick.stamp - self.max_age)

    def close(self) -> None:
        """Nothing to release: the node belongs to the process."""

    def _all_since(self, stamp: int) -> bool:
        if self.robot.sensors.problem is not None:
            self.robot.sensors.newest()  # raises it
        return all(topic in self._newest and self._newest[topic][0] >= stamp for topic in self._awaited)

    def _missing(self, stamp: int) -> str:
        """Names what has not come since `stamp` [ns], and whose it is."""
        late = [t for t in self._awaited if t not in self._newest or self._newest[t][0] < stamp]
        who = self._who(late[0], stamp)
        return f"{', '.join(t for t in late if self._who(t, stamp) == who)} from {who}"

    def _who(self, topic: str, stamp: int) -> str:
        """The peer that keeps us waiting for a topic: without a frame there are no features of it."""
        blind = [c for c in self.cameras if self._pictured.get(c, -1) < stamp]
        if topic == SUCCESS_PROBABILITY_TOPIC:
            return CAMERAS if blind else PERCEPTION
        camera = topic.partition("/")[0]
        return CAMERAS if camera in blind or topic == image_topic(camera) else PERCEPTION

    def _on_info(self, camera: str, data: bytes) -> None:
        self._pictured[camera] = cdr_stamp(data)

    def _subscribe(self, kind: type, topic: str, read: Callable[[Any], tuple[int, Any]]) -> None:
        """Keep what `read` makes of a topic's messages, their stamp and value, if the topic is needed."""
        if topic not in self._awaited:
            return

        def on_message(message: Any) -> None:
            try:
                stamp, value = read(message)
            except RobotRlError as error:
                self.robot.sensors.problem = error  # raised where the inputs are next asked for
                return
            self._newest[topic] = stamp, value
            if self.robot.rate is None:
                self.robot.sensors.inputs.add(topic, stamp, value)

        self.robot.node.create_subscription(kind, topic, on_message, STREAM)

    def _features(self, camera: str, message: UInt8MultiArray) -> tuple[int, CameraFeatures]:
        source, features = decode_features(message.data)
        if source != camera:
            raise EncoderError(f"{features_topic(camera)} carries features of camera {source!r}")
        if features.encoder != self.encoder:
            raise EncoderError(
                f"the features of {camera!r} come from encoder {features.encoder}, but the task is set up "
                f"for {self.encoder}: start all processes with the same encoder settings and weights"
            )
        if len(features.crops) != self.crops:
            raise EncoderError(
                f"the features of {camera!r} have {len(features.crops)} crops, but encoder.crops is "
                f"{self.crops}: start all processes with the same encoder settings"
            )
        return features.stamp, features


def _image(message: Image) -> tuple[int, StampedImage]:
    frame = image_from(message)
    return frame.stamp, frame


def _probability(message: JointState) -> tuple[int, tuple[float, ...]]:
    return nanoseconds_of(message.header.stamp), probability_from(message)
