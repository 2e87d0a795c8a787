"""What the actor writes down of a run: its own starts, the results of episodes, curves, and the summary."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robot_rl.core.types import EpisodeResult
from robot_rl.data.run_directory import RunDirectory, versions
from robot_rl.env.session import Evaluation, Session
from robot_rl.env.summary import practice_metrics, summarise
from robot_rl.nodes.results_file import append_result, drop_torn_line, read_results
from robot_rl.tasks.arm import ArmTaskConfig


class RunBook:
    """The files of one run directory, as one start of its actor goes on with them."""

    def __init__(self, out: Path, name: str, task: str, seed: int, config: ArmTaskConfig) -> None:
        """Open the run directory, or make it, and count this start.

        Args:
            out: Run directory.
            name: Of the actor.
            task: Name of the task.
            seed: Of the run.
            config: Settings of the task.
        """
        if (out / "provenance.json").exists():
            self.directory = RunDirectory(out)
        else:
            self.directory = RunDirectory.create(out, config, task, seed)
        self.run = next_run(out, name)
        """How often this actor was started before."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        """Wall time of each phase since this start [s]."""
        self._task = task
        self._results = out / "results.jsonl"
        self._began = time.monotonic()
        self._final_began: float | None = None

    def restore(self, session: Session) -> None:
        """Bring a session to where the earlier starts left it, by the results of their episodes."""
        drop_torn_line(self._results)
        for result in read_results(self._results):
            session.add(result)

    def begin_phase(self, phase: str) -> None:
        """An episode of this phase begins: training is over when the final evaluation does."""
        if phase == "final evaluation" and self._final_began is None:
            self._final_began = time.monotonic()

    def add_result(self, phase: str, result: EpisodeResult, steps: int, learner: Mapping[str, float]) -> None:
        """Make a result last, and draw the curves of practice on.

        Args:
            phase: Of the session, that the episode belongs to.
            result: Of the episode.
            steps: Practice so far [environment steps].
            learner: Its newest figures.
        """
        append_result(self._results, phase, result)
        if phase == "practice":
            self.directory.log(steps, practice_metrics(result) | dict(learner))

    def add_evaluation(self, evaluation: Evaluation) -> None:
        """Draw the curves of the evaluations on."""
        rates = {"evaluation/success": evaluation.success_rate, "evaluation/length": evaluation.mean_steps}
        self.directory.log(evaluation.steps, rates)

    def close(self, session: Session, updates: int, facts: Mapping[str, Any]) -> None:
        """Write the summary of a session that is done.

        Args:
            session: The session.
            updates: Of the learner.
            facts: What else to write into it.
        """
        end = time.monotonic()
        train_end = end if self._final_began is None else self._final_began
        summary = summarise(self._task, session, updates, end - self._began, train_end - self._began)
        summary |= {"phase_s": {name: round(s, 2) for name, s in self.seconds.items() if name}}
        summary |= {"versions": versions(), "actor_runs": self.run + 1, **facts}
        self.directory.write_summary(summary)
        self.directory.close()


def next_run(out: Path, name: str) -> int:
    """How often this actor was started in the run directory before; counts this start."""
    counter = out / f"{name}.run"
    run = int(counter.read_text()) + 1 if counter.exists() else 0
    partial = counter.with_suffix(".partial")
    partial.write_text(f"{run}\n")
    partial.replace(counter)
    return run
