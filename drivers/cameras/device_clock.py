"""From the stamps of a device's own clock to the graph's clock, by what arrives alone.

A camera counts time from when it was plugged in, and its quartz is a few parts in 100,000 off ours. Pictures
arrive later than they were stamped, by a delay that has a floor and jitters above it. The smallest difference
of arrival and stamp that was ever seen is hence the best estimate of the clocks' offset, if it may grow by
what the quartzes can drift apart (Olson, "A passive solution to the sensor synchronization problem", IROS
2010). What remains is the floor of the delay, a constant: the setting `latency` of a camera.
"""

from __future__ import annotations

from robot_rl.core.clock import nanoseconds

DRIFT = 1e-4
"""Bound on the relative drift of two quartz clocks."""
JUMP = nanoseconds(0.25)
"""Of a camera's clock that was set back [ns]: its pictures are never that late."""


class DeviceClock:
    """Maps the stamps of one device, in the order of their arrival.

    The result is never later than the arrival, and never goes back where the device's stamps do not.

    Args:
        jump: A stamp that is older than this at its arrival means that the device's clock was set back [ns];
            None for a clock that never is.
    """

    def __init__(self, jump: int | None = JUMP) -> None:
        self._jump = jump
        self._offset: int | None = None
        self._arrival = 0

    def stamp(self, device: int, arrival: int) -> int:
        """The graph's time [ns] of the device's time `device` [ns], heard of at `arrival` [ns]."""
        offset = arrival - device
        if self._offset is not None:
            bound = self._offset + round(DRIFT * (arrival - self._arrival))
            if self._jump is None or offset - bound <= self._jump:
                offset = min(offset, bound)
        self._offset, self._arrival = offset, arrival
        return device + offset
