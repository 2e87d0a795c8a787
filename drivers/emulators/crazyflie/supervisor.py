"""Whether the motors may turn: arming, the commander's watchdog, tumbling, emergency stop.

States and times are those of the firmware. What happens when setpoints stop coming is a choice here: the
stock firmware levels out after 0.5 s and stops the motors after 2 s, so that the vehicle falls; one that is
kept safe holds its place, or lands.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Literal

import numpy as np

from drivers.emulators.crazyflie.vehicle import VehicleState

FailSafe = Literal["land", "hold", "stock"]
"""What a vehicle does that nobody commands any more."""

WARNING_AGE = 0.5
"""Age of a setpoint from which the vehicle looks after itself [s]."""
TIMEOUT_AGE = 2.0
"""Age of a setpoint at which the stock firmware stops the motors [s]."""
PREFLIGHT_TIMEOUT = 30.0
"""An armed vehicle that does not fly for this long is disarmed [s]."""
LANDING_TIMEOUT = 3.0
"""One that has landed is disarmed after this [s]."""
FLYING_HYSTERESIS = 2.0
"""It counts as flying until this long after its motors were last above idle [s]."""
WATCHDOG = 1.0
"""Longest time between two notifications of the emergency-stop watchdog, once it was used [s]."""
IDLE = 0.05
"""Rotor command up to which a motor idles."""
TILT_TIME, TILT_FORCE = 1.0, 0.5 * 9.81
"""Tumbled: less than this along z [m/s^2] for this long [s]."""
UPSIDE_DOWN_TIME, UPSIDE_DOWN_FORCE = 0.1, -0.2 * 9.81
"""The same for upside down."""
FREE_FALL = 0.1 * 9.81
"""Less than this along every axis is a fall, no tumble [m/s^2]."""


class Mode(Enum):
    """What is done with the setpoint."""

    OBEY = "obey"
    """Follow it."""
    LEVEL = "level"
    """It is old: level out, the height as it is."""
    OFF = "off"
    """Motors off."""


class Supervisor:
    """The state of the whole vehicle. Times are the firmware's [s]."""

    def __init__(self) -> None:
        self.is_armed = False
        self.is_flying = False
        self.is_tumbled = False
        self.is_crashed = False
        self.is_locked = False
        """Until the next start of the firmware."""
        self.tumble_check = True
        self._emergency = False
        self._notified = math.nan
        self._thrust_at = -math.inf
        self._still_since = 0.0
        """Since when it is armed and on the ground, or landed."""
        self._has_flown = False
        self._tilted_since = math.nan

    @property
    def can_arm(self) -> bool:
        return not (self.is_armed or self.is_tumbled or self.is_crashed or self.is_locked)

    def arm(self, wanted: bool, now: float) -> bool:
        """Arm or disarm; whether that is granted."""
        if wanted == self.is_armed:
            return True
        if wanted and not self.can_arm:
            return False
        self.is_armed, self._still_since, self._has_flown = wanted, now, False
        return True

    def recover(self) -> bool:
        """Forget a crash, once the vehicle stands upright again."""
        if self.is_tumbled and self.is_crashed:
            return False
        self.is_crashed = False
        return True

    def stop_now(self) -> None:
        """Emergency stop."""
        self._emergency = True

    def feed_watchdog(self, now: float) -> None:
        """Go on with the motors; from the first call on it has to come again and again."""
        self._notified = now

    def update(self, now: float, state: VehicleState, command: np.ndarray, age: float) -> Mode:
        """Look at everything once.

        Args:
            now: [s].
            state: Of the vehicle.
            command: (4,) last rotor command.
            age: Of the setpoint [s].
        """
        if float(np.max(command)) > IDLE:
            self._thrust_at = now
        was_flying, self.is_flying = self.is_flying, now - self._thrust_at < FLYING_HYSTERESIS
        if self.is_flying:
            self._has_flown = True
        elif was_flying:
            self._still_since = now
        self.is_tumbled = self.tumble_check and self._tumbled(now, state)
        if self._emergency or now - self._notified > WATCHDOG:
            self._lock()
        elif self.is_armed and self.is_flying and self.is_tumbled:
            self.is_crashed = True
            self.is_armed = False
        elif self.is_armed and self.is_flying and age > TIMEOUT_AGE:
            self._lock()
        elif self.is_armed and not self.is_flying:
            patience = LANDING_TIMEOUT if self._has_flown else PREFLIGHT_TIMEOUT
            if now - self._still_since > patience or self.is_tumbled:
                self.is_armed = False
        if not self.is_armed:
            return Mode.OFF
        return Mode.LEVEL if age > WARNING_AGE and self.is_flying else Mode.OBEY

    def info(self, active: bool, finished: bool) -> int:
        """The bits that are logged and asked for.

        Args:
            active: The high-level commander flies.
            finished: It is at the end of its path.
        """
        flags = (
            self.can_arm,
            self.is_armed,
            False,  # it never arms by itself
            self.is_armed,
            self.is_armed and self.is_flying,
            self.is_tumbled,
            self.is_locked,
            self.is_crashed,
            active,
            finished,
            False,  # its high-level commander always has a say
        )
        return sum(bool(flag) << bit for bit, flag in enumerate(flags))

    def _lock(self) -> None:
        self.is_locked, self.is_armed = True, False

    def _tumbled(self, now: float, state: VehicleState) -> bool:
        force = state.specific_force
        if force[2] >= TILT_FORCE or float(np.max(np.abs(force))) < FREE_FALL:
            self._tilted_since = math.nan
            return False
        if math.isnan(self._tilted_since):
            self._tilted_since = now
        tilted = now - self._tilted_since
        upside_down = force[2] < UPSIDE_DOWN_FORCE and tilted > UPSIDE_DOWN_TIME
        return bool(upside_down or tilted > TILT_TIME)
