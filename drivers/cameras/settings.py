"""Settings of a camera. Neither OpenCV nor the RealSense SDK here: every host reads them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from robot_rl.core.errors import ConfigError


@dataclass(frozen=True)
class CameraConfig:
    """Which camera, what it is asked for, and what is made of its pictures."""

    driver: Literal["realsense", "uvc"] = "realsense"
    """"realsense": Intel RealSense, by its SDK. "uvc": anything OpenCV opens: a USB camera, a video file, a
    network stream."""
    device: str = ""
    """realsense: the serial number; "" for the only one that is connected. uvc: an index ("0"), a path
    (/dev/v4l/by-id/..., which stays the same when cameras are plugged in another order), a video file, which
    plays at its own rate and starts again at its end, or a URL."""
    width: int = 640
    """Of the pictures that the device delivers [pixels]."""
    height: int = 480
    """Of the pictures that the device delivers [pixels]."""
    rate: int = 30
    """Pictures a second that the device is asked for [Hz]."""
    exposure: float = 0.0
    """Fixed exposure [s]; 0 leaves it to the camera. Fix it for learning: automatic exposure changes the look
    of the scene whenever the hand covers the light, and blurs motion in the dark."""
    depth: bool = False
    """Depth beside colour, aligned to it; realsense only."""
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Column and row of the upper left corner, width and height of the part that is used [pixels]; all 0 for
    the largest centred part that has the proportions of `size`."""
    size: tuple[int, int] = (128, 128)
    """Width and height to which that part is resized [pixels]; both 0 leave it as it is."""
    timeout: float = 1.0
    """A read without a new picture for this long is an error [s]."""
    latency: float = 0.0
    """From exposure to arrival here, subtracted from every stamp [s]."""
    calibration: str = ""
    """Intrinsics of the device's whole picture, a YAML file as ROS camera calibration writes it; "" for those
    that a RealSense reports, or those of `field_of_view`."""
    field_of_view: float = 1.2
    """Horizontal, of the device's whole picture, for a uvc camera without calibration [rad]."""
    black_level: float = 5.0
    """Pictures whose mean is below this are refused as black [0..255]; 0 for never."""
    frozen_after: float = 1.0
    """Pictures that stay the same bit by bit for longer than this are refused as frozen [s]; 0 for never."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or self.rate < 1:
            raise ConfigError(
                "camera: width, height and rate must be 1 or more, "
                f"not {self.width}, {self.height} and {self.rate}"
            )
        if self.timeout <= 0.0 or min(self.exposure, self.latency, self.black_level, self.frozen_after) < 0.0:
            raise ConfigError(
                "camera: timeout must be above 0; exposure, latency, black_level and frozen_after 0 or more"
            )
        if not 0.0 < self.field_of_view < math.pi:
            raise ConfigError(f"camera: field_of_view must be in (0, pi) rad, not {self.field_of_view}")
        if self.depth and self.driver != "realsense":
            raise ConfigError(f"camera: driver {self.driver!r} has no depth; set depth to false")
        if self.size != (0, 0) and min(self.size) < 1:
            raise ConfigError(f"camera: size must be two positive numbers, or (0, 0), not {self.size}")
        x, y, width, height = self.crop
        inside = min(x, y) >= 0 and x + width <= self.width and y + height <= self.height
        if self.crop != (0, 0, 0, 0) and not (inside and min(width, height) >= 1):
            raise ConfigError(
                f"camera: crop {self.crop} is not inside the picture of {self.width}x{self.height} pixels; "
                "it is (column, row, width, height)"
            )

    @property
    def window(self) -> tuple[int, int, int, int]:
        """The part of the device's picture that is used: column, row, width, height [pixels]."""
        if self.crop != (0, 0, 0, 0):
            return self.crop
        if self.size == (0, 0):
            return (0, 0, self.width, self.height)
        scale = min(self.width / self.size[0], self.height / self.size[1])
        width, height = (max(1, round(scale * side)) for side in self.size)
        return ((self.width - width) // 2, (self.height - height) // 2, width, height)

    @property
    def output_size(self) -> tuple[int, int]:
        """Width and height of the pictures that the camera delivers [pixels]."""
        return self.window[2:] if self.size == (0, 0) else self.size
