"""What the emulated firmware knows of its own quadrotor, and how it makes forces of rotor speeds.

Axes: x forwards, y to the left, z up, origin in the centre of mass; rotors front right, back right, back
left, front left. A rotor's speed s is a part of the highest, its thrust c0 + c1 s + c2 s^2. The fields have
the names and meanings of `sim.quadrotor.parameters.QuadrotorParameters`, so that a simulated quadrotor can be
described with the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Airframe:
    """A quadrotor.

    The defaults are a Crazyflie 2.0 after Förster, "System Identification of the Crazyflie 2.0 Nano
    Quadrocopter" (ETH Zürich, 2015); the rotors' lag is an assumption.
    """

    mass: float = 0.028
    """[kg]."""
    inertia: tuple[float, float, float] = (16.57e-6, 16.66e-6, 29.26e-6)
    """About x, y, z [kg m^2]."""
    rotor_x: tuple[float, float, float, float] = (0.0325, -0.0325, -0.0325, 0.0325)
    """[m]."""
    rotor_y: tuple[float, float, float, float] = (-0.0325, -0.0325, 0.0325, 0.0325)
    """[m]."""
    spin: tuple[float, float, float, float] = (-1.0, 1.0, -1.0, 1.0)
    """Sign of each rotor's drag torque about z."""
    thrust: tuple[float, float, float] = (5.485e-4, 0.06767, 0.09149)
    """c0, c1, c2 of one rotor [N]."""
    torque_per_thrust: float = 0.005964552
    """[m]."""
    spin_up_time: float = 0.05
    """Time constant of a rotor that accelerates [s]."""
    spin_down_time: float = 0.05
    """Time constant of one that slows down [s]."""
    gravity: float = 9.81
    """[m/s^2]."""

    @property
    def max_thrust(self) -> float:
        """Of one rotor [N]."""
        return sum(self.thrust)

    def allocation(self) -> np.ndarray:
        """(4, 4) from the rotors' thrusts [N] to force along z [N] and torque [Nm]."""
        x, y, spin = np.array(self.rotor_x), np.array(self.rotor_y), np.array(self.spin)
        return np.stack([np.ones(4), y, -x, self.torque_per_thrust * spin])

    def thrusts(self, speeds: np.ndarray) -> np.ndarray:
        """(4,) thrusts [N] of rotors at these speeds."""
        c0, c1, c2 = self.thrust
        return c0 + speeds * (c1 + speeds * c2)

    def speeds(self, thrusts: np.ndarray) -> np.ndarray:
        """(4,) speeds in [0, 1] that come nearest to these thrusts [N]."""
        c0, c1, c2 = self.thrust
        wanted = np.clip(thrusts, c0, self.max_thrust) - c0
        if c2 == 0.0:
            return wanted / c1
        return (np.sqrt(c1 * c1 + 4.0 * c2 * wanted) - c1) / (2.0 * c2)

    @property
    def hover_speed(self) -> float:
        """Speed of the rotors that carries the weight."""
        return float(self.speeds(np.full(4, self.mass * self.gravity / 4.0))[0])


def lag_factor(duration: float, time_constant: float) -> float:
    """Part of the way to a constant command that a first-order lag goes in `duration` [s]."""
    return 1.0 - math.exp(-duration / time_constant)
