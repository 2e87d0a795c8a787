"""A Magellan serial ball on a pseudo-terminal, for spacenavd to find.

The ball speaks lines that end in a carriage return, at 9600 baud. It answers `vQ` with its name and the mode
commands `m` and `c` with themselves. Motion is `d` and six numbers of four characters; the low four bits of
each character are a hexadecimal digit, and 0x8000 is rest. Buttons are `k` and three characters of four bits.
Source: the driver of such devices in spacenavd, `src/dev_serial.c`.
"""

from __future__ import annotations

import os
import pty
import threading
import tty
from collections.abc import Iterable

import numpy as np

NAME = b"vMAGELLAN  Version 6.60"
FULL_SCALE = 350.0
"""Counts at full deflection."""


class EmulatedMagellan:
    """The ball and its cable; `path` is the serial port that it is plugged into."""

    def __init__(self) -> None:
        self._ball, self._port = pty.openpty()
        tty.setraw(self._port)
        self.path = os.ttyname(self._port)
        self.ready = threading.Event()
        """Set when the daemon has switched the ball on."""
        self._thread = threading.Thread(target=self._answer, name="magellan", daemon=True)
        self._thread.start()

    def deflect(self, axes: np.ndarray) -> None:
        """Hold the ball there: (6,) in [-1, 1], x away, y left, z up, turns right-handed about them."""
        x, y, z, rx, ry, rz = np.round(np.asarray(axes) * FULL_SCALE).astype(int)
        # Its own axes are x right, y up, z towards her.
        counts = (-y, z, -x, -ry, rz, -rx)
        self._send(b"d" + b"".join(_digits(count) for count in counts))

    def press(self, buttons: Iterable[int]) -> None:
        """Hold down these of the buttons 0 to 11, and no others."""
        field = sum(1 << button for button in buttons)
        self._send(b"k" + bytes(0x30 | field >> shift & 0xF for shift in (0, 4, 8)))

    def close(self) -> None:
        """Pull the cable."""
        os.close(self._port)
        os.write(self._ball, b"\0")
        self._thread.join()
        os.close(self._ball)

    def _send(self, line: bytes) -> None:
        os.write(self._ball, line + b"\r")

    def _answer(self) -> None:
        heard = b""
        while True:
            try:
                heard += os.read(self._ball, 256)
            except OSError:  # nobody has the port open any more
                return
            while b"\r" in heard:
                command, _, heard = heard.partition(b"\r")
                if command == b"vQ":
                    self._send(NAME)
                elif command[:1] in (b"m", b"c"):
                    self._send(command)
                    self.ready.set()


def _digits(count: int) -> bytes:
    """Four characters for a signed number."""
    return bytes(0x30 | (count + 0x8000) >> shift & 0xF for shift in (12, 8, 4, 0))
