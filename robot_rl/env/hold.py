"""Success that lasts: a condition has to hold for some time before it counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from robot_rl.core.types import ArmState, Pose


class Hold:
    """Counts for how many ticks in a row a condition has been met.

    Args:
        ticks: How long it has to be met [ticks]; at least one.
    """

    def __init__(self, ticks: int) -> None:
        self.wanted = max(1, ticks)
        self.ticks = 0

    def reset(self) -> None:
        """Start anew."""
        self.ticks = 0

    def update(self, met: bool) -> bool:
        """See one tick; True while the condition has been met for long enough."""
        self.ticks = self.ticks + 1 if met else 0
        return self.ticks >= self.wanted

    @property
    def fraction(self) -> float:
        """How much of the time has passed, in [0, 1]."""
        return min(1.0, self.ticks / self.wanted)


class HoldByTruth:
    """An evaluation's `Judge`: true from the tick on at which a condition on the true poses has held.

    Args:
        condition: Of one instant.
        ticks: How long it has to hold [ticks].
    """

    def __init__(self, condition: Callable[[ArmState, Mapping[str, Pose]], bool], ticks: int) -> None:
        self._condition = condition
        self._hold = Hold(ticks)
        self._reached = False

    def update(self, state: ArmState, truth: Mapping[str, Pose]) -> bool:
        self._reached = self._hold.update(self._condition(state, truth)) or self._reached
        return self._reached
