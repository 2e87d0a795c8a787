"""The simulator's quadrotor behind the emulated firmware: the C stepper of `sim/quadrotor`, over a floor.

Imports no ROS.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from drivers.emulators.crazyflie.airframe import Airframe
from drivers.emulators.crazyflie.firmware import STEP
from drivers.emulators.crazyflie.vehicle import VehicleState, on_floor
from sim.quadrotor.native import STATE_ROWS, NativeStepper
from sim.quadrotor.parameters import QuadrotorParameters


def airframe_of(parameters: QuadrotorParameters) -> Airframe:
    """The same quadrotor as the firmware knows it."""
    return Airframe(**{field.name: getattr(parameters, field.name) for field in dataclasses.fields(Airframe)})


class SimulatedVehicle:
    """A `Vehicle` of the simulator.

    Args:
        parameters: What it is.
    """

    def __init__(self, parameters: QuadrotorParameters) -> None:
        self._airframe = airframe_of(parameters)
        self._stepper = NativeStepper(parameters, STEP)
        self._rows = np.zeros((STATE_ROWS, 1), np.float32)
        self._rows[6] = 1.0
        self._at_rest = np.array([0.0, 0.0, parameters.gravity])
        self._state = self._read(self._at_rest)

    def state(self) -> VehicleState:
        return self._state

    def advance(self, command: np.ndarray, duration: float) -> None:
        count = max(1, round(duration / STEP))
        action = (2.0 * command - 1.0).astype(np.float32)
        self._stepper.advance(self._rows, np.ascontiguousarray(np.tile(action[:, None], (count, 1, 1))))
        lift = float(self._airframe.thrusts(self._rows[13:, 0].astype(float)).sum())
        self._state = self._read(np.array([0.0, 0.0, lift / self._airframe.mass]))
        if self._state.position[2] < 0.0:
            self._state = on_floor(self._state, self._airframe.gravity)
            self._rows[:13, 0] = np.concatenate(self._state[:4])

    def _read(self, specific_force: np.ndarray) -> VehicleState:
        rows = self._rows[:13, 0].astype(float)
        return VehicleState(rows[:3], rows[3:7], rows[7:10], rows[10:], specific_force)
