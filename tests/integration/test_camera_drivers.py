"""The camera drivers on the real libraries: what they deliver, and bad input."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from drivers.cameras.guard import FrameGuard
from drivers.cameras.opening import open_camera
from drivers.cameras.realsense import RealSenseCamera
from drivers.cameras.settings import CameraConfig
from drivers.cameras.uvc import UvcCamera
from robot_rl.core.errors import CameraError, MissingDependencyError
from robot_rl.core.protocols import Camera
from robot_rl.core.types import StampedImage
from tests.conformance.camera_sources import (
    CENTRE,
    DEPTH,
    FOCAL,
    HEIGHT,
    RATE,
    SERIAL,
    WIDTH,
    MjpegServer,
    Port,
    record_realsense,
    scene,
    write_video,
)

ROOT = Path(__file__).resolve().parents[2]
REALSENSE = CameraConfig(device=SERIAL, width=WIDTH, height=HEIGHT, rate=RATE, size=(0, 0), timeout=0.4)
UVC = replace(REALSENSE, driver="uvc", device="")
ATTEMPTS = 300
"""Reads until something must have happened."""


def read_until_good(camera: Camera, guard: FrameGuard | None = None) -> StampedImage:
    """The first picture that comes, and that the guard lets pass."""
    for _ in range(ATTEMPTS):
        try:
            frame = camera.read()
            if guard is None or guard.check(frame) is not None:
                return frame
        except CameraError:
            continue
    raise AssertionError("the camera does not recover")


def read_until_error(camera: Camera, message: str, guard: FrameGuard | None = None) -> None:
    """Read, whatever comes, until an error says `message`."""
    said = set()
    for _ in range(ATTEMPTS):
        try:
            frame = camera.read()
            if guard is not None:
                guard.check(frame)
        except CameraError as error:
            if message in str(error):
                return
            said.add(str(error))
    raise AssertionError(f"no error said {message!r}, but: {said}")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("realsense") / "scene.db3"
    record_realsense(path, pictures=20)
    return path


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    server = MjpegServer()
    yield server
    server.stop()


class TestRealSense:
    def test_pictures_are_bit_by_bit_those_of_the_device(self, recording: Path) -> None:
        camera = RealSenseCamera(REALSENSE, context_factory=Port(recording))
        for _ in range(5):
            image = camera.read().image
            np.testing.assert_array_equal(image, scene(int(image[0, 0, 0])))
        camera.close()

    def test_crop_resize_and_intrinsics(self, recording: Path) -> None:
        config = replace(REALSENSE, crop=(40, 20, 80, 80), size=(40, 40))
        camera = RealSenseCamera(config, context_factory=Port(recording))
        image, intrinsics = camera.read().image, camera.intrinsics
        camera.close()
        assert image.shape == (40, 40, 3)
        whole = scene(int(image[0, 0, 0]))
        mean = whole[20:100, 40:120].reshape(40, 2, 40, 2, 3).mean((1, 3))
        np.testing.assert_allclose(image, mean, atol=0.51)
        assert (intrinsics.fx, intrinsics.fy) == (FOCAL / 2, FOCAL / 2)
        assert intrinsics.cx == (CENTRE[0] - 40 + 0.5) / 2 - 0.5
        assert intrinsics.cy == (CENTRE[1] - 20 + 0.5) / 2 - 0.5
        assert intrinsics.distortion == ()

    def test_depth_of_the_picture(self, recording: Path) -> None:
        config = replace(REALSENSE, depth=True, size=(32, 24))
        camera = RealSenseCamera(config, context_factory=Port(recording))
        with pytest.raises(CameraError, match="before the first picture"):
            camera.depth()
        camera.read()
        depth = camera.depth()
        camera.close()
        assert depth.dtype == np.float32
        assert depth.shape == (24, 32)
        measured = depth > 0.0
        assert measured.mean() > 0.95  # the SDK's alignment rounds, and leaves a hole here and there
        np.testing.assert_allclose(depth[measured], DEPTH[2::5, 2::5][measured] / 1000, atol=1e-6)

    def test_depth_has_to_be_asked_for(self, recording: Path) -> None:
        camera = RealSenseCamera(REALSENSE, context_factory=Port(recording))
        camera.read()
        with pytest.raises(CameraError, match="set depth to true"):
            camera.depth()
        camera.close()

    def test_the_only_device_needs_no_serial_number(self, recording: Path) -> None:
        camera = RealSenseCamera(replace(REALSENSE, device=""), context_factory=Port(recording))
        camera.read()
        camera.close()

    def test_a_camera_that_disappears_and_comes_back(self, recording: Path) -> None:
        port = Port(recording)
        camera = RealSenseCamera(REALSENSE, "wrist", context_factory=port)
        last = camera.read().stamp
        port.plugged = False
        read_until_error(camera, "'wrist' gave no picture for 0.4 s")
        read_until_error(camera, f"RealSense {SERIAL} is not connected; connected: none")
        port.plugged = True
        frame = read_until_good(camera)
        camera.close()
        np.testing.assert_array_equal(frame.image, scene(int(frame.image[0, 0, 0])))
        assert frame.stamp > last

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"device": "999"}, rf"999 is not connected; connected: {SERIAL}"),
            ({"width": 320}, rf"does not start with 320x120 at 30 Hz.* has {WIDTH}x{HEIGHT} at {RATE} Hz"),
            ({"exposure": 0.01}, "set exposure to 0"),
        ],
    )
    def test_settings_that_the_device_cannot_do(self, recording: Path, settings: dict, message: str) -> None:
        with pytest.raises(CameraError, match=message):
            RealSenseCamera(replace(REALSENSE, **settings), context_factory=Port(recording))

    def test_no_device_at_all(self, recording: Path) -> None:
        with pytest.raises(CameraError, match="no RealSense is connected"):
            RealSenseCamera(replace(REALSENSE, device=""), context_factory=Port(recording, plugged=False))

    def test_a_program_that_ends_under_an_open_camera_ends_well(self, recording: Path) -> None:
        code = (
            "from pathlib import Path\n"
            "from tests.integration.test_camera_drivers import REALSENSE, Port, RealSenseCamera\n"
            f"camera = RealSenseCamera(REALSENSE, context_factory=Port(Path({str(recording)!r})))\n"
            "print(camera.read().image.shape)\n"
        )
        result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        assert result.stdout.strip() == str((HEIGHT, WIDTH, 3))


@pytest.mark.parametrize(("driver", "module"), [("realsense", "pyrealsense2"), ("uvc", "cv2")])
def test_a_library_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, driver: Literal["realsense", "uvc"], module: str
) -> None:
    monkeypatch.delitem(sys.modules, f"drivers.cameras.{driver}")
    monkeypatch.setitem(sys.modules, module, None)  # makes its import fail
    with pytest.raises(MissingDependencyError, match=r"camera 'wrist' needs it.*robot-rl\[devices\]"):
        open_camera(CameraConfig(driver=driver, device="0"), "wrist")


class TestUvc:
    def test_a_file_plays_in_order_again_and_again(self, tmp_path: Path) -> None:
        path = tmp_path / "scene.mkv"
        write_video(path, pictures=12)
        camera = open_camera(replace(UVC, device=str(path)), "side")
        assert isinstance(camera, UvcCamera)
        numbers = []
        for _ in range(18):
            image = camera.read().image
            numbers.append(int(image[0, 0, 0]))
            np.testing.assert_array_equal(image, scene(numbers[-1]))
        camera.close()
        assert max(numbers) < 12
        assert any(after > before for before, after in itertools.pairwise(numbers))
        assert any(after < before for before, after in itertools.pairwise(numbers))

    def test_a_stream_that_disappears_and_comes_back(self, server: MjpegServer) -> None:
        camera = UvcCamera(replace(UVC, device=server.url), "side")
        last = camera.read().stamp
        server.stop()
        read_until_error(camera, "'side' gave no picture for 0.4 s")
        read_until_error(camera, f"{server.url} cannot be opened")
        server.start()
        frame = read_until_good(camera)
        camera.close()
        assert frame.stamp > last
        assert frame.image.shape == (HEIGHT, WIDTH, 3)

    def test_a_stream_that_falls_silent(self, server: MjpegServer) -> None:
        camera = UvcCamera(replace(UVC, device=server.url), "side")
        camera.read()
        server.silent = True
        read_until_error(camera, "gave no picture")
        server.silent = False
        read_until_good(camera)
        camera.close()

    def test_a_stream_that_comes_back_with_another_size(self, server: MjpegServer) -> None:
        camera = UvcCamera(replace(UVC, device=server.url, size=(64, 64)), "side")
        camera.read()
        server.stop()
        server.picture = lambda number: scene(number, 2 * WIDTH, 2 * HEIGHT)
        server.start()
        read_until_error(camera, f"delivers {2 * WIDTH}x{2 * HEIGHT} pixels")
        server.picture = scene
        assert read_until_good(camera).image.shape == (64, 64, 3)
        camera.close()

    @pytest.mark.parametrize(("level", "reason"), [(0, "is black"), (120, "is frozen")])
    def test_a_stream_of_no_use_and_its_recovery(self, server: MjpegServer, level: int, reason: str) -> None:
        config = replace(UVC, device=server.url, frozen_after=0.2)
        camera = UvcCamera(config, "side")
        guard = FrameGuard("side", config.output_size, config.black_level, config.frozen_after)
        assert guard.check(camera.read()) is not None
        server.picture = lambda number: np.full((HEIGHT, WIDTH, 3), level, np.uint8)
        read_until_error(camera, f"'side' {reason}", guard)
        server.picture = scene
        assert np.ptp(read_until_good(camera, guard).image) > 50
        camera.close()

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"device": ""}, "needs its device"),
            ({"device": "none.mkv"}, "no such file or stream"),
            ({"device": "97"}, "97 cannot be opened: it is not connected"),
            ({"device": "/dev/v4l/by-id/none"}, "/dev/v4l/by-id/none cannot be opened"),
        ],
    )
    def test_devices_that_are_not_there(self, settings: dict, message: str) -> None:
        with pytest.raises(CameraError, match=message):
            UvcCamera(replace(UVC, **settings))

    def test_settings_that_the_file_cannot_do(self, tmp_path: Path) -> None:
        path = tmp_path / "scene.mkv"
        write_video(path, pictures=2)
        config = replace(UVC, device=str(path))
        with pytest.raises(CameraError, match=f"delivers {WIDTH}x{HEIGHT} pixels; set width and height"):
            UvcCamera(replace(config, width=2 * WIDTH))
        with pytest.raises(CameraError, match="set exposure to 0"):
            UvcCamera(replace(config, exposure=0.01))
