"""SpaceMice that send the raw HID reports of real ones, behind the `HidTransport` of their driver."""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Callable, Iterable

import numpy as np

from drivers.teleop.hid_reports import BUTTONS, FULL_SCALE, KEYS, ROTATION, TRANSLATION, VENDOR
from drivers.teleop.hid_transport import HidHandle, HidInfo
from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import DeviceError

PERIOD = nanoseconds(0.008)
"""From one report of a deflected cap to the next [ns]."""
COMPACT = (VENDOR, 0xC635)
WIRELESS = (VENDOR, 0xC62E)
ENTERPRISE = (VENDOR, 0xC633)
RECEIVER = (VENDOR, 0xC652)
ONE_REPORT = (WIRELESS, ENTERPRISE, RECEIVER)
"""Those which send all six axes in one report."""


class EmulatedSpaceMouse:
    """One mouse, wired or not.

    Args:
        path: Where the system lists it.
        kind: Vendor and product.
        clock: Steady time [ns].
    """

    def __init__(
        self, path: str, kind: tuple[int, int] = COMPACT, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.info = HidInfo(path, *kind, 0x01, 0x08)
        self.in_range = True
        """Whether its radio reaches the receiver."""
        self._clock = clock
        self._reports: deque[bytes] = deque(maxlen=64)  # as long as the kernel's own queue
        self._counts = np.zeros(6, int)
        self._next = 0

    def deflect(self, axes: np.ndarray) -> None:
        """Hold the cap there: (6,) in [-1, 1], x away, y left, z up, turns right-handed about them."""
        x, y, z, rx, ry, rz = np.round(np.asarray(axes) * FULL_SCALE).astype(int)
        self._counts = np.array([-y, -x, -z, -ry, -rx, -rz])
        self._report_motion()

    def press(self, buttons: Iterable[int]) -> None:
        """Hold down these buttons, numbered from 0, and no others."""
        buttons = sorted(buttons)
        if (self.info.vendor, self.info.product) == ENTERPRISE:
            self.send(
                bytes([KEYS]) + struct.pack("<6H", *[b + 1 for b in buttons], *[0] * (6 - len(buttons)))
            )
        else:
            self.send(bytes([BUTTONS]) + sum(1 << b for b in buttons).to_bytes(4, "little"))

    def send(self, report: bytes) -> None:
        """Send this, whatever it is."""
        if self.in_range:
            self._reports.append(report)

    def take(self) -> bytes:
        """The oldest report that was not taken yet; b"" when there is none."""
        if self._counts.any() and self._clock() >= self._next:
            self._report_motion()
        return self._reports.popleft() if self._reports else b""

    def _report_motion(self) -> None:
        self._next = self._clock() + PERIOD
        x, y, z, rx, ry, rz = self._counts.tolist()
        if (self.info.vendor, self.info.product) in ONE_REPORT:
            self.send(bytes([TRANSLATION]) + struct.pack("<6h", x, y, z, rx, ry, rz))
        else:
            self.send(bytes([TRANSLATION]) + struct.pack("<3h", x, y, z))
            self.send(bytes([ROTATION]) + struct.pack("<3h", rx, ry, rz))


class EmulatedHidBus:
    """A `HidTransport`: the ports of a machine, with mice in them."""

    def __init__(self, *mice: EmulatedSpaceMouse) -> None:
        self._mice = {mouse.info.path: mouse for mouse in mice}

    def plug_in(self, mouse: EmulatedSpaceMouse) -> None:
        self._mice[mouse.info.path] = mouse

    def unplug(self, mouse: EmulatedSpaceMouse) -> None:
        del self._mice[mouse.info.path]

    def find(self) -> list[HidInfo]:
        return [mouse.info for mouse in self._mice.values()]

    def open(self, path: str) -> HidHandle:
        if path not in self._mice:
            raise DeviceError(f"the HID device {path} cannot be opened: it was unplugged")
        return _Opened(self, self._mice[path])

    def is_plugged(self, mouse: EmulatedSpaceMouse) -> bool:
        return self._mice.get(mouse.info.path) is mouse


class _Opened:
    def __init__(self, bus: EmulatedHidBus, mouse: EmulatedSpaceMouse) -> None:
        self._bus = bus
        self._mouse = mouse
        self._open = True

    def read(self) -> bytes:
        if not self._open or not self._bus.is_plugged(self._mouse):
            raise OSError("read error")
        return self._mouse.take()

    def close(self) -> None:
        self._open = False
