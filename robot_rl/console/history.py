"""What the curves of a training show: figures of episodes and of the learner against practice steps.

Memory is bounded: a curve that has too many points merges neighbours, so it gets coarser as it gets longer.
Pure: the graph's messages, or the files of a run that has begun before, are handed in.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from robot_rl.core.types import EpisodeResult, Mode

WINDOW = 20
"""Rates and returns are means over so many practice episodes, as in the plots of a run."""
MOST_POINTS = 200
"""Points of a curve before neighbours are merged; half as many remain then."""
RATE_TIME = 1.0
"""Updates are counted over at least this long for their rate [s]."""


class Series:
    """The points of one curve, with x in order.

    Args:
        most: Points before neighbours are merged.
    """

    def __init__(self, most: int = MOST_POINTS) -> None:
        self._most = most
        self._stride = 1
        """Samples in one point."""
        self._points: list[tuple[float, float]] = []
        self._bucket: list[float] = []
        self._newest: tuple[float, float] | None = None

    def add(self, x: float, y: float) -> None:
        """Add a sample. One at the last x replaces it; one before that, or without a value, is dropped."""
        if not math.isfinite(y) or (self._newest is not None and x < self._newest[0]):
            return
        if self._newest is not None and x > self._newest[0]:
            self._keep(*self._newest)
        self._newest = x, y

    def points(self) -> list[tuple[float, float]]:
        """Means of neighbours, and the newest sample as it is."""
        return self._points + ([self._newest] if self._newest is not None else [])

    def _keep(self, x: float, y: float) -> None:
        self._bucket.append(y)
        if len(self._bucket) < self._stride:
            return
        self._points.append((x, sum(self._bucket) / len(self._bucket)))
        self._bucket.clear()
        if len(self._points) >= self._most:
            pairs = zip(self._points[::2], self._points[1::2], strict=False)
            self._points = [(right, (a + b) / 2) for (_, a), (right, b) in pairs]
            self._stride *= 2


@dataclass(frozen=True)
class _Practice:
    """What a practice episode adds to the means."""

    success: bool
    alone: bool
    steps: float
    human_steps: float
    reward: float


class History:
    """Folds what happens into curves."""

    def __init__(self) -> None:
        self.practice_steps = 0.0
        """Of the episodes so far: where on the x axis the run is [environment steps]."""
        self._index = -1
        self._recent: deque[_Practice] = deque(maxlen=WINDOW)
        self._evaluated: list[float] = []
        self._evaluated_at = -1.0
        self._counted: tuple[float, float] | None = None
        """Time [s] and number of updates from which their rate is counted."""
        names = ("success", "alone", "evaluation", "help", "return", "critic", "actor", "rate", "p50", "p99")
        self._series = {name: Series() for name in names}

    def end_episode(self, index: int, mode: Mode, figures: Mapping[str, float]) -> None:
        """An episode has ended.

        Args:
            index: Of the episode; one that is known already, or is older, counts once.
            mode: Only practice and evaluations are shown.
            figures: success, steps, human_steps and reward; latency_p50_ms and latency_p99_ms, from a tick to
                its command, where they are known.
        """
        if index <= self._index:
            return
        self._index = index
        if mode is Mode.TRAIN:
            self._end_practice(figures)
        elif mode is Mode.EVAL:
            self._end_evaluation(figures["success"])
        for name in ("p50", "p99"):
            if (latency := figures.get(f"latency_{name}_ms")) is not None:
                self._series[name].add(self.practice_steps, latency)

    def hear_learner(self, figures: Mapping[str, Any], now: float, step: float | None = None) -> None:
        """The learner says how it is.

        Args:
            figures: critic_loss, actor_loss, updates and others; null for what is not finite.
            now: Time, on any clock that does not go back [s].
            step: Practice steps then; None for those so far.
        """
        x = self.practice_steps if step is None else step
        for name in ("critic", "actor"):
            if (loss := figures.get(f"{name}_loss")) is not None:
                self._series[name].add(x, loss)
        if (updates := figures.get("updates")) is None:
            return
        if self._counted is None or now < self._counted[0] or updates < self._counted[1]:
            self._counted = now, updates
        elif now - self._counted[0] >= RATE_TIME:
            self._series["rate"].add(x, (updates - self._counted[1]) / (now - self._counted[0]))
            self._counted = now, updates

    def restore(self, results: Iterable[EpisodeResult], rows: Iterable[Mapping[str, Any]]) -> None:
        """Take in a run that has begun before.

        Args:
            results: Its episodes.
            rows: Of its `metrics.jsonl`, in which the learner's figures are.
        """
        for result in results:
            figures = {
                "success": float(result.success),
                "steps": float(result.steps),
                "human_steps": float(result.human_steps),
                "reward": result.reward,
            }
            self.end_episode(result.episode.index, result.episode.mode, figures)
        for row in rows:
            self.hear_learner(row, row["wall_s"], row["step"])
        # What comes from now on is timed by another clock.
        self._counted = None

    def charts(self) -> list[dict[str, Any]]:
        """All curves as the page draws them: title, unit, range and series of points, against practice steps.

        An end of the range that is null is chosen by the page; curves that are "apart" have each a range of
        its own.
        """
        return [
            self._chart("Success", "%", (0, 100), success="last 20", alone="alone", evaluation="eval"),
            self._chart("Steps by the person", "%", (0, 100), help="last 20"),
            self._chart("Return", "", (None, None), **{"return": "last 20"}),
            self._chart("Losses", "", (None, None), critic="critic", actor="actor") | {"apart": True},
            self._chart("Updates", "1/s", (0, None), rate="rate"),
            self._chart("Latency", "ms", (0, None), p50="median", p99="99 %"),
        ]

    def _chart(
        self, title: str, unit: str, limits: tuple[float | None, float | None], **series: str
    ) -> dict[str, Any]:
        curves = [
            {"name": label, "points": [(x, float(f"{y:.5g}")) for x, y in self._series[name].points()]}
            for name, label in series.items()
        ]
        low, high = limits
        return {"title": title, "unit": unit, "low": low, "high": high, "apart": False, "series": curves}

    def _end_practice(self, figures: Mapping[str, float]) -> None:
        success, human = figures["success"] > 0, figures["human_steps"]
        self._recent.append(
            _Practice(success, success and human == 0, figures["steps"], human, figures["reward"])
        )
        self.practice_steps += figures["steps"]
        x, recent, count = self.practice_steps, self._recent, len(self._recent)
        self._series["success"].add(x, 100 * sum(e.success for e in recent) / count)
        self._series["alone"].add(x, 100 * sum(e.alone for e in recent) / count)
        steps = sum(e.steps for e in recent)
        self._series["help"].add(x, 100 * sum(e.human_steps for e in recent) / max(steps, 1))
        self._series["return"].add(x, sum(e.reward for e in recent) / count)

    def _end_evaluation(self, success: float) -> None:
        """Episodes of an evaluation have no practice between them: they make one point."""
        if self._evaluated_at != self.practice_steps:
            self._evaluated.clear()
            self._evaluated_at = self.practice_steps
        self._evaluated.append(success)
        mean = sum(self._evaluated) / len(self._evaluated)
        self._series["evaluation"].add(self.practice_steps, 100 * mean)
