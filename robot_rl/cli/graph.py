"""Runs the ROS 2 graph of a task with progress in the terminal; shared by `demo` and `up`."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
import webbrowser
from functools import partial
from pathlib import Path
from typing import Any

from robot_rl.cli.console import check_page
from robot_rl.cli.report import TrainingProgress
from robot_rl.core.errors import MissingDependencyError
from robot_rl.data.run_directory import write_json
from robot_rl.env.session import Session
from robot_rl.env.summary import demonstrations_given, plot_session
from robot_rl.nodes.results_file import read_results
from robot_rl.nodes.run import SESSION
from robot_rl.nodes.supervisor import run_graph
from robot_rl.nodes.table import GraphOptions
from robot_rl.tasks.arm import ArmTaskConfig

POLL = 0.2
"""Time between two looks at the results of the session [s]."""


def run_with_progress(
    options: GraphOptions,
    config: ArmTaskConfig,
    resume: bool = False,
    quiet: bool = False,
    echo: bool = False,
    open_page: bool = False,
) -> bool:
    """Run the graph to its end; True when its session is done, False when a signal stopped it.

    Args:
        options: The graph.
        config: Settings of the task.
        resume: Go on with the run in `options.out`.
        quiet: Show nothing.
        echo: Print what the nodes say instead of a progress bar.
        open_page: Open the console's page in a browser, where there is a display.
    """
    check_ros()
    if options.console:
        check_page(options.console_host, options.console_port, "--console-port")
    if echo:
        return run_graph(options, config, resume, lambda node, line: print(f"[{node}] {line}"))
    session = Session(config.session, options.seed, config.learner.demonstrations, attempts=None)
    with TrainingProgress(session, config.learner.utd_ratio, quiet) as progress:
        session.on_evaluation = progress.evaluation
        follower = _Follower(Path(options.out), session, progress)
        follower.start()
        try:
            return run_graph(options, config, resume, on_line=partial(show_page, progress, quiet, open_page))
        finally:
            follower.stop()


def check_ros() -> None:
    """Raise `MissingDependencyError` where no ROS 2 is installed."""
    if importlib.util.find_spec("rclpy") is None:
        how = "pip install 'robot-rl[ros]', or source a ROS 2 installation"
        raise MissingDependencyError("rclpy", "the ROS 2 graph", how)


def show_page(progress: TrainingProgress, quiet: bool, open_page: bool, node: str, line: str) -> None:
    """Show where the console's page is, also when all else is quiet; of the nodes' words nothing else."""
    if node != "console" or not line.startswith("console: http"):
        return
    # Without a display Python would open a browser inside of the terminal.
    if open_page and (sys.platform == "darwin" or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()):
        webbrowser.open(line.removeprefix("console: "))
    if quiet:
        sys.stderr.write(f"{line}\n")
    else:
        progress.line(line)


class _Follower(threading.Thread):
    """Follows the results that the actor writes, and what it waits for, and shows them."""

    def __init__(self, out: Path, session: Session, progress: TrainingProgress) -> None:
        super().__init__(daemon=True, name="results")
        self._path = out / "results.jsonl"
        self._session = session
        self._progress = progress
        self._seen = 0
        self._standing = out / SESSION
        self._stood = self._where()
        self._stop_event = threading.Event()

    def run(self) -> None:
        while not self._stop_event.wait(POLL):
            self._look()

    def stop(self) -> None:
        """Show what is left, and end."""
        self._stop_event.set()
        self.join()
        self._look()

    def _look(self) -> None:
        results = list(read_results(self._path))
        for result in results[self._seen :]:
            phase = self._session.phase_of(result.episode.mode)
            self._session.add(result)
            self._progress.episode(phase)
        self._seen = len(results)
        stands = self._where()
        if stands != self._stood:
            self._stood = stands
            self._progress.standing(*stands)

    def _where(self) -> tuple[str, str, str]:
        """Phase, activity and reason of the session."""
        if not self._standing.exists():
            return "starting", "running", ""
        state = json.loads(self._standing.read_text())
        return state["phase"], state["activity"], state["reason"]


def finish(out: Path, config: ArmTaskConfig) -> dict[str, Any]:
    """Complete a run whose processes have ended: draw its curves, name its data set; return its summary."""
    amend_summary(out, {"dataset": demonstrations_given(out)})
    summary = json.loads((out / "summary.json").read_text())
    session = Session(config.session, summary["seed"], config.learner.demonstrations, attempts=None)
    for result in read_results(out / "results.jsonl"):
        session.add(result)
    plot_session(out / "curves.png", summary["task"], session)
    return summary


def amend_summary(out: Path, figures: dict[str, Any]) -> None:
    """Add figures to a run's summary."""
    path = out / "summary.json"
    write_json(path, json.loads(path.read_text()) | figures)


def interrupted(out: Path) -> int:
    """Say how to go on after Ctrl-C; the exit status."""
    print(f"stopped; all that was learned is in {out}: add --resume to go on", file=sys.stderr)
    return 130
