"""What is wrong with a vehicle, judged again and again by what it tells. Sends nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from drivers.crazyflie.connection import Connection
from drivers.crazyflie.settings import CrazyflieConfig
from drivers.crazyflie.state import Flags
from drivers.crazyflie.telemetry import Telemetry
from robot_rl.core.errors import StaleStateError

WATCH_PERIOD = 0.02
"""Time between two looks [s]."""
PATIENCE = 0.5
"""An estimate may be bad, or a battery empty, for this long in flight before it lands [s]."""
DOWN = {Flags.LOCKED: "locked", Flags.CRASHED: "crashed", Flags.TUMBLED: "tumbled"}
"""Flags of a vehicle that does not fly any more."""


class Finding(NamedTuple):
    """A fault."""

    reason: str
    """What a person is told."""
    lands: bool
    """Whether the vehicle shall land: it flies, and can be told."""


class Watch:
    """Remembers since when something is wrong.

    Args:
        config: What is wrong.
    """

    def __init__(self, config: CrazyflieConfig) -> None:
        self._config = config
        self._bad_since = math.nan

    def forget(self) -> None:
        """After a fault was cleared."""
        self._bad_since = math.nan

    def look(
        self, now: float, connection: Connection, telemetry: Telemetry, check_estimate: Callable[[], object]
    ) -> Finding | None:
        """The fault, None for none.

        Args:
            now: Steady time [s].
            connection: The link.
            telemetry: What came over it.
            check_estimate: Raises `StaleStateError` for an estimate that is not to be trusted.
        """
        lost = lost_link(self._config, connection, telemetry)
        if lost:
            return Finding(f"link lost: {lost}", lands=False)
        flags = telemetry.health.flags
        for flag, name in DOWN.items():
            if flag in flags:
                return Finding(f"the Crazyflie is {name}", lands=False)
        reason = self._flaw(telemetry, check_estimate) if Flags.FLYING in flags else ""
        if not reason:
            self._bad_since = math.nan
        elif math.isnan(self._bad_since):
            self._bad_since = now
        elif now - self._bad_since > PATIENCE:
            return Finding(reason, lands=True)
        return None

    def _flaw(self, telemetry: Telemetry, check_estimate: Callable[[], object]) -> str:
        """Why it should not fly on, "" when it may."""
        try:
            check_estimate()
        except StaleStateError as error:
            return str(error)
        voltage = telemetry.health.battery
        if not voltage >= self._config.empty_battery:
            return f"the battery has {voltage:.2f} V, less than {self._config.empty_battery:g} V in flight"
        return ""


def lost_link(config: CrazyflieConfig, connection: Connection, telemetry: Telemetry) -> str:
    """Why the link is of no use any more, "" when it is."""
    if connection.trouble:
        return connection.trouble
    if connection.silence > config.link_timeout:
        return f"nothing was heard for {config.link_timeout:g} s"
    if telemetry.silence > config.link_timeout:
        return f"it answers, but has told nothing of itself for {config.link_timeout:g} s: was it restarted?"
    return ""
