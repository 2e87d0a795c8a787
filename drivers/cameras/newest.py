"""The newest picture of a device, which is opened again when it was lost.

A queue of pictures makes a policy act on the past, so a thread takes every picture as it comes and only the
last one is kept. Cables come loose on a moving arm: a lost device is opened again, after pauses that grow,
and nobody has to be restarted when it is back.
"""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from robot_rl.core.errors import CameraError

FIRST_PAUSE = 0.1
"""Before a lost device is opened again [s]; each further failure doubles it."""
LONGEST_PAUSE = 2.0
"""Bound on the pause [s]."""

Picture = TypeVar("Picture")
Picture_co = TypeVar("Picture_co", covariant=True)


class Device(Protocol[Picture_co]):
    """An open device."""

    def grab(self) -> tuple[int, Picture_co]:
        """Wait for the next picture: its stamp [ns], and the picture as the device's library has it.

        Raises:
            CameraError: The device is gone, or was silent for too long. It must be opened anew.
        """
        ...

    def close(self) -> None: ...


class NewestPicture(Generic[Picture]):
    """Reads a device in a thread of its own.

    Args:
        camera: Name of the camera, for messages.
        open_device: Opens the device, or raises `CameraError`; called here for the first time, so that a
            wrong setting shows at once.
        timeout: How long `take` waits [s].
    """

    def __init__(self, camera: str, open_device: Callable[[], Device[Picture]], timeout: float) -> None:
        self.camera = camera
        self._open = open_device
        self._timeout = timeout
        self._newest: tuple[int, Picture] | None = None
        self._trouble = ""
        self._ended = False
        self._changed = threading.Condition()
        self._closing = threading.Event()
        device = open_device()
        self._thread = threading.Thread(
            target=self._run, args=(device,), name=f"camera {camera}", daemon=True
        )
        self._thread.start()
        # A vendor's library may abort the whole process when that ends under an open device.
        atexit.register(self.close)

    def take(self) -> tuple[int, Picture]:
        """The newest picture; waits for one where the last was taken already.

        Raises:
            CameraError: None came in time, or none will come again, and why.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._closing.is_set(), self._timeout)
            if self._closing.is_set():
                raise CameraError(f"camera {self.camera!r} is closed")
            if self._newest is None and self._ended:
                raise CameraError(
                    f"the thread that reads camera {self.camera!r} has ended, and no picture will come "
                    f"again: {self._trouble}. Open the camera anew"
                )
            if self._newest is None:
                why = self._trouble or "its device is open, but silent"
                raise CameraError(
                    f"camera {self.camera!r} gave no picture for {self._timeout:g} s: {why}. Check "
                    "its cable; it is opened again by itself"
                )
            newest, self._newest = self._newest, None
            return newest

    def close(self) -> None:
        """Let go of the device."""
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        self._thread.join()
        atexit.unregister(self.close)

    def _run(self, device: Device[Picture] | None) -> None:
        try:
            self._read(device)
        finally:
            error = sys.exception()  # one that no device may raise
            if error is not None:
                self._trouble = f"{type(error).__name__}: {error}"
            self._ended = True

    def _read(self, device: Device[Picture] | None) -> None:
        pause = FIRST_PAUSE
        try:
            while not self._closing.is_set():
                try:
                    if device is None:
                        device = self._open()
                    picture = device.grab()
                except CameraError as error:
                    if device is not None:
                        device.close()
                        device = None
                    self._trouble = str(error)
                    self._closing.wait(pause)
                    pause = min(2.0 * pause, LONGEST_PAUSE)
                    continue
                pause = FIRST_PAUSE
                with self._changed:
                    self._newest, self._trouble = picture, ""
                    self._changed.notify_all()
        finally:
            if device is not None:
                device.close()
