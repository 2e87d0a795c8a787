"""Reward from the probabilities of a classifier: each stage once, in order, and only when it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from robot_rl.core.errors import ConfigError, SpecError
from robot_rl.env.hold import Hold


class StageReward(NamedTuple):
    """What one tick is worth."""

    reward: float
    """1 / n when one of the n stages was reached at this tick for the first time in the episode, else 0."""
    success: bool
    """The last stage is reached."""
    fraction: float
    """How far the episode is, in [0, 1]: (stages reached + ticks held / ticks wanted) / n. With it in the
    observation the reward is Markov."""


class StageCounter:
    """Counts for how many ticks in a row the next stage of a task has looked reached.

    A single frame that the classifier gets wrong earns nothing: stage k is reached when its probability was
    at least its threshold for `ticks` ticks in a row, all of them after stage k - 1 was reached.
    """

    def __init__(self, stages: int, thresholds: float | Sequence[float], ticks: int) -> None:
        """Start an episode.

        Args:
            stages: Number of stages n; 1 for a task that is only reached or not.
            thresholds: Probability at which a stage counts as seen, one for all or one each, in (0, 1).
            ticks: How long a stage has to be seen [ticks].
        """
        each = (thresholds,) * stages if isinstance(thresholds, (int, float)) else tuple(thresholds)
        if stages < 1 or ticks < 1 or len(each) != stages or not all(0.0 < t < 1.0 for t in each):
            raise ConfigError(
                "stages and ticks must be at least 1, with one threshold in (0, 1) for all stages or one for "
                f"each; got {stages} stages, {ticks} ticks and thresholds {thresholds}"
            )
        self.stages = stages
        self.thresholds = tuple(float(t) for t in each)
        self.reached = 0
        """Stages reached in this episode."""
        self._held = Hold(ticks)

    def reset(self) -> None:
        """Start an episode."""
        self.reached = 0
        self._held.reset()

    @property
    def fraction(self) -> float:
        """As `StageReward.fraction`."""
        return (self.reached + self._held.fraction) / self.stages

    def update(self, probabilities: Sequence[float]) -> StageReward:
        """See one tick: the probability of each stage. Not a number counts as not seen."""
        if len(probabilities) != self.stages:
            raise SpecError(
                f"expected the probabilities of {self.stages} stages, got {len(probabilities)}: does the "
                "reward classifier belong to this task, and is it running?"
            )
        if self.reached == self.stages:
            return StageReward(0.0, True, 1.0)
        seen = probabilities[self.reached] >= self.thresholds[self.reached]
        if not self._held.update(bool(seen)):
            return StageReward(0.0, False, self.fraction)
        self.reached += 1
        self._held.reset()
        return StageReward(1.0 / self.stages, self.reached == self.stages, self.fraction)
