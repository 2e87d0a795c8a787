"""What one connection to a Crazyflie is told by it, and how old that is.

Ages are counted on the steady clock, from when something was measured: a packet that was held up on its way
is as old as it is, and a system clock that is set makes nothing older or fresher.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import numpy as np

from drivers.crazyflie.connection import Connection
from drivers.crazyflie.settings import CrazyflieConfig
from drivers.crazyflie.state import (
    FLIGHT_VARIABLES,
    HEALTH_RATE,
    HEALTH_VARIABLES,
    RATE_VARIABLES,
    STATE_VARIABLES,
    VARIANCES,
    CrazyflieState,
    Flags,
    FlightSample,
    Health,
    LogClock,
    VehicleTime,
    health_from,
    rates_from,
    sample_from,
    state_from,
)
from robot_rl.core.clock import nanoseconds, seconds
from robot_rl.core.errors import StaleStateError, VehicleError
from robot_rl.core.protocols import Clock

FIRST_WORD = 3.0
"""Longest wait for the first state and health after connecting [s]."""
POLL = 0.005
"""Between two looks while waiting [s]."""
REBOOT_GAP = 1.0
"""Between the samples of two connections, at least [s]: the vehicle's own time may have begun anew."""


class Telemetry:
    """The newest state and health of a vehicle.

    Args:
        connection: Over which they come.
        config: How often, and how old they may be.
        clock: For the states' stamps.

    Raises:
        VehicleError: The firmware does not log what is needed, or says nothing.
    """

    def __init__(self, connection: Connection, config: CrazyflieConfig, clock: Clock) -> None:
        self._connection = connection
        self._config = config
        self._clock = clock
        self._log_clock = LogClock()
        self._rates = np.zeros(3)
        self._state: CrazyflieState | None = None
        self._measured_at = 0
        self._health: Health | None = None
        self._heard_at = {"state": -math.inf, "health": -math.inf}
        self._period = 0.01 * round(100.0 / config.log_rate)
        connection.log("rates", self._period, RATE_VARIABLES, self._on_rates)
        connection.log("state", self._period, STATE_VARIABLES, self._on_state)
        health = (*HEALTH_VARIABLES, *VARIANCES[config.positioning])
        connection.log("health", 1.0 / HEALTH_RATE, health, self._on_health)
        deadline = time.monotonic() + FIRST_WORD
        while self._state is None or self._health is None:
            if time.monotonic() > deadline:
                missing = "state" if self._state is None else "health"
                raise VehicleError(
                    f"the Crazyflie at {config.uri} has not told its {missing} in {FIRST_WORD:g} s"
                )
            time.sleep(POLL)

    def _on_rates(self, milliseconds: int, values: Mapping[str, float]) -> None:
        self._rates = rates_from(values)

    def _on_state(self, milliseconds: int, values: Mapping[str, float]) -> None:
        now = time.monotonic_ns()
        self._heard_at["state"] = seconds(now)
        measured_at = self._log_clock.stamp(milliseconds, now)
        state = state_from(values, self._rates, self._clock.now() - (now - measured_at))
        if state is not None and measured_at > self._measured_at:
            self._state, self._measured_at = state, measured_at

    def _on_health(self, milliseconds: int, values: Mapping[str, float]) -> None:
        self._health = health_from(values, self._config.positioning)
        self._heard_at["health"] = time.monotonic()

    @property
    def silence(self) -> float:
        """Time since the last word of its state, or of its health if that is longer ago [s].

        A vehicle that has started anew still answers pings, but has forgotten what it shall log.
        """
        return time.monotonic() - min(self._heard_at.values())

    @property
    def health(self) -> Health:
        """As it was told last."""
        health = self._health
        if health is None:
            raise StaleStateError("the Crazyflie has not told its health yet")
        return health

    def told(self, flag: Flags, wanted: bool = True) -> float:
        """When it told that a flag is as wanted [s], in steady time; -inf if its last word was another."""
        heard_at = self._heard_at["health"]
        return heard_at if (flag in self.health.flags) == wanted else -math.inf

    @property
    def last_state(self) -> CrazyflieState:
        """As it was told last, however long ago."""
        state = self._state
        if state is None:
            raise StaleStateError("the Crazyflie has not told its state yet")
        return state

    def state(self) -> CrazyflieState:
        """The newest state.

        Raises:
            StaleStateError: It is older than `state_timeout`.
        """
        state = self.last_state
        age, most = seconds(time.monotonic_ns() - self._measured_at), self._config.state_timeout
        if age > most:
            raise StaleStateError(
                f"the Crazyflie's state is {age:.2f} s old, more than {most:g} s: is the link good?"
            )
        return state

    def record(self, on_sample: Callable[[FlightSample], None], begin: float) -> None:
        """Call `on_sample` with what identifies the vehicle, at the log rate, in the link's thread.

        Args:
            on_sample: Takes the samples.
            begin: Time of the first one [s].
        """
        vehicle_time = VehicleTime(nanoseconds(begin))

        def on_log(milliseconds: int, values: Mapping[str, float]) -> None:
            on_sample(sample_from(values, seconds(vehicle_time.at(milliseconds))))

        self._connection.log("flight", self._period, FLIGHT_VARIABLES, on_log)
