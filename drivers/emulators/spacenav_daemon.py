"""What spacenavd says over its socket, for the events that the real one only sends with USB devices.

See `drivers.teleop.spacenav` for the protocol.
"""

from __future__ import annotations

import queue
import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path

from drivers.teleop.spacenav import DEVICE, EVENT, HELLO, REMOVED


class EmulatedSpacenavDaemon:
    """A daemon with one client at a time, in this process.

    Args:
        path: Of the socket.
        version: Of the protocol; 0 does not answer the client's greeting.
    """

    def __init__(self, path: Path, version: int = 1) -> None:
        self._path = path
        self._version = version
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._callers: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._answer, name="spacenavd", daemon=True)
        self._thread.start()

    def send(self, kind: int, *data: int) -> None:
        """Send one event."""
        self.send_bytes(EVENT.pack(kind, *data, *[0] * (7 - len(data))))

    def send_bytes(self, data: bytes) -> None:
        """Send this, whatever it is."""
        if self._client is None:
            self._client = self._callers.get(timeout=5.0)
        self._client.sendall(data)

    def unplug(self) -> None:
        """The USB device was pulled out."""
        self.send(DEVICE, REMOVED)

    def plug_in(self) -> None:
        """It is back."""
        self.send(DEVICE, 0)

    def close(self) -> None:
        """End, as when the daemon is stopped; may be called twice."""
        if self._listener.fileno() < 0:
            return
        self._path.unlink(missing_ok=True)
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        if self._client is not None:
            self._client.close()
        with suppress(queue.Empty):
            while True:
                self._callers.get_nowait().close()

    def _answer(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                (greeting,) = struct.unpack("=I", client.recv(4))
                if self._version and greeting == HELLO:
                    client.sendall(struct.pack("=I", greeting & ~0xFF | self._version))
                self._callers.put(client)
