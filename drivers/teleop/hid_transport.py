# pyright: reportAttributeAccessIssue=false
# The library is compiled and comes without types.
"""HID devices by the `hidapi` package, without a system library or a daemon.

On Linux it reads `/dev/hidraw*`, whose reports are whole and whose kernel driver stays in place. These files
are root's: `UDEV_RULES` give those of SpaceMice to the person who is logged in.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple, Protocol

if sys.platform == "linux":
    import hidraw as hid
else:
    import hid

from robot_rl.core.errors import DeviceError

UDEV_RULES = (
    'KERNEL=="hidraw*", ATTRS{idVendor}=="256f", TAG+="uaccess"',
    'KERNEL=="hidraw*", ATTRS{idVendor}=="046d", ATTRS{idProduct}=="c62[0-9a-f]", TAG+="uaccess"',
)
"""Lines of a file below /etc/udev/rules.d, whose number must be below 73 to have an effect."""
PERMISSION_HINT = (
    "this user may not open it. Give SpaceMice to whoever is logged in:\n"
    f"  printf '%s\\n' '{UDEV_RULES[0]}' \\\n    '{UDEV_RULES[1]}' \\\n"
    "    | sudo tee /etc/udev/rules.d/70-spacemouse.rules\n"
    "  sudo udevadm control --reload && sudo udevadm trigger\n"
    "and plug it in again"
)

LONGEST_REPORT = 64


class HidInfo(NamedTuple):
    """An attached HID device, as the system lists it."""

    path: str
    vendor: int
    product: int
    usage_page: int = 0
    """0 when the system does not say."""
    usage: int = 0


class HidHandle(Protocol):
    """An open HID device."""

    def read(self) -> bytes:
        """The oldest report that is not read yet, with its number; b"" when there is none.

        Raises:
            OSError: The device is gone.
        """
        ...

    def close(self) -> None: ...


class HidTransport(Protocol):
    """The means to reach HID devices: the library, or recorded reports."""

    def find(self) -> list[HidInfo]: ...

    def open(self, path: str) -> HidHandle:
        """Open the device.

        Raises:
            DeviceError: It cannot be opened; says what to do.
        """
        ...


class HidApi:
    """The `HidTransport` of real devices."""

    def find(self) -> list[HidInfo]:
        return [
            HidInfo(
                entry["path"].decode(),
                entry["vendor_id"],
                entry["product_id"],
                entry["usage_page"],
                entry["usage"],
            )
            for entry in hid.enumerate()
        ]

    def open(self, path: str) -> HidHandle:
        device = hid.device()
        try:
            device.open_path(path.encode())
        except OSError as error:
            why = str(error) if may_open(path) else PERMISSION_HINT
            raise DeviceError(f"the HID device {path} cannot be opened: {why}") from None
        device.set_nonblocking(1)
        return _Opened(device)


class _Opened:
    def __init__(self, device: hid.device) -> None:
        self._device = device

    def read(self) -> bytes:
        try:
            return bytes(self._device.read(LONGEST_REPORT))
        except ValueError as error:  # what the library raises of a device that it has closed by itself
            raise OSError(str(error)) from None

    def close(self) -> None:
        self._device.close()


def may_open(path: str) -> bool:
    """Whether this user may read and write the device, where it is a file of the system."""
    effective = os.access in os.supports_effective_ids
    there = Path(path).exists()
    return not there or os.access(path, os.R_OK | os.W_OK, effective_ids=effective)
