"""Looks at each frame before anybody learns or acts from it.

A camera that fails seldom says so: its cable hangs and the last picture is sent again and again, a cap or a
dead lamp makes all black, a driver starts again in another mode, a network delivers late frames after newer
ones. A policy would act on these pictures without complaint. Here each of them becomes a `CameraError`, or is
dropped, and the next good frame passes again.
"""

from __future__ import annotations

import numpy as np

from robot_rl.core.clock import nanoseconds, seconds
from robot_rl.core.errors import CameraError
from robot_rl.core.types import StampedImage


class FrameGuard:
    """Lets the good frames of one camera pass, in order.

    Args:
        camera: Name of the camera, for messages.
        size: Width and height that every frame must have [pixels].
        black_level: A frame whose mean is below this is black [0..255]; 0 never is.
        frozen_after: The stream is frozen when bits are the same for longer than this [s] of the frames'
            stamps; 0 never is, for simulators, whose pictures are the same while nothing moves. The noise of
            a real sensor changes some bits of every frame.
    """

    def __init__(
        self, camera: str, size: tuple[int, int], black_level: float = 0.0, frozen_after: float = 0.0
    ) -> None:
        self.camera = camera
        self.size = size
        self.black_level = black_level
        self.frozen_after = nanoseconds(frozen_after)
        self.dropped = 0
        """Frames that were not newer than the one before [frames]."""
        self.refused = 0
        """Frames that raised an error [frames]."""
        self.reset()

    def reset(self) -> None:
        """Forget the frames so far, for a stream whose clock starts again; the counts stay."""
        self.newest: int | None = None
        """Stamp of the last frame [ns]; None before the first."""
        self._content: np.ndarray | None = None
        self._changed = 0

    @property
    def why_dropped(self) -> CameraError:
        """What to say of frames that were dropped."""
        return CameraError(
            f"camera {self.camera!r} delivers frames that are not newer than the one before, and these are "
            "dropped: its stamps stand still or go back, or the network delivers late"
        )

    def check(self, frame: StampedImage) -> StampedImage | None:
        """The frame itself when it is good; None when it is not newer than the last one and was dropped.

        Raises:
            CameraError: The frame has the wrong size or type, is black, or the stream is frozen. The check of
                the next frame starts afresh.
        """
        try:
            return self._check(frame)
        except CameraError:
            self.refused += 1
            raise

    def _check(self, frame: StampedImage) -> StampedImage | None:
        width, height = self.size
        image = frame.image
        if image.shape != (height, width, 3) or image.dtype != np.uint8:
            raise CameraError(
                f"camera {self.camera!r} delivers an image of shape {image.shape}, {image.dtype}, but "
                f"announced ({height}, {width}, 3), uint8: check its resolution, crop and size"
            )
        if self.newest is not None and frame.stamp <= self.newest:
            self.dropped += 1
            return None
        self.newest = frame.stamp
        self._watch_content(frame)
        if self.black_level > 0.0 and (level := float(image.mean())) < self.black_level:
            raise CameraError(
                f"camera {self.camera!r} is black: mean {level:.1f} of 255, below {self.black_level:g}. "
                "Check the lens cap, the light and the exposure"
            )
        return frame

    def _watch_content(self, frame: StampedImage) -> None:
        """Raise when the bits have been the same for too long."""
        if self.frozen_after <= 0:
            return
        if self._content is None or not np.array_equal(self._content, frame.image):
            # A copy: a source may write its next picture into the same memory.
            self._content = frame.image.copy()
            self._changed = frame.stamp
        elif frame.stamp - self._changed > self.frozen_after:
            raise CameraError(
                f"camera {self.camera!r} is frozen: the same picture for "
                f"{seconds(frame.stamp - self._changed):.2f} s, more than {seconds(self.frozen_after):g} s. "
                "Check its cable, or restart it"
            )
