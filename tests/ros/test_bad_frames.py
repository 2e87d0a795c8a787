"""Frames that are no good, on the real clock: the actor holds, says so, and goes on when good ones come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import Image

from robot_rl.core.types import StampedImage
from robot_rl.nodes import convert
from robot_rl.nodes.camera_topics import image_topic
from robot_rl.nodes.results_file import read_results
from tests.ros.graphs import PIXELS, Graph, pixels, running
from tests.ros.probe import Probe, probing

PERIOD = 0.05
"""Between two frames of the test's cameras [s]."""

SHAPE = (128, 128, 3)


class TestCameras:
    """Cameras of the test, whose pictures are noise until they are told otherwise."""

    __test__ = False

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.rng = np.random.default_rng(0)
        self.publishers = {c: probe.publisher(image_topic(c), Image) for c in ("wrist", "side")}
        probe.listen("arm/pose", convert.PoseStamped)
        probe.wait(lambda: "arm/pose" in probe.newest)

    def noise(self) -> np.ndarray:
        return self.rng.integers(0, 255, SHAPE, dtype=np.uint8)

    @property
    def now(self) -> int:
        """The robot's time [ns]."""
        return convert.pose_from(self.probe.newest["arm/pose"]).stamp

    def message(self, camera: str, image: np.ndarray, age: int = 0) -> Image:
        return convert.image_message(camera, StampedImage(self.now - age, image))

    def film(self, ready: Callable[[], object], wrist: Callable[[], Image | None]) -> None:
        """Publish frames of both cameras until `ready()`; `wrist` makes those of the wrist camera."""
        due = 0.0

        def step() -> bool:
            nonlocal due
            if ready():
                return True
            if time.monotonic() >= due:
                due = time.monotonic() + PERIOD
                self.publishers["side"].publish(self.message("side", self.noise()))
                message = wrist()
                if message is not None:
                    self.publishers["wrist"].publish(message)
            return False

        self.probe.wait(step)

    def good(self) -> Image:
        return self.message("wrist", self.noise())


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Graph, TestCameras]]:
    """A graph on the real clock whose cameras are the test's."""
    config = pixels(goal__time_limit=1.0, learner__demonstrations=0, session__max_steps=100_000)
    strict = {"perception": {"black_level": 5.0, "frozen_after": 0.3}}
    only = ("robot", "perception", "actor")
    with (
        running(
            tmp_path / "run",
            config,
            PIXELS,
            only=only,
            parameters=strict,
            policy="hold",
            person="none",
            clock="realtime",
            camera_host="test",
        ) as graph,
        probing(graph) as probe,
    ):
        yield graph, TestCameras(probe)


def test_the_actor_holds_while_frames_are_bad(watched: tuple[Graph, TestCameras]) -> None:
    graph, cameras = watched
    black, still = np.zeros(SHAPE, np.uint8), cameras.noise()

    def wrong_encoding() -> Image:
        message = cameras.good()
        message.encoding = "bgr8"
        return message

    bad: dict[str, tuple[Callable[[], Image | None], str]] = {
        "black": (lambda: cameras.message("wrist", black), "is black"),
        "frozen": (lambda: cameras.message("wrist", still), "is frozen"),
        "size": (lambda: cameras.message("wrist", np.ones((64, 64, 3), np.uint8)), r"shape (64, 64, 3)"),
        "encoding": (wrong_encoding, "encoding 'bgr8', expected 'rgb8'"),
        "late": (lambda: cameras.message("wrist", cameras.noise(), age=3_000_000_000), ""),
        "gone": (lambda: None, ""),
    }

    def finished() -> int:
        return len(list(read_results(graph.out / "results.jsonl")))

    def holds() -> int:
        return graph.log("actor").count("the picture of 'wrist' is") + graph.log("actor").count("waited 2 s")

    for kind, (frame, said) in bad.items():
        before = finished()
        cameras.film(lambda b=before: finished() > b, cameras.good)
        held = holds()
        cameras.film(lambda h=held: holds() > h, frame)
        assert not said or graph.log("perception").count(said) == 1, kind
        stopped = finished()
        for _ in range(10):
            cameras.probe.executor.spin_once(timeout_sec=0.05)
        assert finished() == stopped
    before = finished()
    cameras.film(lambda: finished() > before + 1, cameras.good)
    assert graph.log("perception").count("camera 'wrist' is back") == 4
    assert "Traceback" not in graph.all_logs()
