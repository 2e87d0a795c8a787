"""The thread that reads a device: what ends it is told."""

from __future__ import annotations

import pytest

from drivers.cameras.newest import NewestPicture
from robot_rl.core.errors import CameraError


class Broken:
    """A device whose library fails with an error of its own after some pictures."""

    def __init__(self, pictures: int) -> None:
        self.left = pictures
        self.closed = False

    def grab(self) -> tuple[int, str]:
        if not self.left:
            raise ValueError("no such frame set")
        self.left -= 1
        return self.left, "picture"

    def close(self) -> None:
        self.closed = True


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_reader_that_ended_says_why() -> None:
    device = Broken(pictures=1)
    newest = NewestPicture("wrist", lambda: device, timeout=0.1)
    assert newest.take() == (0, "picture")
    for _ in range(2):
        with pytest.raises(
            CameraError, match=r"reads camera 'wrist' has ended.*ValueError: no such frame set"
        ):
            newest.take()
    assert device.closed
    newest.close()
    with pytest.raises(CameraError, match="is closed"):
        newest.take()
