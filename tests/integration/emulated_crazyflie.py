"""An emulated Crazyflie on a port of its own, with the driver connected to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from drivers.crazyflie.driver import Crazyflie
from drivers.crazyflie.settings import CrazyflieConfig
from drivers.emulators.crazyflie.firmware import EmulatedCrazyflie, EmulatorSettings
from drivers.emulators.crazyflie.server import CrazyflieServer

PATIENCE = 30.0
"""Longest time that a test waits for something [s]."""

SLOW = {"state_timeout": 3.0, "link_timeout": 3.0, "connect_timeout": 90.0}
"""Times that a busy machine does not exceed."""


def wait(ready: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.02)


@contextmanager
def connected(
    cache: str, settings: EmulatorSettings | None = None, loss: float = 0.0, **changes: object
) -> Iterator[tuple[Crazyflie, CrazyflieServer]]:
    with CrazyflieServer(EmulatedCrazyflie(settings=settings)) as server:
        server.conditions.loss = loss
        config = CrazyflieConfig(uri=server.uri, cache=cache, **SLOW | changes)  # type: ignore[arg-type]
        with Crazyflie(config) as crazyflie:
            yield crazyflie, server


def take_off(crazyflie: Crazyflie, height: float = 0.5) -> None:
    crazyflie.arm()
    crazyflie.take_off(height, 1.0)
    wait(lambda: abs(crazyflie.state().position[2] - height) < 0.05, "the height")
