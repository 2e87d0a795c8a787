"""SpaceMouse by spacenavd, the free daemon: serial balls, and devices shared with other programs.

The daemon listens on a Unix socket. A client that starts with the four bytes of `HELLO` speaks version 1 of
the protocol, and is answered with the version that the daemon speaks. Each event is eight int32 in the
machine's byte order:

| type      | then                                                          |
|-----------|---------------------------------------------------------------|
| 0 motion  | x, y, z, rx, ry, rz [counts], time since the last one [ms]    |
| 1 press   | number of the button, from 0                                  |
| 2 release | number of the button                                          |
| 3 device  | 0 added or 1 removed, its number, its kind, vendor, product   |

x is to the right, y up, z away from the person, turns right-handed about those directions (as in ROS's
`spacenav_node`). Source: the protocol's definition in spacenavd, `src/proto.h`.

The daemon sends changes only. A hand never holds a cap so still that nothing changes for a second, except
hard against its stop; so a motion that was last heard of a second ago is taken to be over. The daemon does
not notice that the cable of a serial ball was pulled. Whoever wants to lean on the stop for longer sets
`repeat-interval = 250` in /etc/spnavrc. Version 1 is that of spacenavd 1.0 (2022) and newer; older ones do
not even say that a USB device was unplugged, and are refused.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable

import numpy as np

from drivers.teleop.button_words import TWO_BUTTONS, Words, check_words, spoken
from drivers.teleop.hotplug import HotPlug
from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import DeviceError
from robot_rl.core.types import DeviceState

SOCKET = "/var/run/spnav.sock"
"""Where the daemon listens, unless the environment variable SPNAV_SOCKET says otherwise."""
HELLO = 0x7FAA5501
"""Asks for version 1. The upper half is a NaN to daemons that expect a sensitivity."""
ATTEMPTS = 3
"""A daemon that loses a client may take the next one, in the same moment, for the lost one."""
TAG = 0x7FAA0000
"""Answers are at least this, the types of events far less."""
HELLO_TIMEOUT = 0.1
"""The daemon answers within this [s]; a `read` that finds an older one waits for that long."""
EVENT = struct.Struct("=8i")
MOTION, PRESS, RELEASE, DEVICE = range(4)
REMOVED = 1
MAX_BUTTONS = 64

FULL_SCALE = 350.0
"""Counts at full deflection, with the daemon's sensitivity at 1."""
STILL = nanoseconds(1.0)
"""A motion that was last heard of this long ago is over [ns]."""
LARGEST = 10_000
"""More counts than this are no deflection, at any sensible sensitivity."""


class SpaceNav:
    """An `InputDevice`.

    Args:
        path: Of the daemon's socket; None for SPNAV_SOCKET, or `SOCKET`.
        words: What its buttons mean, as the daemon numbers them.
        dead_man: One of them has to be the dead man's switch: the second, if no other is.
        clock: Steady time [ns].
    """

    name = "spacenav"

    def __init__(
        self,
        path: str | None = None,
        words: Words = TWO_BUTTONS,
        dead_man: bool = False,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.path = path or os.environ.get("SPNAV_SOCKET") or SOCKET
        self.refused = 0
        """Events so far that the daemon never sends."""
        self._clock = clock
        self._words = check_words(words, dead_man)
        self._plug = HotPlug(self.name, self._connect, socket.socket.close, clock)

    def read(self) -> DeviceState:
        daemon = self._plug.get()
        try:
            while chunk := daemon.recv(4096):
                self._pending += chunk
                self._take_events()
        except BlockingIOError:
            pass
        except OSError as error:
            raise self._plug.lose(f"{self.name}: the connection to spacenavd broke: {error}") from None
        else:
            raise self._plug.lose(f"{self.name}: spacenavd ended: start it again")
        if self._removed:
            raise DeviceError(f"{self.name}: the device was unplugged: plug it in again")
        now = self._clock()
        x, y, z, rx, ry, rz = self._axes if now - self._moved < STILL else np.zeros(6)
        held, self._pressed = self._held | self._pressed, set()
        axes = np.array([z, -x, y, rz, -rx, ry]) + 0.0
        return DeviceState(now, axes, spoken(self._words, held))

    def close(self) -> None:
        self._plug.close()

    def _take_events(self) -> None:
        while len(self._pending) >= EVENT.size:
            kind, *data = EVENT.unpack_from(self._pending)
            del self._pending[: EVENT.size]
            if kind == MOTION and max(map(abs, data[:6])) <= LARGEST:
                self._axes = np.clip(np.array(data[:6]) / FULL_SCALE, -1.0, 1.0)
                self._moved = self._clock()
                self._removed = False
            elif kind == PRESS and 0 <= data[0] < MAX_BUTTONS:
                self._held.add(data[0])
                # A press counts though the button is up again before anybody reads.
                self._pressed.add(data[0])
                self._removed = False
            elif kind == RELEASE and 0 <= data[0] < MAX_BUTTONS:
                self._held.discard(data[0])
            elif kind == DEVICE:
                self._rest()
                self._removed = data[0] == REMOVED
            else:
                self.refused += 1

    def _rest(self) -> None:
        """Nothing is deflected, and no button is held down."""
        self._axes = np.zeros(6)
        self._moved = 0
        self._held: set[int] = set()
        self._pressed: set[int] = set()

    def _connect(self) -> socket.socket:
        for _ in range(ATTEMPTS):
            daemon = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            daemon.settimeout(HELLO_TIMEOUT)
            try:
                daemon.connect(self.path)
                answer = _greet(daemon)
            except OSError as error:
                daemon.close()
                raise DeviceError(
                    f"{self.name}: no spacenavd at {self.path} ({error.strerror or error}): start it "
                    "(apt-get install spacenavd), or use the device spacemouse, which needs no daemon"
                ) from None
            if answer == HELLO:
                daemon.setblocking(False)
                self._pending = bytearray()
                self._removed = False
                self._rest()
                return daemon
            daemon.close()
            if answer is not None:
                break
        raise DeviceError(
            f"{self.name}: what listens at {self.path} does not greet as spacenavd 1.0 does: update it, or "
            "start it again, or use the device spacemouse, which needs no daemon"
        )


def _greet(daemon: socket.socket) -> int | None:
    """Ask for version 1 of the protocol; gives the answer, 0 without one, None when the daemon hangs up."""
    heard = b""
    try:
        daemon.sendall(struct.pack("=I", HELLO))
        while len(heard) < 4 or (answer := struct.unpack_from("=I", heard)[0]) < TAG:
            # An event may be on its way already.
            wanted = 4 if len(heard) < 4 else EVENT.size
            more = daemon.recv(wanted - len(heard))
            if not more:
                return None
            heard = (heard + more) if len(heard) + len(more) < EVENT.size else b""
    except TimeoutError:
        return 0
    except ConnectionError:
        return None
    return answer
