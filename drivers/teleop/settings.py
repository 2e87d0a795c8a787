"""Settings of teleoperation. Imports no driver."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from robot_rl.core.errors import ConfigError, nearest

DEVICES = ("console", "spacemouse", "spacenav", "gamepad", "keyboard", "leader")
"""Kinds of devices. What follows a colon chooses among several of a kind: "spacemouse:1" is the second one,
"keyboard:/dev/pts/3" the keyboard of that terminal."""


@dataclass(frozen=True)
class TeleopConfig:
    """How what a hand does becomes motion, and when it takes control."""

    devices: tuple[str, ...] = ("console",)
    """Devices of the person, of `DEVICES`. Several may be connected; the one that acts first has control
    until it lets go."""
    linear_speed: float = 0.25
    """Speed of the target at full deflection [m/s]."""
    angular_speed: float = 1.0
    """Turn rate of the target at full deflection [rad/s]."""
    dead_zone: float = 0.06
    """Deflection below this is rest, on each axis [0..1]; what is above starts from zero there."""
    exponent: float = 1.5
    """Speed goes with deflection to this power: fine near rest, fast at the end."""
    frame: Literal["base", "tool", "view"] = "base"
    """Axes that the device moves in: of the robot's base, of the tool, or as somebody looks at the scene."""
    view_yaw: float = 0.0
    """With the frame "view", where she, or the camera that she looks through, looks: angle of the horizontal
    direction of view about the base's z axis, 0 along its x axis [rad]."""
    take_over: Literal["motion", "button"] = "motion"
    """Whether a moving hand takes control, or only the button "take_over" does."""
    engage: float = 0.12
    """Deflection that takes control [0..1]: more than the dead zone, so that noise at rest does not."""
    release_time: float = 0.5
    """A hand at rest for this long gives control back [s], unless it was taken by the button."""
    dead_man: bool = False
    """Whether the device moves anything, and keeps control, only while the button "dead_man" is held down."""
    lost_after: float = 0.1
    """A device that is in control and not heard of for this long is lost: the arm holds still [s]."""

    def __post_init__(self) -> None:
        for device in self.devices:
            if device.partition(":")[0] not in DEVICES:
                raise ConfigError(f"teleop.devices: {device!r}: {nearest(device.partition(':')[0], DEVICES)}")
        if len(set(self.devices)) != len(self.devices):
            raise ConfigError(f"teleop.devices names a device twice: {', '.join(self.devices)}")
        for name in ("linear_speed", "angular_speed", "exponent", "lost_after"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ConfigError(f"teleop.{name} must be more than 0, not {getattr(self, name)}")
        if not 0.0 <= self.dead_zone < self.engage < 1.0:
            raise ConfigError(
                "teleop: 0 <= dead_zone < engage < 1 must hold, "
                f"not dead_zone {self.dead_zone} and engage {self.engage}"
            )
        if self.release_time < 0.0:
            raise ConfigError(f"teleop.release_time must not be negative, not {self.release_time}")
