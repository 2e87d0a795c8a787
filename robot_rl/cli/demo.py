"""`robot-rl demo`: a person shows the simulated Franka a task, it practises, she corrects it, it succeeds."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_rl.cli.arguments import default_out, parse_with_task
from robot_rl.cli.evaluate import EvalOptions
from robot_rl.cli.evaluate import run as evaluate
from robot_rl.cli.graph import amend_summary, finish, interrupted, run_with_progress
from robot_rl.cli.report import print_json, print_summary
from robot_rl.core.errors import MissingDependencyError
from robot_rl.nodes.table import GraphOptions
from robot_rl.tasks.arm import ArmTaskConfig

TASK = "franka_pick_cube"
VIDEO_EPISODES = 5
VIDEO_SEED = 2000


@dataclass(frozen=True)
class DemoOptions:
    """Options of `robot-rl demo`."""

    seed: int = 0
    """Seeds everything: scenes, person, exploration, learner."""
    out: Path | None = None
    """Run directory; by default a new one below runs/."""
    resume: bool = False
    """Go on with the run in --out."""
    headless: bool = False
    """Without the window of the simulated arm and the browser; so it is too where there is no display."""
    console: bool = True
    """Serve the operator's web page, and say where: to look, pause and stop."""
    json: bool = False
    """Print the summary as one JSON object instead of a table."""


def main(argv: list[str]) -> int:
    """Run the command."""
    _, options, config = parse_with_task(
        DemoOptions,
        argv,
        "demo",
        "Teach the simulated Franka to pick up a cube, through the ROS 2 graph: five demonstrations of a "
        "scripted person, practice with her corrections until two evaluations in a row are good, and an "
        "evaluation of 100 fresh episodes with nobody helping.",
        task=TASK,
    )
    out = options.out or default_out("demo")
    if not options.json:
        print(
            f"{TASK}, seed {options.seed}: {config.learner.demonstrations} demonstrations, then practice "
            f"with corrections.\nRun directory: {out}",
            flush=True,
        )
    return run(TASK, options, config, out)


def run(
    task: str,
    options: DemoOptions,
    config: ArmTaskConfig,
    out: Path,
    resume: bool | None = None,
    extra: dict[str, Any] | None = None,
) -> int:
    """Train through the graph, film the policy and print the summary; the exit status.

    Args:
        task: Name of the task.
        options: Options of the command.
        config: Settings of the task.
        out: Run directory.
        resume: Go on with the run in it; None as the options say.
        extra: Put into the summary too.
    """
    graph = GraphOptions(
        task=task,
        seed=options.seed,
        out=str(out),
        headless=options.headless,
        console=options.console,
        console_port=0,
    )
    resume = options.resume if resume is None else resume
    if not run_with_progress(graph, config, resume, options.json, open_page=not options.headless):
        return interrupted(out)
    summary = finish(out, config)
    paths = {"summary": out / "summary.json", "curves": out / "curves.png", "policy": out / "policy"}
    video = film(out)
    if video is not None:
        paths["video"] = video
    figures = {name: str(path) for name, path in paths.items() if name in ("curves", "video")}
    amend_summary(out, figures | (extra or {}))
    if options.json:
        print_json(summary | (extra or {}))
    else:
        print_summary(summary, paths)
    return 0


def film(out: Path) -> Path | None:
    """Film some fresh evaluation episodes of the policy; None, with the reason printed, where it cannot."""
    options: dict[str, Any] = {"episodes": VIDEO_EPISODES, "video_episodes": VIDEO_EPISODES}
    path = out / "evaluation.mp4"
    try:
        evaluate(EvalOptions(policy=out / "policy", seed=VIDEO_SEED, video=path, **options))
    except MissingDependencyError as error:
        print(f"no video: {error}", file=sys.stderr)
        return None
    return path
