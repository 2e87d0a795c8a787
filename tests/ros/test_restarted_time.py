"""Cameras, encoder and classifier live on when simulated time starts again; which episode a frame shows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String, UInt8MultiArray

from drivers.cameras.guard import FrameGuard
from robot_rl.core.clock import nanoseconds
from robot_rl.core.types import CameraFeatures, Intrinsics, StampedImage
from robot_rl.data.codec import decode_features
from robot_rl.data.recorder import SUCCESS_PROBABILITY_TOPIC
from robot_rl.nodes.camera_driver import Reader
from robot_rl.nodes.camera_node import CameraNode
from robot_rl.nodes.camera_topics import features_topic, image_topic
from robot_rl.nodes.convert import image_message, json_message, nanoseconds_of
from robot_rl.nodes.messages import Tick
from robot_rl.nodes.perception_process import Frames, Judge, PerceptionSettings
from robot_rl.nodes.qos import STREAM
from tests.ros.benches import Bench
from tests.unit.label_samples import CAMERAS, ToyEncoder

SECOND = nanoseconds(1.0)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def tick(stamp: int, request: str = "a", mode: str = "train") -> String:
    return json_message(Tick(stamp, -1, request, 0, 0, mode, {}))


def picture(stamp: int) -> StampedImage:
    return StampedImage(stamp, np.full((128, 128, 3), stamp % 251, np.uint8))


def test_the_encoder_goes_on(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    frames = Frames(bench.add(Node("encoder")), ToyEncoder(digest="00" * 8), PerceptionSettings())
    seen: list[int] = []
    bench.node.create_subscription(
        UInt8MultiArray,
        features_topic("side"),
        lambda m: seen.append(decode_features(m.data)[1].stamp),
        STREAM,
    )
    send = bench.publisher(image_topic("side"), Image)
    time_is = bench.publisher("sync/tick", String)

    def show(stamp: int) -> None:
        """Send a frame until it is encoded."""
        count = len(seen)
        send(image_message("side", picture(stamp)))
        bench.wait(lambda: frames.work() or len(seen) > count)
        bench.wait(lambda: len(seen) > count)

    time_is(tick(5 * SECOND))
    show(5 * SECOND)
    for stamp in (2 * SECOND, 3 * SECOND):
        send(image_message("side", picture(stamp)))
        bench.wait(frames.work)
    assert seen == [5 * SECOND]
    time_is(tick(1 * SECOND))
    bench.wait(lambda: not frames.features)
    show(1 * SECOND)
    assert seen == [5 * SECOND, 1 * SECOND]
    said = capfd.readouterr().err
    assert said.count("camera 'side' delivers frames that are not newer") == 1
    assert said.count("camera 'side' is back") == 1


class Listener:
    """A classifier that remembers what it is told."""

    encoder, cameras, stages, threshold = "toy", CAMERAS, 1, 0.5

    def __init__(self) -> None:
        self.heard: list[str] = []

    def __call__(self, features: Mapping[str, CameraFeatures]) -> tuple[float, ...]:
        self.heard.append(f"{min(f.stamp for f in features.values()) / SECOND:g}")
        return (0.25,)

    def end_episode(self, learn: bool) -> None:
        self.heard.append("practised" if learn else "over")


def test_a_frame_counts_for_the_episode_that_it_shows(bench: Bench) -> None:
    """On the real clock: frames of before a reset are judged after it; and time starts again."""
    model = Listener()
    judge = Judge(bench.add(Node("reward_classifier")), model, CAMERAS, lockstep=False)
    judged: list[int] = []
    bench.node.create_subscription(
        JointState, SUCCESS_PROBABILITY_TOPIC, lambda m: judged.append(nanoseconds_of(m.header.stamp)), STREAM
    )
    bench.wait(lambda: bench.node.count_publishers(SUCCESS_PROBABILITY_TOPIC))
    time_is = bench.publisher("sync/tick", String)

    def look(wrist: float, side: float) -> None:
        none = np.zeros(0, np.float16)
        stamps = dict(zip(CAMERAS, (nanoseconds(wrist), nanoseconds(side)), strict=True))
        count = len(judged)

        def done() -> bool:
            judge.judge({c: CameraFeatures(stamp, none, none, "toy") for c, stamp in stamps.items()})
            return len(judged) > count

        bench.wait(done)

    for message in (tick(SECOND, "a"), tick(2 * SECOND, "b")):
        time_is(message)
    look(1.9, 2.1)
    look(2.2, 2.3)
    assert model.heard == ["over", "1.9", "practised", "2.2"]
    time_is(tick(0, "c"))
    look(0.1, 0.2)
    assert model.heard[4:] == ["practised", "0.1"]


class SimulatedTime:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.time = 5 * SECOND

    def now(self) -> int:
        return self.time

    def sleep_until(self, stamp: int) -> None:
        self.time = max(self.time, stamp)


class Film:
    """A camera with a picture every 10 ms of simulated time, late by one."""

    intrinsics = Intrinsics(128, 128, 1.0, 1.0, 63.5, 63.5)

    def __init__(self, clock: SimulatedTime) -> None:
        self._clock = clock
        self._next = picture(clock.now())

    def read(self) -> StampedImage:
        frame = self._next
        time.sleep(0.005)
        self._clock.time += SECOND // 100
        self._next = picture(self._clock.now())
        return frame

    def close(self) -> None:
        """Nothing to let go of."""


def test_a_real_camera_goes_on(bench: Bench) -> None:
    """With simulated time, also where a picture of the old time is still under way."""
    seen: list[int] = []
    bench.node.create_subscription(
        Image, image_topic("side"), lambda m: seen.append(nanoseconds_of(m.header.stamp)), STREAM
    )
    node, clock = CameraNode("side"), SimulatedTime()
    bench.add(node)
    bench.wait(lambda: bench.node.count_publishers(image_topic("side")))
    reader = Reader(node, Film(clock), FrameGuard("side", (128, 128)), clock)
    try:
        bench.wait(lambda: len(seen) > 3)
        assert min(seen) >= 5 * SECOND
        clock.time = SECOND
        bench.wait(lambda: seen[-1] < 2 * SECOND)
        count = len(seen)
        bench.wait(lambda: len(seen) > count + 3)
        assert all(SECOND <= stamp < 5 * SECOND for stamp in seen[count:])
        assert reader.is_alive
    finally:
        reader.close()
