# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
# cflib is an optional extra and comes without types.
"""The link to a Crazyflie, over `cflib`, Bitcraze's own client.

cflib is licensed under the GPL version 3, so it is imported only here, when a connection is made, and never
part of this distribution. On links without acknowledgements of their own (UDP) it asks for everything once;
here it is made to ask again, as it does over the radio.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from robot_rl.core.errors import MissingDependencyError, VehicleError, nearest

FIRST_WORD = 0.4
"""Time after which the first question of all is asked again [s]."""
RETRY = 0.15
"""Time after which a command that is answered is sent again [s]."""
RETRIES = 12
"""How often it is sent."""
LINK_PORT, SOURCE_CHANNEL = 0xF, 1
HIGH_LEVEL_PORT, SUPERVISOR_PORT = 0x8, 0x9

OnLog = Callable[[int, Mapping[str, float]], None]
"""Called with the vehicle's milliseconds and the values of a log packet, in cflib's thread."""


def cflib() -> ModuleType:
    """cflib, with its link drivers ready."""
    try:
        import cflib.crazyflie.log
        import cflib.crazyflie.mem
        import cflib.crtp
    except ImportError:
        how = "pip install 'robot-rl[crazyflie]'"
        raise MissingDependencyError("cflib", "a Crazyflie", how) from None
    if not cflib.crtp.CLASSES:
        # What it logs of a link comes to us by callbacks too, without the stack traces.
        logging.getLogger("cflib").setLevel(logging.CRITICAL)
        cflib.crtp.init_drivers()
    return cflib


class Connection:
    """An open link, with the tables of the vehicle downloaded.

    Args:
        uri: Where the vehicle is.
        timeout: Longest time until all is downloaded [s].
        cache: Folder for tables of contents, "" for none.

    Raises:
        VehicleError: Nobody answers there.
    """

    def __init__(self, uri: str, timeout: float, cache: str = "") -> None:
        library = cflib()
        self.uri = uri
        self.heard_at = time.monotonic()
        """When the last packet came [s], by `time.monotonic`."""
        self.trouble = ""
        """What cflib says of a link that it has given up."""
        self._library = library
        self._cache = cache
        self._ready = threading.Event()
        self._answers: dict[tuple[int, int], bytes] = {}
        self._answered = threading.Condition()
        self._asking = threading.Lock()
        self.client: Any = None
        deadline = time.monotonic() + timeout
        while not self._open(deadline):
            self.close(stop_motors=False)
            if time.monotonic() > deadline:
                why = self.trouble or "is it on, and is nobody else connected to it?"
                raise VehicleError(f"no Crazyflie has answered at {uri} within {timeout:g} s: {why}")
            time.sleep(FIRST_WORD)

    def _open(self, deadline: float) -> bool:
        """Try once; whether it has worked."""
        self.trouble = ""
        self.client = self._library.crazyflie.Crazyflie(rw_cache=self._cache or None)
        self.client.packet_sent.add_callback(self._ask_again)
        self.client.packet_received.add_callback(self._on_packet)
        self.client.fully_connected.add_callback(lambda _: self._ready.set())
        self.client.connection_failed.add_callback(self._on_failure)
        self.client.connection_lost.add_callback(self._on_failure)
        for port in (HIGH_LEVEL_PORT, SUPERVISOR_PORT):
            self.client.add_port_callback(port, self._on_answer)
        self.client.open_link(self.uri)
        while not self._ready.wait(FIRST_WORD):
            if self.trouble or time.monotonic() > deadline:
                return False
            if self.client.platform.get_protocol_version() < 0:
                # cflib asks this one question only once, on any link.
                question = self._library.crtp.crtpstack.CRTPPacket()
                question.set_header(LINK_PORT, SOURCE_CHANNEL)
                question.data = (0,)
                self.client.send_packet(question)
        return True

    def _ask_again(self, _: Any) -> None:
        """Before the first answer can come: this is called with cflib's lock on sending held.

        What it raised would leave that lock held for good; and cflib drops a broken link in another thread.
        """
        link = self.client.link
        if link is not None:
            link.needs_resending = True

    def _on_packet(self, _: Any) -> None:
        self.heard_at = time.monotonic()

    def _on_failure(self, _: str, message: str) -> None:
        self.trouble = message.strip().splitlines()[0] if message.strip() else "the link has ended"

    def _on_answer(self, packet: Any) -> None:
        if packet.data:
            with self._answered:
                self._answers[packet.port, packet.data[0] & 0x7F] = bytes(packet.data[1:])
                self._answered.notify_all()

    @property
    def silence(self) -> float:
        """Time since the last packet [s]. The vehicle is pinged ten times a second."""
        return time.monotonic() - self.heard_at

    def ask(self, port: int, command: int, send: Callable[[], None]) -> bytes:
        """Send a command again and again until it is answered; the answer after its first byte.

        Args:
            port: Of command and answer.
            command: The first byte of both.
            send: Sends it. What it raises ends the asking.

        Raises:
            VehicleError: There was no answer.
        """
        with self._asking:
            with self._answered:
                self._answers.pop((port, command), None)
            for _ in range(RETRIES):
                # Without the lock that answers are taken with: on a bad link cflib sends for seconds.
                send()
                with self._answered:
                    if self._answered.wait_for(lambda: (port, command) in self._answers, RETRY):
                        return self._answers.pop((port, command))
        raise VehicleError(f"the Crazyflie at {self.uri} has not answered for {RETRIES * RETRY:.1f} s")

    def log(self, name: str, period: float, variables: Sequence[str], on_log: OnLog) -> None:
        """Have variables logged periodically.

        Args:
            name: Of the block.
            period: A multiple of 0.01 s.
            variables: GROUP.NAME of each.
            on_log: Takes the values.

        Raises:
            VehicleError: The firmware has no such variable.
        """
        block = self._library.crazyflie.log.LogConfig(name, period_in_ms=round(1000 * period))
        known = [f"{group}.{item}" for group, items in self.client.log.toc.toc.items() for item in items]
        for variable in variables:
            if variable not in known:
                raise VehicleError(f"this firmware does not log {variable!r}: {nearest(variable, known)}")
            block.add_variable(variable)
        self.client.log.add_config(block)
        block.data_received_cb.add_callback(lambda stamp, values, _: on_log(stamp, values))
        block.start()

    def parameter(self, name: str) -> float:
        """The value of a parameter, as it was read or written last."""
        self._known_parameter(name)
        return float(self.client.param.get_value(name))

    def set_parameter(self, name: str, value: float, timeout: float = 2.0) -> None:
        """Set a parameter, and wait until the vehicle confirms it."""
        element = self._known_parameter(name)
        if element.get_readable_access() == "RO":
            raise VehicleError(f"the parameter {name} can only be read")
        confirmed = threading.Event()

        def on_update(_: str, text: str) -> None:
            confirmed.set()

        group, item = name.split(".")
        self.client.param.add_update_callback(group, item, on_update)
        try:
            self.client.param.set_value(name, value)
            if not confirmed.wait(timeout):
                raise VehicleError(f"the Crazyflie has not confirmed {name} = {value:g}")
        finally:
            self.client.param.remove_update_callback(group, item, on_update)
        taken = self.parameter(name)
        if abs(taken - value) > 1e-6 * max(1.0, abs(value)):
            raise VehicleError(f"{name} cannot be {value:g}: the Crazyflie has made {taken:g} of it")

    def _known_parameter(self, name: str) -> Any:
        table = self.client.param.toc.toc
        known = [f"{group}.{item}" for group, items in table.items() for item in items]
        if name not in known:
            raise VehicleError(f"this firmware has no parameter {name!r}: {nearest(name, known)}")
        group, item = name.split(".")
        return table[group][item]

    def close(self, stop_motors: bool) -> None:
        """Let go of the link.

        Args:
            stop_motors: cflib's own way to close, whose last packet stops the motors; False sends nothing
                more to a vehicle that may be flying.
        """
        link = self.client.link
        if link is not None and not stop_motors:
            self.client.link = None
            link.close()
        self.client.close_link()
