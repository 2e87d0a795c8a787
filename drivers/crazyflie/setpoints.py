"""Streamed setpoints: from SI units to what cflib sends, within the limits of the settings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from drivers.crazyflie.limits import checked, limited_position, limited_tilt, limited_velocity
from drivers.crazyflie.settings import CrazyflieConfig
from robot_rl.core.types import Pose

Commander = Any
"""cflib's, which has no types."""
Setpoint = Callable[[Commander, np.ndarray], None]
"""Sends a setpoint to a vehicle at (3,) [m]."""


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
    position = limited_position(config, pose.position).tolist()
    speed = limited_velocity(config, velocity).tolist()
    push, quaternion = acceleration.tolist(), pose.quaternion.tolist()
    # cflib's text says degrees, but the firmware takes what it sends for milliradians.
    turn = (0.0, 0.0, yaw_rate)
    return lambda commander, _: commander.send_full_state_setpoint(position, speed, push, quaternion, *turn)


def attitude_setpoint(
    config: CrazyflieConfig, roll: float, pitch: float, yaw_rate: float, thrust: float
) -> Setpoint:
    """Roll and pitch about x and y [rad], yaw rate [rad/s], thrust in [0, 1] of the largest."""
    checked("yaw_rate and thrust", yaw_rate, thrust)
    roll, pitch = limited_tilt(config, roll, pitch)
    angles = math.degrees(roll), math.degrees(pitch), math.degrees(yaw_rate)
    percent = 100.0 * min(max(thrust, 0.0), 1.0)
    return lambda commander, _: commander.send_setpoint_manual(*angles, percent, False)
