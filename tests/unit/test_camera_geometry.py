# pyright: reportAttributeAccessIssue=false
# The RealSense SDK is compiled and comes without types.
"""Cropping and resizing, of pictures and of intrinsics; calibration files; settings."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyrealsense2 as rs
import pytest

from drivers.cameras.geometry import (
    crop_image,
    crop_intrinsics,
    resize_depth,
    resize_image,
    resize_intrinsics,
)
from drivers.cameras.intrinsics import (
    from_field_of_view,
    output_intrinsics,
    read_intrinsics,
    write_intrinsics,
)
from drivers.cameras.realsense import plumb_bob
from drivers.cameras.settings import CameraConfig
from robot_rl.core.errors import CameraError, ConfigError
from robot_rl.core.types import Intrinsics

CAMERA = Intrinsics(640, 480, 600.0, 610.0, 322.0, 236.0, (-0.05, 0.06, 0.001, -0.0005, -0.02))
POINTS = np.array([[0.02, 0.03, 0.9], [-0.1, 0.05, 0.7], [0.12, -0.08, 0.8]])


def project(intrinsics: Intrinsics, points: np.ndarray) -> np.ndarray:
    """(n, 2) pixels of (n, 3) points in the camera's frame, by OpenCV."""
    i = intrinsics
    matrix = np.array([[i.fx, 0.0, i.cx], [0.0, i.fy, i.cy], [0.0, 0.0, 1.0]])
    distortion = np.array(i.distortion) if i.distortion else np.zeros(5)
    return cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, distortion)[0].reshape(-1, 2)


def blob(intrinsics: Intrinsics, point: np.ndarray) -> np.ndarray:
    """A picture of a bright, smooth spot where the camera sees the point."""
    u, v = project(intrinsics, point[None])[0]
    columns, rows = np.arange(intrinsics.width), np.arange(intrinsics.height)
    spot = np.exp(-((columns - u) ** 2 + ((rows - v) ** 2)[:, None]) / (2 * 8.0**2))
    return np.repeat((255 * spot).astype(np.uint8)[:, :, None], 3, axis=2)


def centroid(image: np.ndarray) -> tuple[float, float]:
    weight = image[:, :, 0].astype(float)
    rows, columns = np.indices(weight.shape)
    return float((columns * weight).sum() / weight.sum()), float((rows * weight).sum() / weight.sum())


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("size", [(128, 128), (200, 160), (960, 960)])
def test_a_point_is_seen_where_the_new_intrinsics_project_it(
    point: np.ndarray, size: tuple[int, int]
) -> None:
    window = (80, 10, 460, 460)
    image = resize_image(crop_image(blob(CAMERA, point), window), size)
    intrinsics = resize_intrinsics(crop_intrinsics(CAMERA, window), size)
    assert image.shape == (size[1], size[0], 3)
    assert (intrinsics.width, intrinsics.height) == size
    np.testing.assert_allclose(centroid(image), project(intrinsics, point[None])[0], atol=0.06)


def test_resizing_there_and_back_gives_the_same_intrinsics() -> None:
    there = resize_intrinsics(CAMERA, (128, 96))
    back = resize_intrinsics(there, (640, 480))
    assert back.cx == pytest.approx(CAMERA.cx)
    assert back.cy == pytest.approx(CAMERA.cy)
    assert back.fx == pytest.approx(CAMERA.fx)


def test_depth_is_never_mixed() -> None:
    depth = np.where(np.indices((48, 64))[1] < 31, 500, 0).astype(np.uint16)
    assert set(np.unique(resize_depth(depth, (20, 15)))) == {0, 500}


def test_a_resized_picture_is_a_copy() -> None:
    image = blob(CAMERA, POINTS[0])
    same = resize_image(image, (640, 480))
    assert not np.shares_memory(same, image)


def test_field_of_view() -> None:
    intrinsics = from_field_of_view(640, 480, math.radians(90.0))
    assert intrinsics.fx == pytest.approx(320.0)
    # The edge of the first column is half a pixel from its centre.
    edge = np.array([[-1.0, 0.0, 1.0]])
    np.testing.assert_allclose(project(intrinsics, edge)[0], [-0.5, 239.5], atol=1e-9)


@pytest.mark.parametrize("camera", [CAMERA, replace(CAMERA, distortion=())])
def test_calibration_file_round_trip(tmp_path: Path, camera: Intrinsics) -> None:
    path = tmp_path / "wrist.yaml"
    write_intrinsics(path, camera, "wrist")
    assert read_intrinsics(path) == camera


def test_output_intrinsics_prefer_the_calibration(tmp_path: Path) -> None:
    path = tmp_path / "wrist.yaml"
    write_intrinsics(path, CAMERA, "wrist")
    config = CameraConfig(calibration=str(path))
    assert config.window == (80, 0, 480, 480)
    intrinsics = output_intrinsics(config, from_field_of_view(640, 480, 1.0))
    assert intrinsics == resize_intrinsics(crop_intrinsics(CAMERA, config.window), (128, 128))
    with pytest.raises(CameraError, match="640x480 pixels, but width and height are 1280 and 720"):
        output_intrinsics(replace(config, width=1280, height=720), CAMERA)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("plumb_bob", "equidistant", "distortion model 'equidistant' is not supported"),
        ("image_width", "picture_width", "has no 'image_width'"),
        ("600.0", ".nan", "finite numbers"),
        ("600.0, ", "", "expected 9"),
        ("600.0", "-600.0", "must be positive"),
        ("camera_matrix:", "camera_matrix: [", "not YAML"),
        ("", "just words", "no camera calibration"),
    ],
)
def test_damaged_calibration_files(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "wrist.yaml"
    write_intrinsics(path, CAMERA, "wrist")
    path.write_text(path.read_text().replace(old, new) if old else new)
    with pytest.raises(CameraError, match=message):
        read_intrinsics(path)


def test_missing_calibration_file(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="No such file"):
        read_intrinsics(tmp_path / "none.yaml")


@pytest.mark.parametrize("model", ["brown_conrady", "inverse_brown_conrady", "modified_brown_conrady"])
def test_realsense_distortion_in_our_model(model: str) -> None:
    sdk = rs.intrinsics()
    sdk.width, sdk.height, sdk.fx, sdk.fy, sdk.ppx, sdk.ppy = 640, 480, 390.0, 389.0, 318.0, 243.0
    sdk.model, sdk.coeffs = getattr(rs.distortion, model), [-0.055, 0.063, 0.0004, -0.0007, -0.02]
    ours = plumb_bob(sdk)
    assert len(ours.distortion) == 5
    for pixel in ([5.0, 8.0], [320.0, 240.0], [600.0, 30.0], [100.0, 470.0]):
        point = np.array([rs.rs2_deproject_pixel_to_point(sdk, pixel, 1.0)])
        np.testing.assert_allclose(project(ours, point)[0], pixel, atol=0.1)
    sdk.coeffs = [0.0] * 5
    assert plumb_bob(sdk).distortion == ()


@pytest.mark.parametrize(
    ("settings", "window", "size"),
    [
        ({}, (80, 0, 480, 480), (128, 128)),
        ({"size": (0, 0)}, (0, 0, 640, 480), (640, 480)),
        ({"size": (64, 16)}, (0, 160, 640, 160), (64, 16)),
        ({"crop": (10, 20, 200, 100)}, (10, 20, 200, 100), (128, 128)),
        ({"crop": (10, 20, 200, 100), "size": (0, 0)}, (10, 20, 200, 100), (200, 100)),
    ],
)
def test_window_and_size(settings: dict, window: tuple, size: tuple) -> None:
    config = CameraConfig(**settings)
    assert config.window == window
    assert config.output_size == size


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width, height and rate must be 1 or more"),
        ({"timeout": 0.0}, "timeout must be above 0"),
        ({"exposure": -1.0}, "exposure, latency"),
        ({"crop": (600, 0, 100, 100)}, "not inside the picture of 640x480"),
        ({"crop": (0, 0, 0, 100)}, "not inside the picture"),
        ({"size": (128, 0)}, "two positive numbers"),
        ({"field_of_view": 4.0}, "field_of_view must be in"),
        ({"driver": "uvc", "depth": True}, "'uvc' has no depth"),
    ],
)
def test_settings_that_cannot_be(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CameraConfig(**settings)
