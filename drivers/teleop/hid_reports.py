"""What the six-axis mice of 3Dconnexion say over USB and radio, decoded from their HID reports.

The first byte of a report is its number; all integers are little-endian.

| number | bytes after it | meaning                                                                     |
|--------|----------------|-----------------------------------------------------------------------------|
| 1      | 6              | translation x, y, z, int16                                                  |
| 1      | 12             | translation and rotation together: wireless ones, Enterprise, the receivers |
| 2      | 6              | rotation x, y, z, int16                                                     |
| 3      | 1 to 6         | a bit for each button that is held down                                     |
| 0x1c   | 12             | six uint16, the buttons that are held down, numbered from 1; 0 for none     |
| 0x1d   | 12             | the same for buttons that have been held down for long                      |
| 0x17   | any            | the battery                                                                 |

Full deflection is 350 counts, the logical maximum in the devices' report descriptors. The axes of a device
are x to the right, y towards the person, z down, which is a right-handed frame, and turns are right-handed
about them. Buttons have the numbers of 3Dconnexion's keys, counted from 0: bit n of report 3 is key n + 1 of
report 0x1c. Sources: the report descriptors of the devices, and the USB HID class definition 1.11, section
5.9, for the meaning of axes.

A cap that is held off its centre is reported at 60 to 125 Hz, one that rests not at all. Hence axes of which
nothing was heard for 50 ms are at rest, whatever was said last: a wireless mouse that was carried out of
range, or a report that was lost, must not leave the arm in motion.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import numpy as np

from robot_rl.core.clock import nanoseconds

FULL_SCALE = 350.0
"""Counts at full deflection."""
LARGEST = 512
"""More counts than this are no deflection: an older one's descriptor reaches to 500."""
SILENCE = nanoseconds(0.05)
"""Axes that were not heard of for this long are at rest [ns]."""
BUTTON_BYTES = 6
"""Report 3 has at most so many."""
MAX_KEY = 256
"""Largest number of a key in report 0x1c; the devices there are stay far below."""

TRANSLATION, ROTATION, BUTTONS, KEYS = 0x01, 0x02, 0x03, 0x1C

FORMER_VENDOR, VENDOR = 0x046D, 0x256F
"""3Dconnexion has a number of its own; it once belonged to Logitech, and used theirs."""
PRODUCTS: Mapping[tuple[int, int], str] = {
    (FORMER_VENDOR, 0xC623): "SpaceTraveler",
    (FORMER_VENDOR, 0xC625): "SpacePilot",
    (FORMER_VENDOR, 0xC626): "SpaceNavigator",
    (FORMER_VENDOR, 0xC627): "SpaceExplorer",
    (FORMER_VENDOR, 0xC628): "SpaceNavigator for Notebooks",
    (FORMER_VENDOR, 0xC629): "SpacePilot Pro",
    (FORMER_VENDOR, 0xC62B): "SpaceMouse Pro",
    (VENDOR, 0xC62E): "SpaceMouse Wireless (cabled)",
    (VENDOR, 0xC62F): "SpaceMouse Wireless (receiver)",
    (VENDOR, 0xC631): "SpaceMouse Pro Wireless (cabled)",
    (VENDOR, 0xC632): "SpaceMouse Pro Wireless (receiver)",
    (VENDOR, 0xC633): "SpaceMouse Enterprise",
    (VENDOR, 0xC635): "SpaceMouse Compact",
    (VENDOR, 0xC636): "SpaceMouse Module",
    (VENDOR, 0xC638): "SpaceMouse Pro Wireless (Bluetooth)",
    (VENDOR, 0xC63A): "SpaceMouse Wireless (Bluetooth)",
    (VENDOR, 0xC641): "SpaceMouse Module (USB)",
    (VENDOR, 0xC652): "Universal Receiver",
}
"""Vendor and product to its name. Others of vendor 256f are taken when they say that they have six axes."""


class Verdict(Enum):
    """What a report was."""

    TAKEN = "taken"
    IGNORED = "ignored"
    """A battery's charge, or a number that no table here has: new devices say new things."""
    REFUSED = "refused"
    """Of a length, or with a value, that no such device sends."""


class ReportDecoder:
    """The state of one device after its reports so far. Does no input or output, and never raises."""

    def __init__(self) -> None:
        self.buttons: frozenset[int] = frozenset()
        """Those held down, numbered from 0."""
        self._axes = np.zeros(6)
        self._heard = [-SILENCE, -SILENCE]
        self._bits: frozenset[int] = frozenset()
        self._keys: frozenset[int] = frozenset()

    def feed(self, report: bytes, now: int) -> Verdict:
        """Take a report that came at the steady time `now` [ns]."""
        if not report:
            return Verdict.REFUSED
        number, body = report[0], report[1:]
        if number == TRANSLATION and len(body) == 12:
            return self._motion(slice(0, 6), body, now)
        if number == TRANSLATION and len(body) == 6:
            return self._motion(slice(0, 3), body, now)
        if number == ROTATION and len(body) == 6:
            return self._motion(slice(3, 6), body, now)
        if number == BUTTONS and 1 <= len(body) <= BUTTON_BYTES:
            field = int.from_bytes(body, "little")
            self._bits = frozenset(n for n in range(8 * len(body)) if field >> n & 1)
        elif number == KEYS and len(body) == 12:
            keys = {int(key) - 1 for key in np.frombuffer(body, "<u2") if key}
            if keys and max(keys) >= MAX_KEY:
                return Verdict.REFUSED
            self._keys = frozenset(keys)
        elif number in (TRANSLATION, ROTATION, BUTTONS, KEYS):
            return Verdict.REFUSED
        else:
            return Verdict.IGNORED
        self.buttons = self._bits | self._keys
        return Verdict.TAKEN

    def axes(self, now: int) -> np.ndarray:
        """(6,) in [-1, 1] at `now` [ns], in the frame of a `DeviceState`: x away, y left, z up."""
        x, y, z, rx, ry, rz = self._axes
        if now - self._heard[0] >= SILENCE:
            x = y = z = 0.0
        if now - self._heard[1] >= SILENCE:
            rx = ry = rz = 0.0
        # The same rotation takes both from one frame to the other.
        return np.array([-y, -x, -z, -ry, -rx, -rz]) + 0.0

    def _motion(self, part: slice, body: bytes, now: int) -> Verdict:
        counts = np.frombuffer(body, "<i2")
        if np.any(np.abs(counts.astype(int)) > LARGEST):
            return Verdict.REFUSED
        self._axes[part] = np.clip(counts / FULL_SCALE, -1.0, 1.0)
        if part.start == 0:
            self._heard[0] = now
        if part.stop == 6:
            self._heard[1] = now
        return Verdict.TAKEN
