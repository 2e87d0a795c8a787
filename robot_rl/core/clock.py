"""Clocks: steady time on a live robot, simulated time in lockstep."""

from __future__ import annotations

import time

NANOSECONDS = 1_000_000_000


def seconds(stamp: int) -> float:
    """Nanoseconds to seconds."""
    return stamp / NANOSECONDS


def nanoseconds(duration: float) -> int:
    """Seconds to nanoseconds, rounded."""
    return round(duration * NANOSECONDS)


class SteadyClock:
    """The machine's monotonic clock, for watchdogs and live control."""

    def now(self) -> int:
        return time.monotonic_ns()

    def sleep_until(self, stamp: int) -> None:
        remaining = stamp - time.monotonic_ns()
        if remaining > 0:
            time.sleep(remaining / NANOSECONDS)


class ManualClock:
    """Simulated time: it stands still until somebody advances it."""

    def __init__(self, start: int = 0) -> None:
        self._now = start

    def now(self) -> int:
        return self._now

    def advance_to(self, stamp: int) -> None:
        if stamp < self._now:
            raise ValueError(f"time cannot go back from {self._now} to {stamp} ns")
        self._now = stamp

    def sleep_until(self, stamp: int) -> None:
        self.advance_to(max(stamp, self._now))


class Rate:
    """Keeps a loop on a fixed grid of ticks and counts the ticks that came late."""

    def __init__(self, clock: SteadyClock, hertz: float, late_after: float = 0.02) -> None:
        self.clock = clock
        self.period = nanoseconds(1.0 / hertz)
        self.late_after = nanoseconds(late_after)
        self.late_ticks = 0
        self.next_tick = clock.now() + self.period

    def sleep(self) -> int:
        """Wait for the next tick and return how late [ns] the loop is; missed ticks are skipped."""
        self.clock.sleep_until(self.next_tick)
        lateness = self.clock.now() - self.next_tick
        if lateness > self.late_after:
            self.late_ticks += 1
        self.next_tick += self.period * (1 + lateness // self.period)
        return lateness
