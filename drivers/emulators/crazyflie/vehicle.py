"""What flies behind the emulator: anything that takes rotor commands and says where it is.

`RigidVehicle` is a small model of its own for tests of the driver: a rigid body over a floor. The simulator's
takes its place where both may be imported (`robot_rl.nodes.simulated_crazyflie`).
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np

from drivers.emulators.crazyflie.airframe import Airframe, lag_factor
from robot_rl.core.frames import (
    matrix_from_quaternion,
    multiply,
    quaternion_from_rotation_vector,
    swing_twist,
    yaw_quaternion,
)

CRASH_TILT = math.cos(math.radians(60.0))
"""Cosine of the tilt beyond which a vehicle that touches the floor does not come to stand [1]."""


class VehicleState(NamedTuple):
    """Where a vehicle is and how it moves."""

    position: np.ndarray
    """(3,) in the world [m]; the floor is z = 0."""
    quaternion: np.ndarray
    """(4,) xyzw, body to world."""
    velocity: np.ndarray
    """(3,) in the world [m/s]."""
    rates: np.ndarray
    """(3,) in the body [rad/s]."""
    specific_force: np.ndarray
    """(3,) what an accelerometer feels, in the body [m/s^2]."""


class Vehicle(Protocol):
    """A quadrotor, real time left aside."""

    def state(self) -> VehicleState: ...

    def advance(self, command: np.ndarray, duration: float) -> None:
        """Let time pass.

        Args:
            command: (4,) speeds that the rotors are asked for, as parts of the highest, in [0, 1].
            duration: [s]; a few milliseconds.
        """
        ...


class RigidVehicle:
    """A rigid body with lagging rotors over a floor, integrated by the semi-implicit Euler method.

    The equations are those of `sim/quadrotor/dynamics.py`. At steps of 2 ms its path is good to some mm in
    half a second, which is all that tests of a driver need.
    """

    def __init__(self, airframe: Airframe, position: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
        self.airframe = airframe
        self._allocation = airframe.allocation()
        self._inertia = np.array(airframe.inertia)
        self._gravity = np.array([0.0, 0.0, -airframe.gravity])
        self._rotors = np.zeros(4)
        force = np.array([0.0, 0.0, airframe.gravity])
        self._state = VehicleState(
            np.array(position, dtype=float), np.array([0.0, 0, 0, 1]), np.zeros(3), np.zeros(3), force
        )

    def state(self) -> VehicleState:
        return self._state

    def place(self, state: VehicleState) -> None:
        """Take it up and put it here."""
        self._state = state

    @property
    def rotors(self) -> np.ndarray:
        """(4,) true speeds, as parts of the highest."""
        return self._rotors

    def advance(self, command: np.ndarray, duration: float) -> None:
        frame, now = self.airframe, self._state
        up = lag_factor(duration, frame.spin_up_time)
        down = lag_factor(duration, frame.spin_down_time)
        lack = np.clip(command, 0.0, 1.0) - self._rotors
        thrusts = frame.thrusts(self._rotors)
        self._rotors = self._rotors + lack * np.where(lack > 0.0, up, down)
        felt = frame.thrusts(self._rotors)
        wrench = self._allocation @ (0.5 * (thrusts + felt))
        matrix = matrix_from_quaternion(now.quaternion)
        force = np.array([0.0, 0.0, wrench[0] / frame.mass])
        momentum = self._inertia * now.rates
        turn = (wrench[1:] - np.cross(now.rates, momentum)) / self._inertia
        velocity = now.velocity + duration * (matrix @ force + self._gravity)
        rates = now.rates + duration * turn
        position = now.position + duration * velocity
        quaternion = multiply(now.quaternion, quaternion_from_rotation_vector(duration * rates))
        quaternion /= math.sqrt(float(quaternion @ quaternion))
        force = np.array([0.0, 0.0, float(felt.sum()) / frame.mass])
        self._state = VehicleState(position, quaternion, velocity, rates, force)
        if position[2] < 0.0:
            self._state = on_floor(self._state, frame.gravity)


def on_floor(state: VehicleState, gravity: float) -> VehicleState:
    """What comes of a vehicle that touches the floor: it rests, standing or lying as it fell.

    Args:
        state: At the touch.
        gravity: [m/s^2].
    """
    quaternion = state.quaternion
    if matrix_from_quaternion(quaternion)[2, 2] > CRASH_TILT:
        quaternion = yaw_quaternion(swing_twist(quaternion)[1])
    position = np.array([state.position[0], state.position[1], 0.0])
    felt = matrix_from_quaternion(quaternion).T @ np.array([0.0, 0.0, gravity])
    return VehicleState(position, quaternion, np.zeros(3), np.zeros(3), felt)
