"""Pictures through video files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_rl.core.errors import DatasetError
from robot_rl.data.video import VideoWriter, read_video, video_info
from tests.unit.export_samples import psnr, scene

RATE = 10.0


def write(path: Path, height: int, width: int, lossless: bool, count: int = 7) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    images = [scene(rng, height, width) for _ in range(count)]
    with VideoWriter(path, RATE, height, width, lossless) as video:
        for image in images:
            video.write(image)
    return images


@pytest.mark.parametrize("size", [(48, 64), (49, 65), (17, 31)])
def test_lossless_video_gives_back_every_bit(tmp_path: Path, size: tuple[int, int]) -> None:
    images = write(tmp_path / "a.mp4", *size, lossless=True)
    found = read_video(tmp_path / "a.mp4", [i / RATE for i in range(7)])
    assert all(np.array_equal(a, b) for a, b in zip(images, found, strict=True))


def test_noise_survives_lossless_video(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    with VideoWriter(tmp_path / "a.mp4", RATE, 32, 48, lossless=True) as video:
        video.write(noise)
    assert np.array_equal(read_video(tmp_path / "a.mp4", [0.0])[0], noise)


@pytest.mark.parametrize(("size", "bound"), [((96, 128), 26.0), ((97, 127), 33.0)])
def test_lossy_video_stays_close_and_is_smaller(tmp_path: Path, size: tuple[int, int], bound: float) -> None:
    """An even size has colour in half the resolution, which hard edges of bright colours suffer from."""
    images = write(tmp_path / "a.mp4", *size, lossless=False)
    write(tmp_path / "b.mp4", *size, lossless=True)
    found = read_video(tmp_path / "a.mp4", [i / RATE for i in range(7)])
    assert min(psnr(a, b) for a, b in zip(images, found, strict=True)) > bound
    assert (tmp_path / "a.mp4").stat().st_size < (tmp_path / "b.mp4").stat().st_size / 3


def test_some_pictures_out_of_the_middle(tmp_path: Path) -> None:
    images = write(tmp_path / "a.mp4", 32, 32, lossless=True)
    found = read_video(tmp_path / "a.mp4", [0.3, 0.4, 0.6])
    assert all(np.array_equal(a, b) for a, b in zip([images[3], images[4], images[6]], found, strict=True))
    assert read_video(tmp_path / "a.mp4", []) == []


def test_what_is_said_of_a_video(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", 48, 64, lossless=False)
    info = video_info(tmp_path / "a.mp4")
    assert (info["video.height"], info["video.width"], info["video.fps"]) == (48, 64, 10)
    assert (info["video.codec"], info["video.pix_fmt"], info["has_audio"]) == ("h264", "yuv420p", False)


def test_videos_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", 32, 32, lossless=True)
    with pytest.raises(DatasetError, match=r"a.mp4 has no picture at 0.700 s: 1 of 2 found"):
        read_video(tmp_path / "a.mp4", [0.6, 0.7])
    with pytest.raises(DatasetError, match=r"the video .*gone.mp4 is missing"):
        read_video(tmp_path / "gone.mp4", [0.0])
    (tmp_path / "b.mp4").write_bytes(b"not a video at all" * 100)
    with pytest.raises(DatasetError, match=r"b.mp4 is not a video"):
        read_video(tmp_path / "b.mp4", [0.0])
