"""The latched fault of a vehicle: from its first moment on nothing is obeyed that could move it."""

from __future__ import annotations

import threading

from robot_rl.core.errors import RobotFaultError


class FaultLatch:
    """Why a vehicle is not obeyed. May be used by any thread; no call takes longer than a moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason = ""
        self._count = 0

    @property
    def reason(self) -> str:
        """Of the fault, "" when all is well."""
        return self._reason

    @property
    def count(self) -> int:
        """Faults so far, also those that came while another one was latched."""
        return self._count

    def latch(self, reason: str, first: bool = False) -> None:
        """Latch a fault. One that is latched already keeps its reason, unless this one goes `first`."""
        with self._lock:
            self._count += 1
            if first or not self._reason:
                self._reason = reason

    def check(self) -> None:
        """Raise `RobotFaultError` for a latched fault."""
        reason = self._reason
        if reason:
            raise RobotFaultError(reason)

    def clear(self, count: int) -> bool:
        """Clear the faults up to the one of this number; False when there was one since."""
        with self._lock:
            if self._count != count:
                return False
            self._reason = ""
            return True
