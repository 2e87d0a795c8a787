"""Dead-man's watches: who has to be heard of for the arm to follow commands, and for how long.

Two of them make a chain. The safety process watches the heartbeats of the others and gives a permit; the
robot's process watches the permit. Silence ends in a hold, which ends with the silence, and long silence in a
fault, which a person has to clear. A process that is killed gives no permit either way, so whichever link
fails, the arm holds.

The delays add up to less than 0.2 s from the death of a process to the hold: a heartbeat may be as old as
`HEARTBEAT_TIMEOUT`, the watch looks every 0.01 s, the robot every 0.004 s. That leaves pauses of 0.1 s, as a
busy machine without a real-time kernel makes them, without a hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from robot_rl.core.clock import nanoseconds, seconds

HEARTBEAT_TIMEOUT = 0.16
"""Without a heartbeat of a required process for this long, the permit is denied [s]."""

PERMIT_TIMEOUT = 0.16
"""Without a permit for this long, the arm holds [s]."""

FAULT_AFTER = 1.0
"""Without a permit for this long, there is a fault [s]."""

STEADY_AFTER = 0.5
"""A process is required once it has kept time for this long [s]: while it starts it has more to do."""

NOT_YET = "has not been heard of yet"
"""Ends the reason of a hold for a process that is awaited."""

LATE_AFTER = 2.0
"""Other processes are called late after this silence [s]; one that learns compiles for longer."""

SUPERVISOR = "the safety process"
"""What the robot calls the process that gives permits, in its reasons."""

WAITING = f"waiting for the first permit of {SUPERVISOR}"
"""Why the arm holds before it has heard of a permit."""


class ListeningClock:
    """Steady time in which a loop could hear: a pause of the loop itself counts for `longest` at most.

    What came in such a pause is heard only after it, and the pause shall not be held against who said it.
    """

    def __init__(self, longest: float, steady: Callable[[], int] = time.monotonic_ns) -> None:
        """Start at 0.

        Args:
            longest: Usual time between two turns of the loop, with room [s].
            steady: The clock of the machine [ns].
        """
        self.now = 0
        """[ns]"""
        self._longest = nanoseconds(longest)
        self._steady = steady
        self._turned_at = steady()

    def turn(self) -> int:
        """Go on; call it at every turn of the loop, after it has listened. Returns `now` [ns]."""
        at = self._steady()
        self.now += min(at - self._turned_at, self._longest)
        self._turned_at = at
        return self.now


@dataclass
class _Peer:
    heard_at: int
    steady_since: int
    required: bool = False
    left: bool = False


@dataclass(frozen=True)
class Verdict:
    """Whether the arm may follow commands."""

    reason: str
    """Why not, "" when it may."""
    late: dict[str, float]
    """Process to its silence [s], for those that are late."""


class HeartbeatWatch:
    """Judges from heartbeats whether the arm may move.

    Nobody is required before it has kept time for a while, and a process that was started again takes the
    place of the one before it. Those that are awaited have to be heard of once before anything: a watch that
    was started again does not take the silent for absent.
    """

    def __init__(
        self,
        required: Collection[str],
        timeout: float = HEARTBEAT_TIMEOUT,
        late_after: float = LATE_AFTER,
        steady_after: float = STEADY_AFTER,
        awaited: Collection[str] = (),
    ) -> None:
        """Hear nobody yet.

        Args:
            required: Processes without which the arm holds.
            timeout: Their longest silence [s].
            late_after: The silence after which others are called late [s].
            steady_after: How long a process has to keep time to be required [s].
            awaited: Processes that have to be heard of before the arm may move.
        """
        self._required = frozenset(required)
        self._timeout = nanoseconds(timeout)
        self._late_after = nanoseconds(late_after)
        self._steady_after = nanoseconds(steady_after)
        self._awaited = list(awaited)
        self._peers: dict[tuple[str, int], _Peer] = {}

    def hear(self, process: str, pid: int, now: int) -> None:
        """Take note of a heartbeat at `now` [ns]."""
        if process in self._awaited:
            self._awaited.remove(process)
        peer = self._peers.get((process, pid))
        if peer is None:
            # Two of a name may live at once, such as two consoles; one that is silent has been replaced.
            self._peers = {
                key: other
                for key, other in self._peers.items()
                if key[0] != process or (not other.left and now - other.heard_at <= self._timeout)
            }
            self._peers[process, pid] = _Peer(now, now)
            return
        if now - peer.heard_at > self._timeout and not peer.required:
            peer.steady_since = now
        peer.heard_at, peer.left = now, False
        if process in self._required and now - peer.steady_since >= self._steady_after:
            peer.required = True

    def let_go(self, process: str, pid: int) -> None:
        """A process said that it ends because somebody wanted it."""
        if (process, pid) in self._peers:
            self._peers[process, pid].left = True

    def verdict(self, now: int) -> Verdict:
        """Whether the arm may move at `now` [ns]."""
        reasons: list[str] = []
        late: dict[str, float] = {}
        for (process, _), peer in self._peers.items():
            age = now - peer.heard_at
            if not peer.left and age > (self._timeout if peer.required else self._late_after):
                late[process] = round(max(seconds(age), late.get(process, 0.0)), 3)
                if peer.required:
                    reasons.append(f"the process {process!r} is silent for {seconds(age):.2f} s")
        reasons += [f"the process {process!r} {NOT_YET}" for process in self._awaited]
        return Verdict("; ".join(reasons), late)


class PermitWatch:
    """Decides from the permits whether the robot may follow commands."""

    def __init__(self, timeout: float = PERMIT_TIMEOUT, fault_after: float = FAULT_AFTER) -> None:
        """Have no permit yet.

        Args:
            timeout: Without a permit for this long, the robot holds [s].
            fault_after: Without one that allows it for this long, it is a fault [s].
        """
        self._timeout = nanoseconds(timeout)
        self._fault_after = nanoseconds(fault_after)
        self._heard_at: int | None = None
        self._allowed_at: int | None = None
        self._denied = ""

    def hear(self, allowed: bool, reason: str, now: int) -> None:
        """Take note of a permit, or of its denial, at `now` [ns]."""
        self._heard_at = now
        self._denied = "" if allowed else reason or f"{SUPERVISOR} gives no permit"
        if allowed:
            self._allowed_at = now

    def verdict(self, now: int) -> tuple[str, bool]:
        """Why the robot has to hold at `now` [ns], "" when it need not; and whether that is a fault.

        Before the first permit that allows it to move, waiting is none: the graph is starting.
        """
        if self._heard_at is None:
            return WAITING, False
        silence = now - self._heard_at
        reason = self._denied
        if silence > self._timeout:
            reason = f"{SUPERVISOR} is silent for {seconds(silence):.2f} s"
        too_long = self._allowed_at is not None and now - self._allowed_at > self._fault_after
        return reason, bool(reason) and too_long
