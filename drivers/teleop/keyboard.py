"""The keys of a terminal, also over ssh.

| keys                     | motion                                     |
|--------------------------|--------------------------------------------|
| w, s or arrows up, down  | x, away and back                           |
| a, d or arrows left, right | y, to the left and to the right          |
| r, f or page up, down    | z, up and down                             |
| q, e                     | turn about z, to the left and to the right |
| i, k                     | tilt about y, away and back                |
| j, l                     | tilt about x, to the left and to the right |

Capital letters mean the same. The other keys are those of `KEY_WORDS`.

A terminal tells of keys that go down, never of one that comes up. So a press moves for a short time, and the
terminal's own repetition prolongs it: a tap is a step, and a key that is held down is a step, a pause of the
repetition's delay (a quarter to half a second), then steady motion. Only one key repeats at a time, hence
there is no dead man's switch here. Ctrl-C and Ctrl-Z work as ever.
"""

from __future__ import annotations

import atexit
import os
import termios
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import numpy as np

from drivers.teleop.hotplug import HotPlug
from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import DeviceError
from robot_rl.core.types import DeviceState

PULSE = nanoseconds(0.12)
"""A key that means motion or a label counts as held down for this long [ns]; repetition is faster, 30 ms."""
ONCE = nanoseconds(0.7)
"""A key that means one deed counts as held down for this long [ns], more than the delay of the repetition:
held down too long, it is still one press."""
ESCAPE_WAIT = nanoseconds(0.05)
"""Escape is a key when nothing follows it for this long [ns]; else it starts the code of another key."""

MOTIONS: Mapping[str, tuple[int, float]] = {
    **{"w": (0, 1.0), "s": (0, -1.0), "a": (1, 1.0), "d": (1, -1.0), "r": (2, 1.0), "f": (2, -1.0)},
    **{"l": (3, 1.0), "j": (3, -1.0), "i": (4, 1.0), "k": (4, -1.0), "q": (5, 1.0), "e": (5, -1.0)},
    **{"[A": (0, 1.0), "[B": (0, -1.0), "[D": (1, 1.0), "[C": (1, -1.0), "[5~": (2, 1.0), "[6~": (2, -1.0)},
}
"""Key, or code after Escape, to the axis and its deflection."""

KEY_WORDS: Mapping[str, str] = {
    " ": "toggle",
    "c": "close",
    "o": "open",
    "t": "take_over",
    "h": "hand_back",
    "y": "success",
    "n": "failure",
    "1": "label",
    "0": "not_reached",
    "x": "e_stop",
    "\x1b": "e_stop",
}
"""Key to what it means; Escape is the emergency stop."""

HELD = ("label", "not_reached")
"""Words that count for as long as the key is held down, not once a press."""


class Keyboard:
    """An `InputDevice`.

    The terminal shows no typed characters while this is open, and is as before when it is closed or the
    process ends; `stty sane` mends one whose process was killed.

    Args:
        path: Of the terminal; another one than one's own must run nothing that reads, such as
            `sleep infinity`.
        clock: Steady time [ns].
    """

    def __init__(self, path: str = "/dev/tty", clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.name = "keyboard" if path == "/dev/tty" else f"keyboard:{path}"
        self.path = path
        self._clock = clock
        self._keys = KeyTimes()
        self._plug = HotPlug(self.name, self._connect, _Terminal.close, clock)

    def read(self) -> DeviceState:
        terminal = self._plug.get()
        try:
            typed = terminal.read()
        except OSError as error:
            raise self._plug.lose(f"{self.name}: the terminal {self.path} is gone ({error})") from None
        now = self._clock()
        self._keys.feed(typed, now)
        return DeviceState(now, self._keys.axes(now), self._keys.words(now))

    def close(self) -> None:
        self._plug.close()

    def _connect(self) -> _Terminal:
        self._keys = KeyTimes()
        try:
            return _Terminal(self.path)
        except (OSError, termios.error) as error:
            raise DeviceError(
                f"{self.name}: {self.path} is no terminal to read keys from ({error}): start this in a "
                "terminal, or name one in which nothing reads, as keyboard:/dev/pts/N (see `tty`)"
            ) from None


class KeyTimes:
    """Which keys were pressed how long ago; takes the bytes of a terminal and never raises."""

    def __init__(self) -> None:
        self._pressed: dict[str, int] = {}
        self._escape: str | None = None
        self._escape_at = 0

    def feed(self, typed: bytes, now: int) -> None:
        """Take what was typed until `now` [ns]."""
        if self._escape == "" and now - self._escape_at >= ESCAPE_WAIT:
            self._end_escape(now)
        for character in typed.decode("ascii", "ignore"):
            self._take(character, now)

    def axes(self, now: int) -> np.ndarray:
        """(6,) at `now` [ns]; of two opposite keys, the sum."""
        axes = np.zeros(6)
        for key, (axis, deflection) in MOTIONS.items():
            if self._is_held(key, now, PULSE):
                axes[axis] += deflection
        return np.clip(axes, -1.0, 1.0)

    def words(self, now: int) -> frozenset[str]:
        """What the keys that are held down at `now` [ns] mean."""
        return frozenset(
            word
            for key, word in KEY_WORDS.items()
            if self._is_held(key, now, PULSE if word in HELD else ONCE)
        )

    def _is_held(self, key: str, now: int, duration: int) -> bool:
        pressed = self._pressed.get(key)
        return pressed is not None and now - pressed < duration

    def _take(self, character: str, now: int) -> None:
        if character == "\x1b":
            if self._escape == "":  # twice: the first one was the key
                self._end_escape(now)
            self._escape, self._escape_at = "", now
        elif self._escape is None:
            self._pressed[character.lower()] = now
        else:
            self._escape += character
            # A code is "[", parameters, and a final letter or "~", or "O" and a letter.
            start = self._escape[0]
            if start not in "[O":
                self._end_escape(now)
                self._pressed[character.lower()] = now
            elif len(self._escape) > 1 and (character.isalpha() or character == "~"):
                self._pressed["[" + self._escape[1:]] = now
                self._escape = None

    def _end_escape(self, now: int) -> None:
        """It was the key Escape."""
        self._escape = None
        self._pressed["\x1b"] = now


class _Terminal:
    """An open terminal that gives each key at once and shows none."""

    def __init__(self, path: str) -> None:
        # Not to become our controlling terminal; and a read that waits for nobody.
        self._file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            self._check_foreground()
            self._before = termios.tcgetattr(self._file)
            mode = termios.tcgetattr(self._file)
            mode[3] &= ~(termios.ICANON | termios.ECHO)
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
            # What was typed before was meant for somebody else.
            termios.tcsetattr(self._file, termios.TCSAFLUSH, mode)
        except BaseException:
            os.close(self._file)
            raise
        atexit.register(self.close)

    def read(self) -> bytes:
        """What was typed since the last time.

        Raises:
            OSError: The terminal is gone, or now belongs to another job.
        """
        self._check_foreground()
        try:
            typed = os.read(self._file, 4096)
        except BlockingIOError:
            return b""
        if not typed:
            raise OSError("it was closed")
        return typed

    def close(self) -> None:
        """Leave the terminal as it was."""
        atexit.unregister(self.close)
        # One that is gone needs no mending; one that another job has is that job's, in the mode it wants.
        with suppress(OSError, termios.error):
            self._check_foreground()
            termios.tcsetattr(self._file, termios.TCSANOW, self._before)
        os.close(self._file)

    def _check_foreground(self) -> None:
        """A job that reads from its terminal, or changes it, while another one has it would be stopped."""
        try:
            foreground = os.tcgetpgrp(self._file)
        except OSError:
            return  # not our controlling terminal, or none: nobody is stopped for it
        if foreground != os.getpgrp():
            raise OSError("another program has the keyboard: bring this one to the foreground")
