"""A device that comes and goes, behind a `read` that returns at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import DeviceError

Handle = TypeVar("Handle")

RETRY = nanoseconds(0.5)
"""From one search for a device that is gone to the next [ns]. Searching takes milliseconds, reading none."""


class HotPlug(Generic[Handle]):
    """Holds the handle of an open device, and looks for the device again while there is none.

    Args:
        name: Names the device in messages.
        connect: Finds and opens it; raises `DeviceError` while it is not there.
        disconnect: Closes a handle, of a device that may be gone.
        clock: Steady time [ns].
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Handle],
        disconnect: Callable[[Handle], None],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.name = name
        self._connect = connect
        self._disconnect = disconnect
        self._clock = clock
        self._handle: Handle | None = None
        self._why = ""
        self._next_try = 0
        self._closed = False

    def get(self) -> Handle:
        """The open device.

        Raises:
            DeviceError: It is gone, or was closed. The device is looked for every `RETRY`, by the call that
                comes first after that.
        """
        if self._closed:
            raise DeviceError(f"{self.name} was closed: open it anew")
        if self._handle is None:
            now = self._clock()
            if now < self._next_try:
                raise DeviceError(self._why)
            try:
                self._handle = self._connect()
            except DeviceError as error:
                self._why, self._next_try = str(error), now + RETRY
                raise
        return self._handle

    def lose(self, why: str) -> DeviceError:
        """Close the device, which is gone or no good; gives the error to raise."""
        self._why, self._next_try = why, self._clock() + RETRY
        self._release()
        return DeviceError(why)

    def close(self) -> None:
        """Close the device for good; may be called twice."""
        self._closed = True
        self._release()

    def _release(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            self._disconnect(handle)
