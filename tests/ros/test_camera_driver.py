"""The node of a real camera, on OpenCV's own reading of a video file."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rclpy
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from robot_rl.nodes.exit_status import USER_ERROR
from robot_rl.nodes.qos import STREAM

cv2 = pytest.importorskip("cv2")

PATIENCE = 60.0
"""Longest time that a test waits for something [s]."""


def driver(log: Path, *words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "robot_rl.nodes.camera_driver", *words]
    with log.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)


def test_a_camera_goes_black_and_comes_back(tmp_path: Path) -> None:
    """The film shows noise, black, and noise again; it is 160 x 120, and its middle is used."""
    rng = np.random.default_rng(0)
    film = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter_fourcc(*"MJPG"), 30, (160, 120))
    for i in range(60):
        dark = 20 <= i < 40
        writer.write(np.zeros((120, 160, 3), np.uint8) if dark else _noise(rng))
    writer.release()
    settings = {"driver": "uvc", "device": f"'{film}'", "width": 160, "height": 120}
    words = [w for name, value in settings.items() for w in ("-p", f"device.{name}:={value}")]
    log = tmp_path / "log"
    rclpy.init()
    node, executor = Node("probe"), EventsExecutor()
    executor.add_node(node)
    images: list[Image] = []
    infos: list[CameraInfo] = []
    node.create_subscription(Image, "side/image_raw", images.append, STREAM)
    node.create_subscription(CameraInfo, "side/camera_info", infos.append, STREAM)
    process = driver(log, "side", "--ros-args", *words)

    def wait(ready: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not ready():
            assert time.monotonic() < deadline, log.read_text()
            assert process.poll() is None, log.read_text()
            executor.spin_once(timeout_sec=0.05)

    try:
        wait(lambda: "is black" in log.read_text())
        wait(lambda: "camera 'side' is back" in log.read_text())
        since = len(images)
        wait(lambda: len(images) > since + 3 and len(infos) > since + 3)
        names = node.get_node_names()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()
    assert "side_camera_driver" in names
    stamps = [image.header.stamp.sec * 10**9 + image.header.stamp.nanosec for image in images]
    assert all(b > a for a, b in itertools.pairwise(stamps))
    for image in images:
        assert (image.width, image.height, image.encoding) == (128, 128, "rgb8")
        assert image.header.frame_id == "side_optical_frame"
        assert np.frombuffer(image.data, np.uint8).mean() > 50
    assert (infos[0].width, infos[0].height) == (128, 128)
    assert infos[0].k[0] == pytest.approx(infos[0].k[4])


def _noise(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "expected the name of one camera"),
        (("wrist", "--ros-args", "-p", "device.drivr:=uvc"), "did you mean 'device.driver'"),
        (("wrist", "--ros-args", "-p", "device.driver:=uvc", "-p", "device.device:=/nowhere.avi"), "nowhere"),
    ],
)
def test_what_cannot_be_opened_is_told(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    log = tmp_path / "log"
    assert driver(log, *words).wait(PATIENCE) == USER_ERROR
    assert said in log.read_text()
    assert "Traceback" not in log.read_text()
