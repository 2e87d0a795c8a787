"""Streamed setpoints: from SI units to what cflib sends, within the limits of the settings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from drivers.crazyflie.limits import checked, limited_position, limited_tilt, limited_velocity
from drivers.crazyflie.settings import CrazyflieConfig
from robot_rl.core.errors import InvalidActionError
from robot_rl.core.types import Pose

Commander = Any
"""cflib's, which has no types."""
Setpoint = Callable[[Commander, np.ndarray], None]
"""Sends a setpoint to a vehicle at (3,) [m]."""
WIDEST = 32.0
"""Largest number of a whole state: thousandths of all are sent in 16 bits."""
LEAST_THRUST, MOST_THRUST, FULL_THRUST = 10_001, 60_000, 0xFFFF
"""16-bit thrusts that cflib sends for 0 and 100 %, and the motors' largest."""


def position_setpoint(config: CrazyflieConfig, position: np.ndarray, yaw: float) -> Setpoint:
    """Be at (3,) [m] with a yaw [rad]."""
    checked("yaw", yaw)
    x, y, z = limited_position(config, position).tolist()
    return lambda commander, _: commander.send_position_setpoint(x, y, z, math.degrees(yaw))


def velocity_setpoint(config: CrazyflieConfig, velocity: np.ndarray, yaw_rate: float) -> Setpoint:
    """Move with (3,) in the world [m/s], turn with a yaw rate [rad/s]."""
    checked("yaw_rate", yaw_rate)
    slowed = limited_velocity(config, velocity)

    def send(commander: Commander, place: np.ndarray) -> None:
        vx, vy, vz = limited_velocity(config, slowed, place).tolist()
        commander.send_velocity_world_setpoint(vx, vy, vz, math.degrees(yaw_rate))

    return send


def full_state_setpoint(
    config: CrazyflieConfig, pose: Pose, velocity: np.ndarray, acceleration: np.ndarray, yaw_rate: float
) -> Setpoint:
    """A whole state of a reference; see `Crazyflie.send_full_state`."""
    checked("acceleration, yaw rate and attitude", acceleration, yaw_rate, pose.quaternion)
    if abs(float(np.linalg.norm(pose.quaternion)) - 1.0) > 1e-3:
        raise InvalidActionError(f"an attitude is a unit quaternion, not {pose.quaternion}")
    position = limited_position(config, pose.position).tolist()
    speed = limited_velocity(config, velocity).tolist()
    push, quaternion = acceleration.tolist(), pose.quaternion.tolist()
    if max(map(abs, (*position, *speed, *push, yaw_rate))) > WIDEST:
        raise InvalidActionError(
            f"a whole state holds numbers up to {WIDEST:g} m, m/s, m/s^2, rad/s; this one has the position "
            f"{position}, velocity {speed}, acceleration {push}, yaw rate {yaw_rate}"
        )
    # cflib's text says degrees, but the firmware takes what it sends for milliradians.
    turn = (0.0, 0.0, yaw_rate)
    return lambda commander, _: commander.send_full_state_setpoint(position, speed, push, quaternion, *turn)


def attitude_setpoint(
    config: CrazyflieConfig, roll: float, pitch: float, yaw_rate: float, thrust: float
) -> Setpoint:
    """Roll and pitch about x and y [rad], yaw rate [rad/s], thrust in [0, 1] of the largest.

    cflib sends thrusts from 0.15 to 0.92; others are clipped to these.
    """
    checked("yaw_rate and thrust", yaw_rate, thrust)
    roll, pitch = limited_tilt(config, roll, pitch)
    angles = math.degrees(roll), math.degrees(pitch), math.degrees(yaw_rate)
    part = (FULL_THRUST * thrust - LEAST_THRUST) / (MOST_THRUST - LEAST_THRUST)
    percent = 100.0 * min(max(part, 0.0), 1.0)
    return lambda commander, _: commander.send_setpoint_manual(*angles, percent, False)
