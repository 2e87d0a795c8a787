"""The camera drivers on the real libraries, each with a stand-in for its device, against the suite."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.cameras.realsense import RealSenseCamera
from drivers.cameras.settings import CameraConfig
from drivers.cameras.uvc import UvcCamera
from robot_rl.core.clock import SteadyClock
from robot_rl.core.protocols import Camera
from tests.conformance.camera import CameraBench, CameraSuite
from tests.conformance.camera_sources import (
    HEIGHT,
    RATE,
    SERIAL,
    WIDTH,
    MjpegServer,
    Port,
    record_realsense,
    write_video,
)


def bench_of(camera: Camera) -> CameraBench:
    # The machine that tests may be busy: a picture older than a second would be one that was queued.
    return CameraBench(camera, SteadyClock(), time.sleep, 1.0 / RATE, slowest=1.0)


def config(**settings: Any) -> CameraConfig:
    return CameraConfig(width=WIDTH, height=HEIGHT, rate=RATE, size=(64, 64), **settings)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("realsense") / "scene.db3"
    record_realsense(path)
    return path


class TestRealSenseRecording(CameraSuite):
    @pytest.fixture
    def bench(self, recording: Path) -> Iterator[CameraBench]:
        settings = config(driver="realsense", device=SERIAL, depth=True)
        camera = RealSenseCamera(settings, context_factory=Port(recording))
        yield bench_of(camera)
        camera.close()


class TestUvcVideoFile(CameraSuite):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[CameraBench]:
        path = tmp_path / "scene.mkv"
        write_video(path)
        camera = UvcCamera(config(driver="uvc", device=str(path)))
        yield bench_of(camera)
        camera.close()


class TestUvcNetworkStream(CameraSuite):
    @pytest.fixture
    def bench(self) -> Iterator[CameraBench]:
        server = MjpegServer()
        camera = UvcCamera(config(driver="uvc", device=server.url))
        yield bench_of(camera)
        camera.close()
        server.stop()
