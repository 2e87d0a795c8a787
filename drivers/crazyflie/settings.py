"""Settings of a Crazyflie. Imports no driver."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from robot_rl.core.errors import ConfigError

Positioning = Literal["lighthouse", "flow", "external"]


@dataclass(frozen=True)
class CrazyflieConfig:
    """Which Crazyflie, how it knows its place, and how far it may be trusted."""

    uri: str = "radio://0/80/2M/E7E7E7E7E7"
    """Where it is: radio://DONGLE/CHANNEL/RATE/ADDRESS, usb://0, or udp://HOST:PORT of an emulated one."""
    positioning: Positioning = "lighthouse"
    """Where it knows its place from: base stations, the flow deck, or poses that we send."""
    log_rate: float = 100.0
    """States a second, at most 100 [Hz]."""
    parameters: tuple[str, ...] = ()
    """Set once connected, each as GROUP.NAME=VALUE."""
    cache: str = ""
    """Folder in which tables of contents are kept, so that the next connection is faster; "" for none."""
    connect_timeout: float = 20.0
    """Longest time until it is connected [s]."""
    link_timeout: float = 1.0
    """After this long without a word of its state the link is lost, which is a fault [s]."""
    state_timeout: float = 0.25
    """An older state is refused, and with it every command but those that end a flight [s]."""
    setpoint_timeout: float = 0.3
    """A stream of setpoints that pauses for this long is ended: it holds its place [s]; less than the
    firmware's own 0.5 s."""
    max_deviation: float = 0.1
    """Standard deviation of the estimated position beyond which it is not trusted [m]; with positioning
    "flow", of its height and of its horizontal velocity [m/s]."""
    lowest: tuple[float, float, float] = (-2.0, -2.0, 0.0)
    """Corner of the box that commanded positions are clipped to [m]."""
    highest: tuple[float, float, float] = (2.0, 2.0, 2.0)
    """The opposite corner [m]."""
    max_speed: float = 1.5
    """Commanded velocities are scaled down to this, and flights to a place take as long as it takes [m/s]."""
    max_tilt: float = 0.6
    """Commanded roll and pitch are clipped to this [rad]."""
    low_battery: float = 3.3
    """Voltage below which it is not armed and does not take off [V]."""
    empty_battery: float = 2.9
    """Voltage under load below which it lands [V]; 0 to fly until it falls."""

    def __post_init__(self) -> None:
        if not self.uri.partition("://")[1]:
            raise ConfigError(
                f"uri {self.uri!r} is none: radio://0/80/2M/E7E7E7E7E7, usb://0, udp://HOST:PORT"
            )
        if self.positioning not in ("lighthouse", "flow", "external"):
            raise ConfigError(f"positioning must be lighthouse, flow or external, not {self.positioning!r}")
        if not 1.0 <= self.log_rate <= 100.0:
            raise ConfigError(f"log_rate must be in [1, 100] Hz, not {self.log_rate}")
        times = ("connect_timeout", "link_timeout", "state_timeout", "setpoint_timeout")
        for name in (*times, "max_deviation", "max_speed", "max_tilt"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be more than 0, not {getattr(self, name)}")
        for name in ("low_battery", "empty_battery"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must not be negative, not {getattr(self, name)}")
        if not all(low < high for low, high in zip(self.lowest, self.highest, strict=True)):
            raise ConfigError(f"lowest must be below highest on every axis: {self.lowest}, {self.highest}")
        for text in self.parameters:
            name, equals, value = text.partition("=")
            if not equals or name.count(".") != 1 or not _is_number(value):
                raise ConfigError(f"parameters: {text!r} is not of the form GROUP.NAME=VALUE with a number")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
