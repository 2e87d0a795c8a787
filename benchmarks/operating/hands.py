"""What an operator has in her hands: the console's page, and a 3-D mouse."""

from __future__ import annotations

import json
import queue
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from drivers.emulators.spacenav_daemon import EmulatedSpacenavDaemon
from drivers.teleop.spacenav import FULL_SCALE, MOTION


class Page:
    """A browser's page without the browser: the same WebSocket, the same messages, 30 times a second."""

    def __init__(self, port: int, cameras: bool = False) -> None:
        self._socket: ClientConnection = connect(f"ws://127.0.0.1:{port}/ws", max_size=None)
        self._axes = [0.0] * 6
        self._buttons: list[str] = []
        self.pictures = 0
        self._ended = False
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._read, self._repeat)]
        self._in_control = False
        for thread in self._threads:
            thread.start()
        self._send({"type": "watch", "cameras": cameras})

    def _send(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._socket.send(json.dumps(message))

    def _read(self) -> None:
        with suppress(Exception):  # the end of the connection, however it came
            for message in self._socket:
                self.pictures += isinstance(message, bytes)

    def _repeat(self) -> None:
        with suppress(Exception):
            while not self._ended:
                if self._in_control:
                    self._hands()
                time.sleep(1 / 30)

    def _hands(self) -> None:
        self._send({"type": "hands", "axes": self._axes, "buttons": self._buttons})

    def control(self, take: bool) -> None:
        """Take the lease, or give it back."""
        self._send({"type": "control", "take": take})
        self._in_control = take

    def hands(self, x: float = 0.0, buttons: tuple[str, ...] = ()) -> float:
        """Hold keys and buttons down from now on; the steady time [s]."""
        self._axes, self._buttons = [x, 0.0, 0.0, 0.0, 0.0, 0.0], list(buttons)
        now = time.monotonic()
        self._hands()
        return now

    def press(self, button: str) -> None:
        """Press a button for a moment."""
        self.hands(buttons=(button,))
        time.sleep(0.05)
        self.hands()

    def command(self, name: str) -> None:
        self._send({"type": "command", "name": name})

    def e_stop(self) -> float:
        """The emergency stop; the steady time [s]."""
        now = time.monotonic()
        self._send({"type": "e_stop"})
        return now

    def clear_fault(self) -> None:
        self._send({"type": "clear_fault"})

    def close(self) -> None:
        self._ended = True
        with suppress(Exception):
            self._socket.close()


class Ball:
    """A 3-D mouse behind spacenavd that says how it is pushed 100 times a second."""

    def __init__(self, path: Path) -> None:
        self.x = 0.0
        """Deflection away from the person, in [-1, 1]."""
        self.moved_at = 0.0
        """Steady time of the first report of the present deflection [s]."""
        self._daemon = EmulatedSpacenavDaemon(path)
        self._ended = False
        self._thread = threading.Thread(target=self._report, daemon=True)
        self._thread.start()

    def _report(self) -> None:
        told = 0.0
        while not self._ended:
            x = self.x
            with suppress(queue.Empty, OSError):
                self._daemon.send(MOTION, 0, 0, round(FULL_SCALE * x), 0, 0, 0, 10)
                if x != told:
                    told, self.moved_at = x, time.monotonic()
            time.sleep(0.01)

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        self._daemon.close()
