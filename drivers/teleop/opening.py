"""Opens the devices that the settings name."""

from __future__ import annotations

from drivers.teleop.settings import DEVICES
from robot_rl.core.errors import ConfigError, MissingDependencyError, nearest
from robot_rl.core.protocols import InputDevice

REMEDY = "pip install 'robot-rl[devices]'"
PACKAGES = {"spacemouse": "hidapi", "gamepad": "pygame"}
ELSEWHERE = {
    "console": "the console is a device of the graph: robot-rl console attaches to it",
    "leader": "a leader arm is a robot: make a LeaderArm of it",
}


def open_device(name: str, dead_man: bool = False) -> InputDevice:
    """The device `name`: "spacemouse", "spacenav", "gamepad" or "keyboard".

    What follows a colon chooses among several of a kind: "spacemouse:1" is the second one, "gamepad:1" too,
    "keyboard:/dev/pts/3" the keyboard of that terminal, "spacenav:/run/spnav.sock" a daemon's socket.

    It need not be there yet: `read` raises `DeviceError`, which says what to do, until it is.

    Args:
        name: As above, one of `teleop.devices`.
        dead_man: The device needs a dead man's switch: the right button of a SpaceMouse becomes one.

    Raises:
        ConfigError: There is no such device, or this one cannot do what is asked of it.
        MissingDependencyError: The package for it is not installed.
    """
    kind, _, which = name.partition(":")
    try:
        match kind:
            case "spacemouse":
                from drivers.teleop.spacemouse import SpaceMouse

                path = which.startswith("/")
                return SpaceMouse(which if path else _number(name, which), dead_man=dead_man)
            case "spacenav":
                from drivers.teleop.spacenav import SpaceNav

                return SpaceNav(which or None, dead_man=dead_man)
            case "gamepad":
                from drivers.teleop.gamepad import Gamepad

                return Gamepad(_number(name, which))
            case "keyboard":
                from drivers.teleop.keyboard import Keyboard

                if dead_man:
                    raise ConfigError(
                        "a keyboard has no dead man's switch, for a terminal does not tell when a key comes "
                        "up: set teleop.dead_man to false, or use another device"
                    )
                return Keyboard(which or "/dev/tty")
    except ImportError as error:
        raise MissingDependencyError(f"{PACKAGES[kind]} ({error})", f"the device {kind}", REMEDY) from None
    if kind in ELSEWHERE:
        raise ConfigError(f"{name!r} is not opened here: {ELSEWHERE[kind]}")
    raise ConfigError(f"there is no device {name!r}: {nearest(kind, DEVICES)}")


def _number(name: str, which: str) -> int:
    if which and not which.isdecimal():
        raise ConfigError(f"device {name!r}: what follows the colon counts the devices, from 0")
    return int(which or 0)
