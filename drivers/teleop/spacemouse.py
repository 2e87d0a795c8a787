"""SpaceMouse by USB, cable or radio: no daemon, no system library."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import ClassVar

from drivers.teleop.button_words import TWO_BUTTONS, Words, check_words, spoken
from drivers.teleop.hid_reports import FORMER_VENDOR, PRODUCTS, VENDOR, ReportDecoder, Verdict
from drivers.teleop.hid_transport import HidApi, HidHandle, HidInfo, HidTransport
from drivers.teleop.hotplug import HotPlug
from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import DeviceError
from robot_rl.core.types import DeviceState

logger = logging.getLogger(__name__)

ALL_BUTTONS: Words = {
    **TWO_BUTTONS,  # on large ones these are the keys Menu and Fit
    12: "close",
    13: "open",
    14: "success",
    15: "failure",
    22: "e_stop",
    23: "label",
    24: "not_reached",
    25: "dead_man",
}
"""The same, and the keys 1 to 4, Esc, Alt, Shift and Ctrl of the Pro and the Enterprise."""

OWN_NUMBERS = {(FORMER_VENDOR, 0xC623), (FORMER_VENDOR, 0xC625), (FORMER_VENDOR, 0xC627)}
"""Older devices which number their keys in their own way: only the first two have a meaning here."""

SIX_AXES = (0x01, 0x08)
"""Usage page and usage of a multi-axis controller."""

MOST_REPORTS = 256
"""Taken by one `read`, which has to return even if a device sends without end."""
GARBAGE_LIMIT = 50
"""So many refused reports in a row, and this is no SpaceMouse."""
GARBAGE_GAP = nanoseconds(0.2)
"""Refused reports that are further apart than this are not in a row [ns]."""


class SpaceMouse:
    """An `InputDevice`.

    Several may be in use at once. Each remembers where it was plugged in: one that is unplugged never gets
    hold of the other one's cap.

    Args:
        which: Counts the mice in the order of their paths, from 0; or the path of one.
        words: What its buttons mean, numbered as in `hid_reports`; None for the table of its kind.
        dead_man: The right button of a small one is the dead man's switch; on large ones Ctrl is, too.
        transport: Where reports come from; None for the HID devices of this machine.
        clock: Steady time [ns].
    """

    _taken: ClassVar[set[str]] = set()
    """Paths that are open in this process."""

    def __init__(
        self,
        which: int | str = 0,
        words: Words | None = None,
        dead_man: bool = False,
        transport: HidTransport | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.name = "spacemouse" if which == 0 else f"spacemouse:{which}"
        self.which = which
        self.refused = 0
        """Reports so far that no SpaceMouse sends."""
        self._given_words = None if words is None else check_words(words)
        self._dead_man = dead_man
        self._transport = transport if transport is not None else HidApi()
        self._clock = clock
        self._plug = HotPlug(self.name, self._connect, self._disconnect, clock)
        self._last: HidInfo | None = None

    def read(self) -> DeviceState:
        handle = self._plug.get()
        try:
            for _ in range(MOST_REPORTS):
                if not (report := handle.read()):
                    break
                self._feed(report)
        except OSError as error:
            raise self._plug.lose(f"{self.name} is gone ({error}): plug it in again") from None
        now = self._clock()
        if self._in_a_row >= GARBAGE_LIMIT:
            raise self._plug.lose(
                f"{self.name} sends what no SpaceMouse sends, {self.refused} reports so far: plug it in "
                "again, or name another one, such as spacemouse:1"
            )
        held, self._pressed = self._pressed | self._decoder.buttons, frozenset()
        return DeviceState(now, self._decoder.axes(now), spoken(self._words, held))

    def close(self) -> None:
        self._plug.close()

    def _feed(self, report: bytes) -> None:
        now = self._clock()
        verdict = self._decoder.feed(report, now)
        if verdict is Verdict.TAKEN:
            self._in_a_row = 0
            # A press counts though the button is up again before anybody reads.
            self._pressed |= self._decoder.buttons
        elif verdict is Verdict.REFUSED:
            if self.refused == 0:
                logger.warning("%s sent a report that makes no sense: %s", self.name, report.hex(" "))
            self.refused += 1
            self._in_a_row = self._in_a_row + 1 if now - self._refused_at < GARBAGE_GAP else 1
            self._refused_at = now

    def _connect(self) -> HidHandle:
        found = spacemice(self._transport)
        info = self._choose(found)
        handle = self._transport.open(info.path)
        self._taken.add(info.path)
        self._last = info
        self._decoder = ReportDecoder()
        self._pressed: frozenset[int] = frozenset()
        self._in_a_row = 0
        self._refused_at = self._clock() - GARBAGE_GAP
        self._words = self._meanings(info)
        logger.info("%s is a %s at %s", self.name, product_name(info), info.path)
        return handle

    def _disconnect(self, handle: HidHandle) -> None:
        if self._last is not None:
            self._taken.discard(self._last.path)
        handle.close()

    def _choose(self, found: list[HidInfo]) -> HidInfo:
        if not found:
            raise DeviceError(
                f"no SpaceMouse is there for {self.name}: plug it in, or its receiver. In a container, pass "
                "/dev/hidraw* on to it"
            )
        free = [info for info in found if info.path not in self._taken]
        if self._last is not None:
            # Once it was found, it is that one: at the same place, else another free one of its kind.
            same = [info for info in free if info.path == self._last.path]
            kind = [info for info in free if info[1:3] == self._last[1:3]]
            if same or kind:
                return (same or kind)[0]
        elif isinstance(self.which, str):
            for info in free:
                if info.path == self.which:
                    return info
        elif self.which < len(found) and found[self.which] in free:
            return found[self.which]
        listed = ", ".join(
            f"{i}: {product_name(info)} at {info.path}{'' if info in free else ' (in use)'}"
            for i, info in enumerate(found)
        )
        raise DeviceError(f"{self.name} is not there. Connected are {listed}")

    def _meanings(self, info: HidInfo) -> Words:
        words = self._given_words
        if words is None:
            words = TWO_BUTTONS if (info.vendor, info.product) in OWN_NUMBERS else ALL_BUTTONS
        return {**words, 1: "dead_man"} if self._dead_man else words


def spacemice(transport: HidTransport) -> list[HidInfo]:
    """The SpaceMice that are connected, in the order of their paths, each once."""
    mice: dict[str, HidInfo] = {}
    for info in transport.find():
        usage = (info.usage_page, info.usage)
        known = (info.vendor, info.product) in PRODUCTS
        # A receiver is a keyboard and a mouse as well: take the six axes, where the system tells them apart.
        has_axes = usage == SIX_AXES if any(usage) else known
        if has_axes and (known or info.vendor == VENDOR):
            mice.setdefault(info.path, info)
    return [mice[path] for path in sorted(mice)]


def product_name(info: HidInfo) -> str:
    """Such as "SpaceMouse Compact"."""
    return PRODUCTS.get((info.vendor, info.product), f"3Dconnexion {info.vendor:04x}:{info.product:04x}")
