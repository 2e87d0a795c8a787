"""The emulated Crazyflie on a UDP port, in real time, in a thread of its own.

The vehicle's time follows the clock of the machine. Where this process is held up, it catches up in turns of
`TURN`, between which it hears what clients have sent meanwhile; what it is behind by more than `LONGEST` is
left out, so that on a very busy machine the vehicle stands still for a moment, and does not take the client
for silent.
"""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType

from drivers.emulators.crazyflie.crtp import NULL, Packet, decode, encode
from drivers.emulators.crazyflie.firmware import STEP, EmulatedCrazyflie
from drivers.emulators.crazyflie.link import Channel, LinkConditions
from drivers.emulators.crazyflie.vehicle import VehicleState
from robot_rl.core.errors import VehicleError

PORT = 19850
"""The first of the ten ports on which clients look for Crazyflies."""
TURN = 0.05
"""[s]."""
LONGEST = 0.3
"""[s]; less than the age at which the vehicle gives up a setpoint."""

GONE = 1.0
"""A client that was not heard of for this long is not there any more [s]: they ping ten times a second."""


class CrazyflieServer:
    """Serves one emulated Crazyflie to one client at a time, the one that was heard of last.

    Args:
        firmware: What is served; nobody else may touch it while the server runs, but through `lock`.
        port: UDP port; 0 for any that is free.
        conditions: Of the link; None for a perfect one.
        seed: Of the link's accidents.
        host: Address to listen on.

    Raises:
        VehicleError: The port is taken.
    """

    def __init__(
        self,
        firmware: EmulatedCrazyflie,
        port: int = 0,
        conditions: LinkConditions | None = None,
        seed: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        self.firmware = firmware
        self.conditions = conditions or LinkConditions()
        self.lock = threading.Lock()
        """Held while the firmware works."""
        self._up = Channel(self.conditions, (seed, 0))
        self._down = Channel(self.conditions, (seed, 1))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise VehicleError(
                f"no emulated Crazyflie can be at udp://{host}:{port}: {error.strerror}; choose another port"
            ) from None
        self._client: tuple[str, int] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="emulated Crazyflie", daemon=True)

    @property
    def uri(self) -> str:
        """Where cflib finds it."""
        host, port = self._socket.getsockname()
        return f"udp://{host}:{port}"

    @property
    def truth(self) -> VehicleState:
        """Where the vehicle really is."""
        with self.lock:
            return self.firmware.truth

    def let_land(self, longest: float) -> None:
        """Go on while the vehicle flies and somebody is there to land it, for so long at most [s]."""
        deadline = time.monotonic() + longest
        while time.monotonic() < deadline:
            with self.lock:
                firmware = self.firmware
                if not firmware.supervisor.is_flying or firmware.silence > GONE:
                    return
            time.sleep(TURN)

    def __enter__(self) -> CrazyflieServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            self._wait(min(due, self._up.next_arrival, self._down.next_arrival))
            now = time.monotonic()
            with self.lock:
                self.firmware.skipped += max(0.0, now - LONGEST - due)
                due = max(due, now - LONGEST)
                for datagram in self._up.take(now):
                    self._receive(datagram, now)
                until = min(now, due + TURN)
                while due <= until:
                    self._send(self.firmware.advance(), now)
                    due += STEP
            for datagram in self._down.take(time.monotonic()):
                if self._client is not None:
                    self._socket.sendto(datagram, self._client)

    def _wait(self, until: float) -> None:
        """Take what comes in; return at `until` or when something has come."""
        self._socket.settimeout(max(until - time.monotonic(), 1e-4))
        try:
            while True:
                datagram, self._client = self._socket.recvfrom(64)
                self._up.put(datagram, time.monotonic())
                self._socket.settimeout(0.0)
        except (TimeoutError, BlockingIOError):
            return

    def _receive(self, datagram: bytes, now: float) -> None:
        if datagram == bytes([NULL]):
            self._down.put(datagram, now)
            return
        packet = decode(datagram)
        if packet is not None:
            self._send(self.firmware.receive(packet), now)

    def _send(self, packets: list[Packet], now: float) -> None:
        for packet in packets:
            self._down.put(encode(packet), now)
