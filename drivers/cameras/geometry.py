"""Cropping and resizing of pictures, and what both do to the intrinsics.

Pixel coordinates are those of `Intrinsics`: the centre of the first pixel is 0, so its left edge is -0.5. A
resize by the factor s maps edges to edges,

    u' + 1/2 = s (u + 1/2),

which is what OpenCV's `resize` does to pictures. Distortion acts on normalised coordinates, before the
camera matrix, and stays as it is.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from robot_rl.core.types import Intrinsics


def crop_image(image: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray:
    """The part (column, row, width, height) of a picture, as a view."""
    x, y, width, height = window
    return image[y : y + height, x : x + width]


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A new picture of `size` (width, height): the mean over areas when it shrinks, else linear."""
    if image.shape[1::-1] == size:
        return image.copy()
    shrinks = size[0] <= image.shape[1] and size[1] <= image.shape[0]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resize_depth(depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A new depth image of `size` (width, height), each pixel the nearest one.

    A mean over an edge would be a distance at which there is nothing, and over a hole, whose depth is 0, one
    that is too short.
    """
    if depth.shape[1::-1] == size:
        return depth.copy()
    return cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST_EXACT)


def crop_intrinsics(intrinsics: Intrinsics, window: tuple[int, int, int, int]) -> Intrinsics:
    """Those of `crop_image`'s result."""
    x, y, width, height = window
    return replace(intrinsics, width=width, height=height, cx=intrinsics.cx - x, cy=intrinsics.cy - y)


def resize_intrinsics(intrinsics: Intrinsics, size: tuple[int, int]) -> Intrinsics:
    """Those of `resize_image`'s result."""
    width, height = size
    sx, sy = width / intrinsics.width, height / intrinsics.height
    return replace(
        intrinsics,
        width=width,
        height=height,
        fx=sx * intrinsics.fx,
        fy=sy * intrinsics.fy,
        cx=sx * (intrinsics.cx + 0.5) - 0.5,
        cy=sy * (intrinsics.cy + 0.5) - 0.5,
    )
