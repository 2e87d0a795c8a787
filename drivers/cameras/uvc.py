"""Whatever OpenCV opens as a video: USB cameras, files and network streams.

OpenCV does not tell when a picture was exposed, so it is stamped at its arrival, less the `latency` of the
settings. Exposure and format are set on USB cameras only, and what the device did not accept is an error.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import cv2
import numpy as np

from drivers.cameras.geometry import crop_image, resize_image
from drivers.cameras.intrinsics import from_field_of_view, output_intrinsics
from drivers.cameras.newest import NewestPicture
from drivers.cameras.settings import CameraConfig
from robot_rl.core.clock import SteadyClock, nanoseconds
from robot_rl.core.errors import CameraError
from robot_rl.core.protocols import Clock
from robot_rl.core.types import Intrinsics, StampedImage

EXPOSURE_UNIT = 1e-4
"""Of V4L2's control exposure_time_absolute [s]."""
MANUAL_EXPOSURE = 1
"""Value of V4L2's control auto_exposure; so is the next one."""
AUTOMATIC_EXPOSURE = 3


class UvcCamera:
    """A `Camera` on `cv2.VideoCapture`.

    Args:
        config: Its settings, with `driver` "uvc".
        name: Name of the camera, for messages.
        clock: The graph's clock, for stamps.
    """

    def __init__(self, config: CameraConfig, name: str = "camera", clock: Clock | None = None) -> None:
        self.config = config
        self._clock = clock or SteadyClock()
        guess = from_field_of_view(config.width, config.height, config.field_of_view)
        self._intrinsics = output_intrinsics(config, guess)
        self._newest = NewestPicture(name, lambda: _Capture(config, self._clock), config.timeout)

    @property
    def intrinsics(self) -> Intrinsics:
        return self._intrinsics

    def read(self) -> StampedImage:
        stamp, picture = self._newest.take()
        part = resize_image(crop_image(picture, self.config.window), self.config.output_size)
        return StampedImage(stamp, cv2.cvtColor(part, cv2.COLOR_BGR2RGB))

    def close(self) -> None:
        self._newest.close()


class _Capture:
    """An open capture, read by one thread."""

    def __init__(self, config: CameraConfig, clock: Clock) -> None:
        self.device = config.device
        self._clock = clock
        self._latency = nanoseconds(config.latency)
        self._period = 0.0
        if not config.device:
            raise CameraError(
                "a uvc camera needs its device: an index, a path such as /dev/v4l/by-id/..., a video file or "
                "a URL"
            )
        if config.device.isdigit() or config.device.startswith("/dev/"):
            self._capture = _open_usb(config)
        else:
            self._capture = _open_stream(config)
            if "://" not in config.device:
                self._period = 1.0 / (self._capture.get(cv2.CAP_PROP_FPS) or config.rate)
        self._due = time.monotonic()
        width = round(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = round(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        # It stays so: of a stream that changes its size on its way, OpenCV scales the pictures to the first.
        if (width, height) != (config.width, config.height):
            self.close()
            raise CameraError(
                f"{config.device} delivers {width}x{height} pixels; set width and height to these, not to "
                f"{config.width} and {config.height}"
            )

    def grab(self) -> tuple[int, np.ndarray]:
        if self._period > 0.0:  # a file would be read as fast as the disk is
            time.sleep(max(0.0, self._due - time.monotonic()))
            self._due += self._period
        try:
            good, picture = self._capture.read()
        except cv2.error as error:
            raise CameraError(f"{self.device} cannot be read: {error}") from None
        if not good:
            raise CameraError(f"{self.device} ended, or was silent for too long")
        return self._clock.now() - self._latency, picture

    def close(self) -> None:
        self._capture.release()


def _open_usb(config: CameraConfig) -> cv2.VideoCapture:
    backend = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
    if config.device.isdigit():
        capture = cv2.VideoCapture(int(config.device), backend)
    else:
        capture = cv2.VideoCapture(str(Path(config.device).resolve()), backend)
    if not capture.isOpened():
        raise CameraError(
            f"{config.device} cannot be opened: it is not connected, in use by another program, or not "
            "yours to read (ls -l /dev/v4l/by-id, group video)"
        )
    # Compressed, so that several cameras fit on one USB bus. The format comes before the size it offers.
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, config.width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, config.height)
    capture.set(cv2.CAP_PROP_FPS, config.rate)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    if config.exposure == 0.0:
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, AUTOMATIC_EXPOSURE)
    elif not (
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL_EXPOSURE)
        and capture.set(cv2.CAP_PROP_EXPOSURE, config.exposure / EXPOSURE_UNIT)
    ):
        capture.release()
        raise CameraError(
            f"{config.device} does not accept an exposure of {config.exposure} s; 0 leaves it be"
        )
    return capture


def _open_stream(config: CameraConfig) -> cv2.VideoCapture:
    milliseconds = max(1, round(1000.0 * config.timeout))
    parameters = [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds),
        *(cv2.CAP_PROP_N_THREADS, 1),  # decoding frames in parallel delays each of them
    ]
    capture = cv2.VideoCapture(config.device, cv2.CAP_FFMPEG, parameters)
    if not capture.isOpened():
        raise CameraError(f"{config.device} cannot be opened: no such file or stream, or no video")
    if config.exposure > 0.0:
        capture.release()
        raise CameraError(f"{config.device} is a recording or a stream: set exposure to 0")
    return capture
