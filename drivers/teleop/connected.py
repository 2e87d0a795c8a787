"""Which devices of a person are connected to this machine, for `robot-rl doctor`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Connected:
    """A device that is there."""

    name: str
    """As `open_device` takes it."""
    what: str
    """What it is, and where."""
    problem: str = ""
    """What to do before it can be used; "" when it can."""


def connected_devices() -> list[Connected]:
    """Those that are connected, as far as their packages are installed."""
    return [*_spacemice(), *_spacenav(), *_gamepads()]


def _spacemice() -> list[Connected]:
    try:
        from drivers.teleop.hid_transport import PERMISSION_HINT, HidApi, may_open
        from drivers.teleop.spacemouse import product_name, spacemice
    except ImportError:
        return []
    return [
        Connected(
            f"spacemouse:{number}" if number else "spacemouse",
            f"{product_name(info)} at {info.path}",
            "" if may_open(info.path) else PERMISSION_HINT,
        )
        for number, info in enumerate(spacemice(HidApi()))
    ]


def _spacenav() -> list[Connected]:
    from drivers.teleop.spacenav import SOCKET

    path = os.environ.get("SPNAV_SOCKET") or SOCKET
    return [Connected("spacenav", f"spacenavd at {path}")] if Path(path).is_socket() else []


def _gamepads() -> list[Connected]:
    try:
        from drivers.teleop.gamepad import gamepad_names
    except ImportError:
        return []
    return [
        Connected(f"gamepad:{number}" if number else "gamepad", name)
        for number, name in enumerate(gamepad_names())
    ]
