"""Intrinsics from where they come: a calibration file or a field of view.

The file is the YAML of ROS camera calibration (package camera_calibration_parsers), so that what
`camera_calibration` writes can be used as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from drivers.cameras.geometry import crop_intrinsics, resize_intrinsics
from drivers.cameras.settings import CameraConfig
from robot_rl.core.errors import CameraError
from robot_rl.core.types import Intrinsics

MODEL = "plumb_bob"
"""The distortion model of `Intrinsics` (Brown, "Close-range camera calibration", 1971), as ROS calls it."""


def from_field_of_view(width: int, height: int, angle: float) -> Intrinsics:
    """Square pixels, no distortion, the axis through the centre; `angle` is the horizontal one [rad]."""
    f = 0.5 * width / math.tan(0.5 * angle)
    return Intrinsics(width, height, f, f, 0.5 * (width - 1), 0.5 * (height - 1))


def read_intrinsics(path: Path) -> Intrinsics:
    """Read a calibration file.

    Raises:
        CameraError: The file cannot be read, lacks a key, or has another distortion model.
    """
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise CameraError(f"the camera's calibration {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CameraError(f"the camera's calibration {path} is not YAML: {error}") from None
    try:
        width, height = int(data["image_width"]), int(data["image_height"])
        fx, skew, cx, _, fy, cy, *_ = _numbers(data["camera_matrix"], 9)
        model = str(data["distortion_model"])
        distortion = _numbers(data["distortion_coefficients"], 5)
    except KeyError as error:
        raise CameraError(f"the camera's calibration {path} has no {error.args[0]!r}") from None
    except (TypeError, ValueError) as error:
        raise CameraError(
            f"{path} is no camera calibration: {error}. Expected is the YAML of ROS's camera_calibration"
        ) from None
    if model != MODEL:
        raise CameraError(f"{path}: distortion model {model!r} is not supported, valid: {MODEL!r}")
    if min(width, height) < 1 or min(fx, fy) <= 0.0 or skew != 0.0:
        raise CameraError(f"{path}: the size and the focal lengths must be positive, and the skew 0")
    return Intrinsics(width, height, fx, fy, cx, cy, distortion if any(distortion) else ())


def output_intrinsics(config: CameraConfig, reported: Intrinsics) -> Intrinsics:
    """Of the pictures that a camera delivers, after cropping and resizing.

    Args:
        config: The camera's settings, whose calibration file goes first.
        reported: Of the device's whole picture, where there is no such file.
    """
    whole = read_intrinsics(Path(config.calibration)) if config.calibration else reported
    if (whole.width, whole.height) != (config.width, config.height):
        raise CameraError(
            f"the calibration {config.calibration} is of pictures of {whole.width}x{whole.height} pixels, "
            f"but width and height are {config.width} and {config.height}"
        )
    return resize_intrinsics(crop_intrinsics(whole, config.window), config.output_size)


def _numbers(matrix: Mapping[str, Any], count: int) -> tuple[float, ...]:
    values = tuple(float(value) for value in matrix["data"])
    if len(values) != count or not all(map(math.isfinite, values)):
        raise ValueError(f"expected {count} finite numbers, got {list(values)}")
    return values


def write_intrinsics(path: Path, intrinsics: Intrinsics, camera: str) -> None:
    """Write a calibration file that `read_intrinsics` and ROS's image pipeline read."""
    i = intrinsics
    distortion = list(i.distortion) or [0.0] * 5
    data = {
        "image_width": i.width,
        "image_height": i.height,
        "camera_name": camera,
        "camera_matrix": _matrix(3, 3, [i.fx, 0.0, i.cx, 0.0, i.fy, i.cy, 0.0, 0.0, 1.0]),
        "distortion_model": MODEL,
        "distortion_coefficients": _matrix(1, 5, distortion),
        "rectification_matrix": _matrix(3, 3, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]),
        "projection_matrix": _matrix(3, 4, [i.fx, 0.0, i.cx, 0.0, 0.0, i.fy, i.cy, 0.0, 0.0, 0.0, 1.0, 0.0]),
    }
    path.write_text(yaml.safe_dump(data, sort_keys=False, default_flow_style=None))


def _matrix(rows: int, columns: int, data: list[float]) -> dict[str, Any]:
    return {"rows": rows, "cols": columns, "data": [float(value) for value in data]}
