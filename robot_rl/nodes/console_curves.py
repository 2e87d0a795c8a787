"""The curves of the console: from what the graph says, and from the files of a run that has begun before."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from robot_rl.console.history import History
from robot_rl.console.model import Model
from robot_rl.core.errors import CodecError, LogError
from robot_rl.data.run_directory import read_metrics
from robot_rl.nodes.messages import EpisodeEvent, mode
from robot_rl.nodes.results_file import read_results

PERIOD = 1.0
"""The pages get new curves no more often than this [s]."""


class Curves:
    """Keeps a model's curves up to date.

    Args:
        model: Gets the curves.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._history = History()
        self._changed = True
        self._due = 0.0

    def restore(self, out: Path) -> str:
        """Take in what a run has done so far; the reason when its files cannot be read, else ""."""
        metrics = out / "metrics.jsonl"
        try:
            rows = read_metrics(metrics) if metrics.exists() else []
            self._history.restore(read_results(out / "results.jsonl"), rows)
        except (LogError, OSError, KeyError) as error:
            return f"the curves begin now, as the files in {out} cannot be read: {error}"
        return ""

    def on_event(self, event: EpisodeEvent) -> None:
        """An episode has begun or ended."""
        if event.event != "end":
            return
        try:
            self._history.end_episode(event.index, mode(event.mode), event.result)
        except (CodecError, KeyError):
            # Of another version: the page shows it in words, and it is not counted.
            return
        self._changed = True

    def on_metrics(self, figures: Mapping[str, float]) -> None:
        """The learner says how it is."""
        self._history.hear_learner(figures, time.monotonic())
        self._changed = True

    def show(self) -> None:
        """Give the model what is new; to be called again and again."""
        if self._changed and time.monotonic() >= self._due:
            self._model.put_curves(self._history.charts())
            self._changed, self._due = False, time.monotonic() + PERIOD
