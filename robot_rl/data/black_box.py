"""The black box: the last seconds of every message, written to a file of their own when a fault appears.

Episode logs hold what learning needs; after a fault one wants to know all the rest too, and also when no
episode was running. So the recorder keeps all that it hears in memory for a while. A file is an MCAP as the
episode logs are, with the same topics and types, and its metadata record `robot_rl.fault` says what happened.
"""

from __future__ import annotations

import os
import re
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from robot_rl.core.clock import SteadyClock, nanoseconds, seconds
from robot_rl.core.errors import LogError
from robot_rl.core.protocols import Clock
from robot_rl.data.bag import Bag
from robot_rl.data.mcap_scan import McapScan

FOLDER = "black_box"
"""Folder of a run that holds the files."""

OVERHEAD = 512
"""What a message in memory takes beside its own bytes, about [bytes]."""

_FAULT = "robot_rl.fault"


@dataclass(frozen=True)
class Fault:
    """What a black box was written for."""

    reason: str
    """The safety supervisor's."""
    advice: str
    """What to do about it."""
    stamp: int
    """Time of the state in which it appeared [ns]."""


class _Entry(NamedTuple):
    time: int
    """Graph time that had passed when it came [ns]."""
    topic: str
    msgtype: str
    data: bytes
    stamp: int


class BlackBox:
    """Remembers the last messages, and writes them when there is a fault.

    The seconds are those of the graph, simulated ones in lockstep; they stand still while no state comes, and
    go on when simulated time starts again from zero.
    """

    def __init__(
        self,
        folder: Path,
        *,
        duration: float = 10.0,
        aftermath: float = 0.5,
        most_bytes: int = 128 * 2**20,
        most_files: int = 20,
        clock: Clock | None = None,
    ) -> None:
        """Start with an empty memory.

        Args:
            folder: Where the files go; made when there is one.
            duration: How far back a file reaches [s].
            aftermath: What comes this long after the fault is in the file too [s].
            most_bytes: Of memory for messages; when they need more, the oldest are forgotten.
            most_files: With as many in the folder, no other is written: none is ever deleted.
            clock: Measures the aftermath where graph time stands still; the machine's steady one by default.
        """
        self.folder = folder
        self.now = 0
        """Stamp of the newest tick [ns]."""
        self._duration = nanoseconds(duration)
        self._aftermath = nanoseconds(aftermath)
        self._most_bytes = most_bytes
        self._most_files = most_files
        self._clock = clock or SteadyClock()
        self._time = 0
        self._ring: deque[_Entry] = deque()
        self._bytes = 0
        self._lasting: set[str] = set()
        self._last: dict[str, _Entry] = {}
        self._reason = ""
        self._pending: Fault | None = None
        self._due = (0, 0)

    def keep_newest(self, topic: str) -> None:
        """Keep the newest message of this topic however old it is: it holds until the next one."""
        self._lasting.add(topic)

    def tick(self, stamp: int) -> None:
        """The graph's time is `stamp` [ns] now."""
        self._time += max(stamp - self.now, 0) if self.now else 0
        self.now = stamp
        self._forget()

    def add(self, topic: str, msgtype: str, data: bytes, stamp: int | None = None) -> None:
        """Remember a message: its CDR bytes and its log time [ns], None for now."""
        self._ring.append(_Entry(self._time, topic, msgtype, data, self.now if stamp is None else stamp))
        self._bytes += len(data) + OVERHEAD
        if self._bytes > self._most_bytes:
            self._forget()

    def see(self, fault: Fault) -> None:
        """Look at the robot's state; `fault.reason` is "" when there is none.

        Raises:
            LogError: The fault before this one followed so closely that it had to be written now, and cannot.
        """
        reason, self._reason = self._reason, fault.reason
        if fault.reason and fault.reason != reason:
            try:
                self.flush()
            finally:
                self._pending = fault
                self._due = (self._time + self._aftermath, self._clock.now() + self._aftermath)

    def poll(self) -> Path | None:
        """Write when the time has come; call it now and then. Returns the new file.

        Raises:
            LogError: It cannot be written.
        """
        if self._pending is None or (self._time < self._due[0] and self._clock.now() < self._due[1]):
            return None
        return self.flush()

    def flush(self) -> Path | None:
        """Write at once what is to be written, if anything is. Errors as for `poll`."""
        fault, self._pending = self._pending, None
        if fault is None:
            return None
        try:
            return self._write(fault)
        except OSError as error:
            raise LogError(f"{self.folder}: cannot write the black box: {error.strerror}") from error

    def _forget(self) -> None:
        oldest = self._time - self._duration
        while self._ring and (self._ring[0].time < oldest or self._bytes > self._most_bytes):
            entry = self._ring.popleft()
            self._bytes -= len(entry.data) + OVERHEAD
            if entry.topic in self._lasting:
                self._last[entry.topic] = entry

    def _write(self, fault: Fault) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        files = len(list(self.folder.glob("*.mcap")))
        if files >= self._most_files:
            raise LogError(
                f"no black box of the fault {fault.reason!r}: there are {files} in {self.folder} already. "
                "Move some away to have others written."
            )
        path = _free_path(self.folder, fault.reason)
        partial = path.with_suffix(".partial")
        reach = seconds(self._time - self._ring[0].time) if self._ring else 0.0
        with partial.open("wb") as file:
            bag = Bag(file)
            facts = {"reason": fault.reason, "advice": fault.advice, "stamp": str(fault.stamp)}
            bag.writer.add_metadata(_FAULT, facts | {"seconds": f"{reach:.3f}"})
            for entry in [*self._last.values(), *self._ring]:
                bag.add(entry.topic, entry.msgtype, entry.data, entry.stamp)
            bag.writer.finish()
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        return path


def read_fault(path: Path) -> Fault:
    """What a black box was written for; `robot_rl.data.episode_log.read` gives its messages.

    Raises:
        LogError: The file is damaged, or no black box.
    """
    values = McapScan(path).metadata().get(_FAULT)
    if values is None:
        raise LogError(f"{path} is no black box: it has no metadata record {_FAULT!r}")
    try:
        return Fault(values["reason"], values["advice"], int(values["stamp"]))
    except (KeyError, ValueError) as error:
        raise LogError(f"{path}: the metadata of the fault is damaged: {error!r}") from None


def _free_path(folder: Path, reason: str) -> Path:
    slug = re.sub(r"[^a-z0-9]+", "-", reason.lower()).strip("-")[:48].rstrip("-")
    stem = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{slug}"
    path, attempt = folder / f"{stem}.mcap", 1
    while path.exists():
        path, attempt = folder / f"{stem}-{attempt}.mcap", attempt + 1
    return path
