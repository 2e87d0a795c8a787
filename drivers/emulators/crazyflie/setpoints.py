"""What the vehicle is asked to do, decoded from the packets of the commander ports.

Units of the wire are degrees, millimetres and 16-bit thrust; here all is SI and in axes with x forwards, y to
the left, z up. On the wire a positive pitch raises the nose, against the sense of the y axis.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace

from drivers.emulators.crazyflie.encoding import decompress_quaternion
from robot_rl.core.frames import matrix_from_quaternion

FREE = (math.nan, math.nan, math.nan)
"""Axes that are not controlled."""

LEAST_THRUST = 1000
"""16-bit thrust below which the motors stop."""
FULL_THRUST = 60_000
"""Largest 16-bit thrust that is obeyed."""

MILLI = 1e-3


@dataclass(frozen=True)
class Setpoint:
    """Goals of the controller; NaN where there is none. All NaN and no thrust stops the motors."""

    position: tuple[float, float, float] = FREE
    """In the world [m]."""
    velocity: tuple[float, float, float] = FREE
    """In the world [m/s]; beside a position it is the reference's own velocity."""
    acceleration: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """The reference's own, in the world [m/s^2]."""
    yaw: float = math.nan
    """[rad]."""
    yaw_rate: float = 0.0
    """[rad/s]; beside a yaw the reference's own."""
    tilt: tuple[float, float] = (math.nan, math.nan)
    """Roll and pitch, about x and y [rad]; x and y are then free."""
    tilt_rates: tuple[float, float] = (math.nan, math.nan)
    """Angular velocity about x and y [rad/s], in place of a tilt."""
    thrust: float = math.nan
    """Part of the largest thrust, in [0, 1]; z is then free."""
    body_velocity: bool = False
    """Whether the velocity's x and y are along the body's heading."""

    @property
    def stops(self) -> bool:
        """Whether it asks for nothing at all."""
        goals = (*self.position, *self.velocity, self.thrust)
        return all(math.isnan(goal) for goal in goals)


STOP = Setpoint()
"""Motors off."""


def decode_roll_pitch(data: bytes, rate_mode: tuple[bool, bool] = (False, False)) -> Setpoint | None:
    """Port 3: roll, pitch [deg], yaw rate [deg/s], thrust. A positive yaw rate turns to the right.

    Args:
        data: Of the packet.
        rate_mode: Whether roll and pitch are rates [deg/s].
    """
    if len(data) != 14:
        return None
    roll, pitch, yaw_rate, thrust = struct.unpack("<fffH", data)
    return _manual(roll, pitch, -yaw_rate, thrust, rate_mode)


def _manual(roll: float, pitch: float, yaw_rate: float, thrust: int, rate: tuple[bool, bool]) -> Setpoint:
    if thrust < LEAST_THRUST:
        return STOP
    angles = math.radians(roll), math.radians(-pitch)
    tilt = tuple(math.nan if by_rate else a for a, by_rate in zip(angles, rate, strict=True))
    rates = tuple(a if by_rate else math.nan for a, by_rate in zip(angles, rate, strict=True))
    return Setpoint(
        tilt=(tilt[0], tilt[1]),
        tilt_rates=(rates[0], rates[1]),
        yaw_rate=math.radians(yaw_rate),
        thrust=min(thrust, FULL_THRUST) / 0xFFFF,
    )


def decode_generic(data: bytes) -> Setpoint | None:
    """Port 7, channel 0: a type and what belongs to it; None for what is no setpoint."""
    if not data:
        return None
    kind, rest = data[0], data[1:]
    if kind not in _DECODERS or len(rest) != _DECODERS[kind][0].size:
        return None
    layout, decoder = _DECODERS[kind]
    values = layout.unpack(rest)
    if not all(math.isfinite(value) for value in values):
        return None
    return decoder(*values)


def _stop() -> Setpoint:
    return STOP


def _full_state(*values: int) -> Setpoint:
    position, velocity, acceleration = ([MILLI * v for v in values[i : i + 3]] for i in (0, 3, 6))
    forward = matrix_from_quaternion(decompress_quaternion(values[9] & 0xFFFFFFFF))[:, 0]
    return Setpoint(
        position=(position[0], position[1], position[2]),
        velocity=(velocity[0], velocity[1], velocity[2]),
        acceleration=(acceleration[0], acceleration[1], acceleration[2]),
        yaw=math.atan2(float(forward[1]), float(forward[0])),
        yaw_rate=MILLI * values[12],
    )


def _position(x: float, y: float, z: float, yaw: float) -> Setpoint:
    return Setpoint(position=(x, y, z), yaw=math.radians(yaw))


def _velocity(x: float, y: float, z: float, yaw_rate: float) -> Setpoint:
    return Setpoint(velocity=(x, y, z), yaw_rate=math.radians(yaw_rate))


def _height(roll: float, pitch: float, yaw_rate: float, z: float) -> Setpoint:
    tilt = math.radians(roll), math.radians(-pitch)
    return Setpoint(position=(math.nan, math.nan, z), tilt=tilt, yaw_rate=math.radians(yaw_rate))


def _hover(x: float, y: float, yaw_rate: float, z: float) -> Setpoint:
    return Setpoint(
        position=(math.nan, math.nan, z),
        velocity=(x, y, math.nan),
        yaw_rate=math.radians(yaw_rate),
        body_velocity=True,
    )


def _manual_packet(roll: float, pitch: float, yaw_rate: float, thrust: int, rate: int) -> Setpoint:
    return _manual(roll, pitch, yaw_rate, thrust, (bool(rate), bool(rate)))


_DECODERS = {
    0: (struct.Struct("<"), _stop),
    6: (struct.Struct("<9hi3h"), _full_state),
    7: (struct.Struct("<4f"), _position),
    8: (struct.Struct("<4f"), _velocity),
    9: (struct.Struct("<4f"), _height),
    10: (struct.Struct("<4f"), _hover),
    11: (struct.Struct("<3fHB"), _manual_packet),
}
"""Type: layout, decoder."""


def levelled(setpoint: Setpoint, height: float) -> Setpoint:
    """What is made of a setpoint that has grown old: level, the height as it was.

    Args:
        setpoint: The old one.
        height: To hold where it had none [m].
    """
    z = height if math.isnan(setpoint.position[2]) else setpoint.position[2]
    if not math.isnan(setpoint.thrust):
        z = math.nan
    return replace(
        setpoint,
        position=(math.nan, math.nan, z),
        velocity=FREE,
        acceleration=(0.0, 0.0, 0.0),
        yaw=math.nan,
        yaw_rate=0.0,
        tilt=(0.0, 0.0),
        tilt_rates=(math.nan, math.nan),
        body_velocity=False,
    )
