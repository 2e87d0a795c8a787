"""The guard of the frames: each kind of bad frame, and recovery."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.cameras.guard import FrameGuard
from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import CameraError
from robot_rl.core.types import StampedImage

PERIOD = 0.1


def frame(tick: int, content: int, width: int = 32, height: int = 24) -> StampedImage:
    """A noisy grey picture, stamped at a tick of 0.1 s; the same content gives the same bits."""
    image = np.random.default_rng(content).integers(100, 140, (height, width, 3), dtype=np.uint8)
    return StampedImage(nanoseconds(PERIOD * tick), image)


@pytest.fixture
def guard() -> FrameGuard:
    return FrameGuard("wrist", (32, 24), black_level=5.0, frozen_after=0.35)


def test_good_frames_pass_untouched(guard: FrameGuard) -> None:
    for tick in range(20):
        good = frame(tick, tick)
        assert guard.check(good) is good
    assert (guard.dropped, guard.refused) == (0, 0)


def test_frames_that_are_not_newer_are_dropped_and_counted(guard: FrameGuard) -> None:
    assert guard.check(frame(5, 0)) is not None
    assert guard.check(frame(5, 1)) is None
    assert guard.check(frame(3, 2)) is None
    assert guard.check(frame(6, 3)) is not None
    assert guard.dropped == 2
    assert guard.newest == frame(6, 3).stamp
    assert "'wrist' delivers frames that are not newer" in str(guard.why_dropped)
    guard.reset()
    assert guard.check(frame(0, 4)) is not None


@pytest.mark.parametrize("size", [(24, 32), (64, 48), (32, 23)])
def test_another_size_is_refused(guard: FrameGuard, size: tuple[int, int]) -> None:
    with pytest.raises(CameraError, match=r"'wrist' delivers .* announced \(24, 32, 3\)"):
        guard.check(frame(0, 0, *size))
    assert guard.check(frame(1, 1)) is not None


def test_another_type_is_refused(guard: FrameGuard) -> None:
    good = frame(0, 0)
    with pytest.raises(CameraError, match="float32"):
        guard.check(StampedImage(good.stamp, good.image.astype(np.float32)))
    with pytest.raises(CameraError, match="announced"):
        guard.check(StampedImage(good.stamp, good.image[:, :, 0]))
    assert guard.refused == 2


def test_black_frames_are_refused_until_there_is_light(guard: FrameGuard) -> None:
    for tick in range(3):
        dark = np.random.default_rng(tick).integers(0, 4, (24, 32, 3), dtype=np.uint8)
        with pytest.raises(CameraError, match="'wrist' is black: mean 1"):
            guard.check(StampedImage(nanoseconds(PERIOD * tick), dark))
    assert guard.check(frame(3, 0)) is not None
    assert guard.refused == 3


def test_a_frozen_stream_is_refused_until_the_picture_changes(guard: FrameGuard) -> None:
    for tick in range(4):  # the last one is 0.3 s after the first
        assert guard.check(frame(tick, 7)) is not None
    for tick in range(4, 8):
        with pytest.raises(CameraError, match=r"'wrist' is frozen: the same picture for 0\.\d0 s"):
            guard.check(frame(tick, 7))
    for tick in range(8, 11):
        assert guard.check(frame(tick, 8)) is not None


def test_a_frozen_stream_is_seen_when_the_source_writes_into_the_same_memory(guard: FrameGuard) -> None:
    buffer = frame(0, 0).image.copy()
    for tick in range(10):  # the pictures do change
        buffer[:] = frame(tick, tick).image
        assert guard.check(StampedImage(nanoseconds(PERIOD * tick), buffer)) is not None


def test_checks_are_off_by_default() -> None:
    guard = FrameGuard("side", (32, 24))
    black = np.zeros((24, 32, 3), np.uint8)
    for tick in range(100):
        assert guard.check(StampedImage(tick, black)) is not None
