"""The nodes that see: `encoder` makes features of each frame, once, and `reward_classifier` judges them.

They share one process, because they share PyTorch and the features. Frames are looked at first: one that is
no good is not encoded, which is said once. The features of its camera then grow old, and the actor does not
act until a good one comes. Encoding is off the control path: the robot's process waits for nobody, and in
lockstep the actor waits for the features that the tick's manifest names.

Run as `python -m robot_rl.nodes.perception_process --ros-args -p task:=franka_pick_cube:pixels`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String, UInt8MultiArray

from drivers.cameras.guard import FrameGuard
from robot_rl import tasks
from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import CameraError, CodecError, ConfigError
from robot_rl.core.protocols import Encoder, RewardModel
from robot_rl.core.types import CameraFeatures, Mode, StampedImage
from robot_rl.data.codec import encode_features
from robot_rl.data.recorder import SUCCESS_PROBABILITY_TOPIC
from robot_rl.nodes.camera_topics import features_topic, image_topic, is_encoded, is_judged
from robot_rl.nodes.convert import (
    bytes_message,
    image_from,
    json_from,
    nanoseconds_of,
    probability_message,
)
from robot_rl.nodes.executor import Spinner, StopFlag, collect_garbage_only_when_told, run
from robot_rl.nodes.fault_log import FaultLog
from robot_rl.nodes.messages import Tick
from robot_rl.nodes.params import Parameters
from robot_rl.nodes.qos import NEWEST, STREAM
from robot_rl.nodes.restarts import RestartWatch
from robot_rl.perception.settings import IMAGE

TICKS_KEPT = nanoseconds(2.0)
"""Ticks older than the newest one by this are forgotten [ns]."""


@dataclass(frozen=True)
class PerceptionSettings:
    """Settings of the perception process beside the task's own."""

    task: str = "franka_pick_cube:pixels"
    """Name of the task."""
    clock: Literal["lockstep", "realtime"] = "lockstep"
    """Whether frames of one stamp belong together, or the newest of each camera do."""
    threads: int = 1
    """PyTorch's threads; for single frames more of them are slower."""
    black_level: float = 0.0
    """A frame whose mean is below this is refused as black [0..255]; 0: none is."""
    frozen_after: float = 0.0
    """A camera whose picture stays the same for longer is refused as frozen [s]; 0: none is. Not for a
    simulator, whose pictures are the same while nothing moves."""


class Frames:
    """The encoder's work: each good frame once; of those that came while it was busy, the newest."""

    def __init__(self, node: Node, encoder: Encoder, settings: PerceptionSettings) -> None:
        self.features: dict[str, CameraFeatures] = {}
        """The newest of each camera."""
        self._encoder = encoder
        self._frames: dict[str, Image] = {}
        self._messages: dict[str, UInt8MultiArray] = {}
        self._guards: dict[str, FrameGuard] = {}
        self._logs: dict[str, FaultLog] = {}
        self._drops: dict[str, FaultLog] = {}
        self._publishers: dict[str, Publisher] = {}
        for camera in encoder.cameras:
            size = (IMAGE, IMAGE)
            self._guards[camera] = FrameGuard(camera, size, settings.black_level, settings.frozen_after)
            self._logs[camera] = FaultLog(node, f"camera {camera!r}")
            self._drops[camera] = FaultLog(node, f"camera {camera!r}")
            self._publishers[camera] = node.create_publisher(UInt8MultiArray, features_topic(camera), STREAM)
            node.create_subscription(Image, image_topic(camera), partial(self._on_image, camera), NEWEST)
        self._restarts = RestartWatch(node, self.restart)

    def restart(self) -> None:
        """Forget all frames: time starts again, and what comes next has smaller stamps."""
        self.features, self._frames, self._messages = {}, {}, {}
        for camera, guard in self._guards.items():
            guard.reset()
            self._drops[camera].good()

    def _on_image(self, camera: str, message: Image) -> None:
        self._frames[camera] = message

    def work(self) -> bool:
        """Encode and publish what has come; True when there was something, were it an old frame again."""
        frames, self._frames = self._frames, {}
        for camera, message in frames.items():
            self._work_on(camera, message)
        return bool(frames)

    def _work_on(self, camera: str, message: Image) -> None:
        known = self.features.get(camera)
        if known is None or known.stamp != nanoseconds_of(message.header.stamp):
            frame = self._checked(camera, message)
            if frame is None:
                return
            known = self.features[camera] = self._encoder.encode({camera: frame})[camera]
            self._messages[camera] = bytes_message(encode_features(camera, known))
        self._publishers[camera].publish(self._messages[camera])

    def _checked(self, camera: str, message: Image) -> StampedImage | None:
        """The frame; None for one that is no good, or older than another."""
        try:
            frame = self._guards[camera].check(image_from(message))
        except CameraError as error:
            self._logs[camera].bad(error)
            return None
        if frame is None:
            self._drops[camera].bad(self._guards[camera].why_dropped)  # said once, were it every other one
        else:
            self._logs[camera].good()
        return frame


class Judge:
    """The reward classifier's work: it judges the features of all cameras, and may learn after an episode."""

    def __init__(self, node: Node, classifier: RewardModel, cameras: tuple[str, ...], lockstep: bool) -> None:
        """Serve a classifier.

        Args:
            node: Publishes, and listens to the ticks, which say when an episode is over.
            classifier: Judges.
            cameras: Whose features it takes.
            lockstep: Wait until the features of one stamp are there, instead of new ones of each camera.
        """
        self._classifier = classifier
        self._cameras = cameras
        self._lockstep = lockstep
        self._publisher = node.create_publisher(JointState, SUCCESS_PROBABILITY_TOPIC, STREAM)
        self._message: JointState | None = None
        self._judged = (-1,) * len(cameras)
        self._ticks: dict[int, Tick] = {}
        self._problem: CodecError | None = None
        self._request = ""
        self._practised = False
        self.waits = False
        """All pictures are there, but not the tick that they belong to."""
        node.create_subscription(String, "sync/tick", self._on_tick, STREAM)

    def _on_tick(self, message: String) -> None:
        try:
            tick = json_from(Tick, message)
        except CodecError as error:
            self._problem = error
            return
        if tick.stamp < max(self._ticks, default=-1):  # time starts again
            self._ticks, self._message, self._judged = {}, None, (-1,) * len(self._cameras)
        self._ticks = {k: t for k, t in self._ticks.items() if k > tick.stamp - TICKS_KEPT} | {
            tick.stamp: tick
        }

    def judge(self, features: Mapping[str, CameraFeatures]) -> None:
        """Publish how likely success is. The stamp is that of the oldest picture it is judged from.

        Nothing happens while a picture is still missing, or the tick that says whose episode it shows.
        """
        self.waits = False
        if self._problem is not None:
            raise self._problem
        if any(camera not in features for camera in self._cameras):
            return
        stamps = tuple(features[camera].stamp for camera in self._cameras)
        if stamps != self._judged or self._message is None:
            renewed = all(new != old for new, old in zip(stamps, self._judged, strict=True))
            complete = len(set(stamps)) == 1 if self._lockstep else renewed
            tick = self._tick_of(min(stamps))
            self.waits = complete and tick is None
            if tick is None or not complete:
                return
            self._follow(tick)
            self._judged = stamps
            self._message = probability_message(min(stamps), self._classifier(features))
            self._publisher.publish(self._message)
        elif self._lockstep:
            self._publisher.publish(self._message)

    def _tick_of(self, stamp: int) -> Tick | None:
        """The tick whose episode a picture of `stamp` [ns] shows; None while it has not come.

        On the real clock that is the last one before it: a reset may have come since.
        """
        if self._lockstep:
            return self._ticks.get(stamp)
        return self._ticks.get(max((known for known in self._ticks if known <= stamp), default=-1))

    def _follow(self, tick: Tick) -> None:
        """Tell the classifier when an episode is over, and whether it was the policy's practice."""
        if tick.request != self._request:
            self._classifier.end_episode(self._practised)
            self._request, self._practised = tick.request, tick.episode.mode is Mode.TRAIN


def body(stop: StopFlag) -> None:
    """Make the nodes and run them until the process is asked to end."""
    nodes = [Node("encoder")]
    parameters = Parameters(nodes[0])
    settings = parameters.read(PerceptionSettings())
    config = parameters.read(tasks.load(settings.task))
    parameters.check_all_known()
    if not is_encoded(config):
        raise ConfigError(
            f"nothing is encoded in the task {settings.task!r}: no cameras, or raw pictures and no classifier"
        )
    from robot_rl.perception.encoder import load_encoder

    encoder = load_encoder(config.frozen_encoder, config.cameras, settings.threads)
    frames = Frames(nodes[0], encoder, settings)
    judge: Judge | None = None
    if is_judged(config) and (classifier := config.make_classifier(encoder.digest)) is not None:
        nodes.append(Node("reward_classifier"))
        judge = Judge(nodes[1], classifier, config.cameras, settings.clock == "lockstep")
    if settings.clock == "realtime":
        collect_garbage_only_when_told()
    spinner = Spinner(stop, *nodes)
    try:
        while True:
            spinner.spin_once()
            news = frames.work()
            if judge is not None and (news or judge.waits):
                judge.judge(frames.features)
    finally:
        spinner.close()


def main() -> int:
    """Entry point."""
    return run("perception", body)


if __name__ == "__main__":
    sys.exit(main())
