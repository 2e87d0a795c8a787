"""Who of several pages controls: one at a time, and none that is silent.

Times are steady seconds (`time.monotonic`), handed in, so that the rules can be tested without waiting.
"""

from __future__ import annotations

SILENCE = 0.1
"""A holder that says nothing for this long is taken to have let go of everything [s]."""

LOSS = 1.0
"""A holder that says nothing for this long loses the lease [s]."""


class Lease:
    """Control over the robot's session and motion, held by one page at most."""

    def __init__(self) -> None:
        self.holder = ""
        """Name of the page that controls, "" for none."""
        self._heard = 0.0

    def take(self, who: str, now: float) -> bool:
        """Give control to `who` if it is free or already hers; False when another page holds it."""
        self.expire(now)
        if self.holder not in ("", who):
            return False
        self.holder, self._heard = who, now
        return True

    def give_back(self, who: str) -> bool:
        """Free the lease; False when `who` does not hold it."""
        if not who or self.holder != who:
            return False
        self.holder = ""
        return True

    def hear(self, who: str, now: float) -> bool:
        """Note a sign of life of the holder; False when `who` does not hold the lease."""
        if not who or self.holder != who:
            return False
        self._heard = now
        return True

    def is_silent(self, now: float) -> bool:
        """Whether the holder has been silent for `SILENCE`; never without a holder."""
        return bool(self.holder) and now - self._heard > SILENCE

    def expire(self, now: float) -> str:
        """Free the lease of a holder that has been silent for `LOSS`; her name then, else ""."""
        if not self.holder or now - self._heard <= LOSS:
            return ""
        lost, self.holder = self.holder, ""
        return lost
