"""Hands and ports for the tests of input devices: the real spacenavd with a ball, a terminal with keys."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from drivers.emulators.magellan import EmulatedMagellan
from drivers.teleop.keyboard import KEY_WORDS, MOTIONS

DAEMON = shutil.which("spacenavd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/bin")


class SpacenavDaemon:
    """The real daemon, with an emulated serial ball. Takes two seconds to start: it looks for balls."""

    def __init__(self, home: Path) -> None:
        if DAEMON is None:
            # In continuous integration it has to be there, for nobody would see that it is not.
            assert "CI" not in os.environ, "spacenavd is not installed: make system-deps"
            pytest.skip("spacenavd is not installed: apt-get install spacenavd")
        self._home = home
        # Debian's build keeps its socket below the folder that it is started in.
        (home / "run").mkdir()
        self.socket = home / "run" / "spnav.sock"
        self.start()

    def start(self) -> None:
        self.ball = EmulatedMagellan()
        settings = self._home / "spnavrc"
        settings.write_text(f"serial = {self.ball.path}\n")
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(DAEMON), "-d", "-v", "-c", str(settings)], cwd=self._home, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 20.0
        while not (self.socket.exists() and self.ball.ready.is_set()):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError(f"spacenavd did not start: {(self._home / 'log').read_text()}")
            time.sleep(0.01)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10.0)
        self.ball.close()


class Typist:
    """A terminal at `path`, and somebody who types there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open()

    def open(self) -> None:
        self.hand, self.screen = pty.openpty()
        # The system gives out names of its own; a link keeps this one.
        self.path.symlink_to(os.ttyname(self.screen))

    def type(self, text: str) -> None:
        os.write(self.hand, text.encode())

    def deflect(self, axes: np.ndarray) -> None:
        for key, (axis, deflection) in MOTIONS.items():
            if axes[axis] * deflection > 0.0 and len(key) == 1:
                self.type(key)

    def press(self, word: str) -> None:
        self.type(next(key for key, meaning in KEY_WORDS.items() if meaning == word))

    def hang_up(self) -> None:
        self.path.unlink()
        os.close(self.screen)
        os.close(self.hand)
