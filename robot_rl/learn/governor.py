"""The replay-ratio governor: how much learning the data that has arrived pays for.

A live robot does not wait for its learner. When the learner falls behind, practice piles up before it; the
governor lets it catch up, during a reset for example, and beyond a limit it writes the oldest debt off:
those transitions are stored and not learned from, so that the rings stay current. It never asks for more
than `utd_ratio` updates for each environment step.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """What to do now, in blocks of practice, oldest first."""

    store: int
    """Blocks to store without learning: `Learner.add(..., learn=False)`."""
    learn: int
    """Blocks to learn from after them."""


class ReplayRatioGovernor:
    """Counts practice against updates.

    Args:
        utd_ratio: Critic steps for each environment step.
        block: Environment steps that are learned from at once.
        debt_limit: Environment steps that may wait for their updates.
    """

    def __init__(self, utd_ratio: int, block: int, debt_limit: int) -> None:
        if min(utd_ratio, block) < 1:
            raise ValueError(f"utd_ratio {utd_ratio} and block {block} must be at least 1")
        if debt_limit < block:
            raise ValueError(f"debt_limit {debt_limit} must hold at least one block of {block} steps")
        self.utd_ratio, self.block, self.debt_limit = utd_ratio, block, debt_limit
        self.arrived = 0
        """Environment steps that have arrived."""
        self.learned = 0
        """Blocks learned from."""
        self.stored = 0
        """Blocks stored without learning."""

    @property
    def due(self) -> int:
        """Full blocks that wait."""
        return self.arrived // self.block - self.learned - self.stored

    def arrive(self, steps: int = 1) -> None:
        """Take note of practice that has arrived."""
        self.arrived += steps

    def plan(self, capacity: int) -> Plan:
        """Decide, and count as done, what to do while the learner can take `capacity` blocks."""
        store = max(0, self.due - self.debt_limit // self.block)
        self.stored += store
        learn = min(self.due, capacity)
        self.learned += learn
        return Plan(store, learn)

    def metrics(self) -> dict[str, float]:
        """Replay ratio so far, updates owed, and updates written off."""
        updates = self.utd_ratio * self.block
        return {
            "replay_ratio": self.learned * updates / max(self.arrived, 1),
            "updates_owed": float(self.due * updates),
            "updates_written_off": float(self.stored * updates),
        }
