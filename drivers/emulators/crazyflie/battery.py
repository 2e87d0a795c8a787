"""The emulated battery: a voltage that falls as it drains and sags under load, and with it the rotors.

A lithium-polymer cell as its open-circuit voltage, read from its charge, behind a resistance R:

    V = V_open(charge) - R I,    I = I_idle + I_rotor sum_i (d_i V / V_full)^3

because a rotor's power grows with the cube of its speed. The motors are brushed and driven by a duty cycle d,
so that the mean voltage at a motor is d V and, drag torque and winding aside, its speed goes with that: the
firmware's own compensation of brushed motors divides by the measured voltage for the same reason
(`motors.c` of the Crazyflie's firmware).
"""

from __future__ import annotations

import numpy as np

FULL_VOLTAGE = 4.2
"""Of a charged cell without load; the airframe's thrust curve is that of this voltage [V]."""
CHARGES = (0.0, 0.05, 0.2, 0.5, 1.0)
"""Parts of the capacity that are left."""
OPEN_VOLTAGES = (3.0, 3.5, 3.7, 3.83, FULL_VOLTAGE)
"""What a typical cell has at those without load [V]."""
RESISTANCE = 0.1
"""Of the cell, its plug and leads; an assumption [Ohm]."""
IDLE_CURRENT = 0.12
"""Of the electronics; an assumption [A]."""
ROTOR_CURRENT = 1.7
"""Of one rotor at its highest speed; so that a Crazyflie hovers for seven minutes on 250 mAh [A]."""


class Battery:
    """A battery under load.

    Args:
        capacity: [Ah].
        charge: Part of it that is left.
    """

    def __init__(self, capacity: float, charge: float) -> None:
        self.capacity = capacity
        self.charge = charge
        self.voltage = self.open_voltage
        """Under the last load [V]."""

    @property
    def open_voltage(self) -> float:
        """Without load [V]."""
        return float(np.interp(self.charge, CHARGES, OPEN_VOLTAGES))

    def rotor_speeds(self, duty: np.ndarray) -> np.ndarray:
        """(4,) speeds that duty cycles make, as parts of the highest one of a charged battery."""
        return duty * (self.voltage / FULL_VOLTAGE)

    def duty(self, speeds: np.ndarray) -> np.ndarray:
        """(4,) duty cycles in [0, 1] that make these speeds, as far as the voltage allows."""
        return np.clip(speeds * (FULL_VOLTAGE / max(self.voltage, 1.0)), 0.0, 1.0)

    def drain(self, duty: np.ndarray, duration: float) -> None:
        """Let time pass.

        Args:
            duty: (4,) duty cycles of the rotors.
            duration: [s].
        """
        current = IDLE_CURRENT + ROTOR_CURRENT * float(np.sum(self.rotor_speeds(duty) ** 3))
        self.charge = max(0.0, self.charge - current * duration / (3600.0 * self.capacity))
        self.voltage = self.open_voltage - RESISTANCE * current
