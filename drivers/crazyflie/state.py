"""What a Crazyflie says of itself, put together from its log packets.

The state comes in two packets of the same rate, because one cannot hold it: position, velocity and attitude
in the compressed form of the firmware (mm, mm/s, 32-bit quaternion), and body rates (mrad/s). All is SI here,
with x forwards, y to the left, z up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag

import numpy as np

from drivers.cameras.device_clock import DeviceClock
from drivers.crazyflie.settings import Positioning
from robot_rl.core.errors import VehicleError

STATE_VARIABLES = tuple(f"stateEstimateZ.{name}" for name in ("x", "y", "z", "vx", "vy", "vz", "quat"))
"""Logged at the full rate."""
RATE_VARIABLES = tuple(f"stateEstimateZ.{name}" for name in ("rateRoll", "ratePitch", "rateYaw"))
"""Logged at the full rate."""
HEALTH_VARIABLES = ("pm.vbat", "supervisor.info")
"""Logged at `HEALTH_RATE`, with the variances."""
_PLACE = ("kalman.varX", "kalman.varY", "kalman.varZ")
VARIANCES: Mapping[Positioning, tuple[str, str, str]] = {
    "lighthouse": _PLACE,
    "external": _PLACE,
    "flow": ("kalman.varPX", "kalman.varPY", "kalman.varZ"),
}
"""Of the estimated position [m^2]. Optical flow does not tell x and y, which the filter says too: there it is
the variance of the velocity along the body's x and y [m^2/s^2]."""
FLIGHT_VARIABLES = (
    *(f"motor.m{i}" for i in range(1, 5)),
    *("acc.z", "gyro.x", "gyro.y", "gyro.z"),
    "pm.vbatMV",
)
"""Logged at the full rate for whoever wants to identify the vehicle. They fill a packet to its last byte: the
accelerometer's other axes have no room."""
HEALTH_RATE = 20.0
"""[Hz]."""

_MILLI = 1e-3
_GRAVITY = 9.81


class Flags(IntFlag):
    """Bits of the firmware's supervisor."""

    CAN_ARM = 1 << 0
    ARMED = 1 << 1
    AUTO_ARMED = 1 << 2
    CAN_FLY = 1 << 3
    FLYING = 1 << 4
    TUMBLED = 1 << 5
    LOCKED = 1 << 6
    CRASHED = 1 << 7
    PATH_ACTIVE = 1 << 8
    PATH_FINISHED = 1 << 9
    PATH_DISABLED = 1 << 10


def check_armed(flags: Flags) -> None:
    """Raise `VehicleError` for a vehicle that is not: told to move it would do so as soon as it is armed."""
    if Flags.ARMED not in flags:
        raise VehicleError("the Crazyflie is not armed: arm it first")


def why_not_armed(flags: Flags) -> str:
    """Why a vehicle does not arm."""
    for flag, why in (
        (Flags.LOCKED, "it is locked: switch it off and on"),
        (Flags.CRASHED, "it has crashed: stand it upright and clear the fault"),
        (Flags.TUMBLED, "it does not stand upright"),
    ):
        if flag in flags:
            return why
    return "it is not ready yet"


@dataclass(frozen=True, slots=True)
class CrazyflieState:
    """Where it is and how it moves, as it believes."""

    stamp: int
    """When that was, on our clock [ns]."""
    position: np.ndarray
    """(3,) [m]."""
    quaternion: np.ndarray
    """(4,) xyzw, body to world."""
    velocity: np.ndarray
    """(3,) in the world [m/s]."""
    rates: np.ndarray
    """(3,) in the body [rad/s], at most one log period older than the rest."""


@dataclass(frozen=True, slots=True)
class Health:
    """How it is."""

    battery: float
    """[V]."""
    flags: Flags
    """The supervisor's."""
    deviation: float
    """Standard deviation of the estimated position, of the worst axis [m]; with positioning "flow" of the
    height [m] or the horizontal velocity [m/s]. Infinite without a filter that tells it."""


@dataclass(frozen=True, slots=True)
class FlightSample:
    """What identifies a vehicle."""

    time: float
    """The vehicle's own, since recording began [s]."""
    motors: np.ndarray
    """(4,) duty cycles, in [0, 1]."""
    lift: float
    """Specific force along z of the body [m/s^2]."""
    rates: np.ndarray
    """(3,) gyro, in the body [rad/s]."""
    battery: float
    """Voltage under load [V]."""


class VehicleTime:
    """The log packets' time, 24 bits of milliseconds that begin anew every 4.7 hours, unwrapped.

    Args:
        begin: Time of the first packet [ns].
    """

    def __init__(self, begin: int = 0) -> None:
        self._begin = begin
        self._first: int | None = None
        self._unwrapped = 0

    def at(self, milliseconds: int) -> int:
        """The time of a packet [ns]."""
        if self._first is None:
            self._first = self._unwrapped = milliseconds
        # A packet may have been overtaken, so the step may be small and backwards.
        step = (milliseconds - self._unwrapped + (1 << 23)) % (1 << 24) - (1 << 23)
        self._unwrapped += step
        return self._begin + 1_000_000 * (self._unwrapped - self._first)


class LogClock:
    """From the log packets' time to our clock."""

    def __init__(self) -> None:
        # However late a packet is, it is late: the vehicle's clock is not set while it is connected.
        self._clock = DeviceClock(jump=None)
        self._time = VehicleTime()

    def stamp(self, milliseconds: int, arrival: int) -> int:
        """Our time [ns] of a packet that arrived at `arrival` [ns]."""
        return self._clock.stamp(self._time.at(milliseconds), arrival)


def state_from(values: Mapping[str, float], rates: np.ndarray, stamp: int) -> CrazyflieState | None:
    """The state in a packet of `STATE_VARIABLES`; None where it is none, such as after a bad landing."""
    x, y, z, vx, vy, vz, bits = (values[name] for name in STATE_VARIABLES)
    quaternion = _quaternion(int(bits))
    position, velocity = _MILLI * np.array([x, y, z]), _MILLI * np.array([vx, vy, vz])
    if not (np.isfinite(position).all() and np.isfinite(velocity).all() and np.isfinite(quaternion).all()):
        return None
    return CrazyflieState(stamp, position, quaternion, velocity, rates)


def rates_from(values: Mapping[str, float]) -> np.ndarray:
    """(3,) [rad/s]. On the wire a positive pitch raises the nose, against the y axis."""
    roll, pitch, yaw = (values[name] for name in RATE_VARIABLES)
    return _MILLI * np.array([roll, -pitch, yaw])


def health_from(values: Mapping[str, float], positioning: Positioning) -> Health:
    """The health in a packet of `HEALTH_VARIABLES` and `VARIANCES`."""
    battery, info = (values[name] for name in HEALTH_VARIABLES)
    # A filter that runs never says 0 (1e-6 is its least); one that does not run says nothing else.
    variances = (values[name] for name in VARIANCES[positioning])
    worst = max(v if 0.0 < v < math.inf else math.inf for v in variances)
    return Health(float(battery), Flags(int(info)), math.sqrt(worst))


def sample_from(values: Mapping[str, float], time: float) -> FlightSample:
    """The sample in a packet of `FLIGHT_VARIABLES`, of this time [s]."""
    *motors, lift, gx, gy, gz, battery = (values[name] for name in FLIGHT_VARIABLES)
    rates = np.radians(np.array([gx, gy, gz]))
    return FlightSample(time, np.array(motors) / 0xFFFF, _GRAVITY * lift, rates, _MILLI * battery)


def _quaternion(bits: int) -> np.ndarray:
    """(4,) xyzw of the firmware's 32 bits.

    First the index of the largest component, which is positive and left out; then for each other a sign and
    nine bits of magnitude, in units of 1 / (511 sqrt 2).
    """
    largest = bits >> 30 & 0x3
    quaternion = np.zeros(4)
    for place, i in enumerate(reversed([i for i in range(4) if i != largest])):
        field = bits >> 10 * place & 0x3FF
        magnitude = (field & 0x1FF) / 511 * math.sqrt(0.5)
        quaternion[i] = -magnitude if field >> 9 else magnitude
    quaternion[largest] = math.sqrt(max(0.0, 1.0 - float(quaternion @ quaternion)))
    return quaternion
