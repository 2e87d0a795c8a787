"""What the emulated vehicle believes of its place, by the positioning that it has.

The estimate is the truth plus an offset. With base stations (Lighthouse) the offset is noise; with optical
flow alone it wanders; with poses from outside it follows those, and grows from the moment they stop. The
variance that is reported says so, as the real filter's does.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from drivers.emulators.crazyflie.vehicle import VehicleState

Positioning = Literal["lighthouse", "flow", "external"]

NOISE = {"lighthouse": 5e-4, "flow": 2e-3, "external": 5e-4}
"""Standard deviation of the offset with a fix [m]."""
WANDER = 0.01
"""Growth of the offset without a fix, per square root of a second [m]."""
FIX_TIME = 0.05
"""Time constant with which a fix is taken over [s]."""
FRESH = 0.3
"""Age up to which a pose from outside is a fix [s]."""
GROWTH = 0.05
"""Growth of the variance without a fix [m^2/s]."""
UNKNOWN = 100.0
"""Variance of what nothing tells: the filter's largest [m^2]."""
STEADY = 1e-4
"""Variance of the velocity where a fix of the place tells it, and at the start [m^2/s^2]."""


class Estimator:
    """The estimate of position; attitude, velocity and rates are the true ones."""

    def __init__(self, positioning: Positioning, seed: int) -> None:
        self.positioning: Positioning = positioning
        self.variance = NOISE[positioning] ** 2 if positioning != "external" else 1.0
        """Of the position, each axis [m^2]."""
        self._rng = np.random.default_rng(seed)
        self._offset = np.zeros(3)
        self._measured = np.zeros(3)
        self._measured_at = -math.inf

    def variances(self) -> dict[str, float]:
        """As the filter tells them, by name: of the place [m^2], and of the velocity [m^2/s^2]."""
        flow = self.positioning == "flow"
        across, speed = (UNKNOWN, self.variance) if flow else (self.variance, STEADY)
        place = {"varX": across, "varY": across, "varZ": self.variance}
        return place | {"varPX": speed, "varPY": speed, "varPZ": speed}

    def measure(self, position: np.ndarray, truth: VehicleState, now: float) -> None:
        """Take a position from outside; what is not finite is ignored."""
        if np.isfinite(position).all():
            self._measured, self._measured_at = position - truth.position, now

    def reset(self) -> None:
        """Forget what was believed."""
        self._offset = np.zeros(3)

    def update(self, truth: VehicleState, now: float, duration: float) -> VehicleState:
        """The estimate now."""
        blend = 1.0 - math.exp(-duration / FIX_TIME)
        noise = NOISE[self.positioning]
        if self.positioning == "lighthouse":
            target = self._rng.normal(0.0, noise, 3)
            self._offset += blend * (target - self._offset)
        elif self.positioning == "external" and now - self._measured_at < FRESH:
            self._offset += blend * (self._measured - self._offset)
            self.variance += blend * (noise**2 - self.variance)
        else:
            self._offset += self._rng.normal(0.0, WANDER * math.sqrt(duration), 3)
            if self.positioning == "flow":
                self._offset[2] = 0.0  # measured by its range finder
            else:
                self.variance += GROWTH * duration
        return truth._replace(position=truth.position + self._offset)
