"""An emulated Crazyflie for whoever wants to connect: `python -m drivers.emulators.crazyflie`.

It prints where it is, as `udp://127.0.0.1:19850`, and flies until it is interrupted.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass, field
from threading import Event

import tyro

from drivers.emulators.crazyflie.firmware import EmulatedCrazyflie, EmulatorSettings
from drivers.emulators.crazyflie.link import LinkConditions
from drivers.emulators.crazyflie.server import PORT, CrazyflieServer
from robot_rl.core.errors import ConfigError, RobotRlError

PROGRAM = "python -m drivers.emulators.crazyflie"


@dataclass(frozen=True)
class Options:
    """An emulated Crazyflie on a UDP port."""

    port: int = PORT
    """UDP port; 0 for any that is free."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    vehicle: EmulatorSettings = field(default_factory=EmulatorSettings)
    """The vehicle."""
    link: LinkConditions = field(default_factory=LinkConditions)
    """The link to it."""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 1 << 16:
            raise ConfigError(f"port must be in [0, 65535], not {self.port}")


def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    try:
        return serve(tyro.cli(Options, args=argv, prog=PROGRAM))
    except RobotRlError as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return 1


def serve(options: Options) -> int:
    """Serve until SIGINT or SIGTERM; the exit status."""
    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    firmware = EmulatedCrazyflie(settings=options.vehicle)
    server = CrazyflieServer(firmware, options.port, options.link, options.vehicle.seed, options.host)
    with server:
        sys.stdout.write(f"{server.uri}\n")
        sys.stdout.flush()
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
