"""What every `Camera` must do. Inherit, and give a fixture `bench`: a `CameraBench`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from robot_rl.core.clock import seconds
from robot_rl.core.errors import CameraError
from robot_rl.core.protocols import Camera, Clock
from robot_rl.core.types import StampedImage


@dataclass(frozen=True)
class CameraBench:
    """A camera before a scene that changes with every picture, and the means to let time pass."""

    camera: Camera
    clock: Clock
    wait: Callable[[float], None]
    """Let seconds of the camera's clock pass."""
    period: float
    """From one picture to the next [s]."""
    slowest: float
    """No picture may be older than this when it is read after a wait [s]."""

    def read(self, count: int) -> list[StampedImage]:
        """That many pictures, a period apart."""
        frames = []
        for _ in range(count):
            self.wait(self.period)
            frames.append(self.camera.read())
        return frames


class CameraSuite:
    """Conformance of a camera."""

    def test_satisfies_the_protocol(self, bench: CameraBench) -> None:
        assert isinstance(bench.camera, Camera)

    def test_intrinsics_are_of_the_pictures(self, bench: CameraBench) -> None:
        intrinsics = bench.camera.intrinsics
        for frame in bench.read(3):
            assert frame.image.shape == (intrinsics.height, intrinsics.width, 3)
            assert frame.image.dtype == np.uint8
        assert intrinsics.fx > 0.0
        assert intrinsics.fy > 0.0
        assert 0.0 < intrinsics.cx < intrinsics.width - 1
        assert 0.0 < intrinsics.cy < intrinsics.height - 1

    def test_stamps_increase_and_are_past(self, bench: CameraBench) -> None:
        last = None
        for frame in bench.read(8):
            assert isinstance(frame.stamp, int)
            assert frame.stamp <= bench.clock.now()
            assert last is None or frame.stamp > last
            last = frame.stamp

    def test_a_late_reader_gets_the_newest_picture(self, bench: CameraBench) -> None:
        bench.read(2)
        bench.wait(6.0 * bench.period)
        frame = bench.camera.read()
        assert seconds(bench.clock.now() - frame.stamp) <= bench.slowest

    def test_a_picture_stays_as_it_was_read(self, bench: CameraBench) -> None:
        first = bench.read(1)[0].image
        before = first.copy()
        later = bench.read(4)
        np.testing.assert_array_equal(first, before)
        assert any((frame.image != first).any() for frame in later)

    def test_closes_once_and_for_all(self, bench: CameraBench) -> None:
        bench.read(1)
        bench.camera.close()
        bench.camera.close()
        with pytest.raises(CameraError, match="closed"):
            bench.camera.read()
