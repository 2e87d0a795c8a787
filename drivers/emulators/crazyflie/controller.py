"""The emulated firmware's controller: from a setpoint to rotor commands.

A cascade on SO(3), after Lee, Leok and McClamroch, "Geometric tracking control of a quadrotor UAV on SE(3)"
(CDC 2010): position and velocity errors give an acceleration a, the thrust points along a + g e_z, an
attitude error gives body rates, and rate errors a torque. The lag of the rotors is inverted with an estimate
s of their speed: the command s + T / T' (s* - s) makes of a rotor's time constant T the shorter T'.
"""

from __future__ import annotations

import math

import numpy as np

from drivers.emulators.crazyflie.airframe import Airframe, lag_factor
from drivers.emulators.crazyflie.setpoints import Setpoint
from drivers.emulators.crazyflie.vehicle import VehicleState
from robot_rl.core.frames import (
    conjugate,
    matrix_from_quaternion,
    multiply,
    quaternion_from_matrix,
    rotation_vector,
)

POSITION_GAIN = 6.0
"""[1/s^2]."""
VELOCITY_GAIN = 4.0
"""[1/s]."""
ATTITUDE_GAIN = 9.0
"""Body rate over attitude error [1/s]."""
RATE_GAIN = 25.0
"""Angular acceleration over rate error [1/s]."""
MAX_TILT = math.radians(35.0)
"""[rad]."""
MAX_ACCELERATION = 6.0
"""Of the position loop, each axis [m/s^2]."""
MAX_ERROR = 1.0
"""Position error that is acted on, each axis [m]."""
MAX_RATE = 6.0
"""Wanted body rate, each axis [rad/s]."""
FAST_LAG = 0.02
"""T' [s]."""


class Controller:
    """Keeps what a controller has to remember: the heading, and the rotors' speeds."""

    def __init__(self, airframe: Airframe) -> None:
        self.airframe = airframe
        self._inertia = np.array(airframe.inertia)
        self._mixer = np.linalg.inv(airframe.allocation())
        self._rotors = np.zeros(4)
        self._yaw = math.nan

    def update(self, setpoint: Setpoint, state: VehicleState, duration: float) -> np.ndarray:
        """The (4,) rotor commands in [0, 1] for the next `duration` [s]."""
        if setpoint.stops:
            self._yaw = math.nan
            return self._drive(np.zeros(4), duration)
        matrix = matrix_from_quaternion(state.quaternion)
        heading = math.atan2(matrix[1, 0], matrix[0, 0])
        yaw = self._wanted_yaw(setpoint, heading, duration)
        push = self._wanted_acceleration(setpoint, state, heading)
        push[2] += self.airframe.gravity
        if math.isnan(setpoint.tilt[0]):
            wanted = _attitude_for(push, yaw)
        else:
            wanted = _attitude_of(*setpoint.tilt, yaw)
        up = matrix[:, 2]
        if math.isnan(setpoint.thrust):
            force = self.airframe.mass * max(0.0, float(push @ up))
        else:
            force = setpoint.thrust * 4.0 * self.airframe.max_thrust
        error = rotation_vector(multiply(conjugate(state.quaternion), wanted))
        rates = np.clip(ATTITUDE_GAIN * error, -MAX_RATE, MAX_RATE)
        rates[2] += setpoint.yaw_rate * up[2]
        for axis, rate in enumerate(setpoint.tilt_rates):
            if not math.isnan(rate):
                rates[axis] = rate
        turn = RATE_GAIN * (rates - state.rates)
        torque = self._inertia * turn + np.cross(state.rates, self._inertia * state.rates)
        return self._drive(self._mix(force, torque), duration)

    def _wanted_yaw(self, setpoint: Setpoint, heading: float, duration: float) -> float:
        if not math.isnan(setpoint.yaw):
            self._yaw = setpoint.yaw
        elif math.isnan(self._yaw):
            self._yaw = heading
        else:
            self._yaw += duration * setpoint.yaw_rate
        return self._yaw

    def _wanted_acceleration(self, setpoint: Setpoint, state: VehicleState, heading: float) -> np.ndarray:
        velocity = np.array(setpoint.velocity)
        if setpoint.body_velocity:
            c, s = math.cos(heading), math.sin(heading)
            velocity[:2] = c * velocity[0] - s * velocity[1], s * velocity[0] + c * velocity[1]
        position = np.array(setpoint.position)
        placed, moving = ~np.isnan(position), ~np.isnan(velocity)
        error = np.where(placed, np.clip(position - state.position, -MAX_ERROR, MAX_ERROR), 0.0)
        speed = np.where(moving, velocity, 0.0) - state.velocity
        wanted = POSITION_GAIN * error + VELOCITY_GAIN * speed + np.array(setpoint.acceleration)
        return np.where(placed | moving, np.clip(wanted, -MAX_ACCELERATION, MAX_ACCELERATION), 0.0)

    def _mix(self, force: float, torque: np.ndarray) -> np.ndarray:
        """Rotor thrusts [N]; where they do not suffice, yaw goes first and then the height."""
        thrusts = self._mixer @ np.array([force, torque[0], torque[1], 0.0])
        yaw = self._mixer[:, 3] * torque[2]
        most = self.airframe.max_thrust
        thrusts += min(0.0, most - float(thrusts.max()))
        thrusts += max(0.0, -float(thrusts.min()))
        room = np.where(yaw > 0.0, most - thrusts, thrusts)
        need = float(np.max(np.abs(yaw) / np.maximum(room, 1e-9)))
        return thrusts + yaw / max(need, 1.0)

    def _drive(self, thrusts: np.ndarray, duration: float) -> np.ndarray:
        """Rotor commands that make these thrusts soon."""
        frame = self.airframe
        speeds = frame.speeds(thrusts) if thrusts.any() else np.zeros(4)
        lack = speeds - self._rotors
        lag = np.where(lack > 0.0, frame.spin_up_time, frame.spin_down_time)
        lead = np.maximum(lag / FAST_LAG, 1.0) if thrusts.any() else np.ones(4)
        command = np.clip(self._rotors + lead * lack, 0.0, 1.0)
        lack = command - self._rotors
        up = lag_factor(duration, frame.spin_up_time)
        down = lag_factor(duration, frame.spin_down_time)
        self._rotors = self._rotors + lack * np.where(lack > 0.0, up, down)
        return command


def _attitude_for(push: np.ndarray, yaw: float) -> np.ndarray:
    """The attitude whose z axis points along `push` and whose x axis has the heading `yaw`."""
    lift = max(float(push[2]), 1.0)
    level = push[:2] / lift
    steepness = math.hypot(level[0], level[1])
    limit = math.tan(MAX_TILT)
    if steepness > limit:
        level = level * (limit / steepness)
    z = np.array([level[0], level[1], 1.0])
    z /= math.sqrt(float(z @ z))
    side = np.array([-math.sin(yaw), math.cos(yaw), 0.0])
    x = np.cross(side, z)
    x /= math.sqrt(float(x @ x))
    return quaternion_from_matrix(np.column_stack([x, np.cross(z, x), z]))


def _attitude_of(roll: float, pitch: float, yaw: float) -> np.ndarray:
    """Yaw, then pitch, then roll, about the moving axes."""
    halves = (0.5 * roll, 0.5 * pitch, 0.5 * yaw)
    turns = [np.zeros(4) for _ in halves]
    for axis, half in enumerate(halves):
        turns[axis][axis], turns[axis][3] = math.sin(half), math.cos(half)
    return multiply(turns[2], multiply(turns[1], turns[0]))
