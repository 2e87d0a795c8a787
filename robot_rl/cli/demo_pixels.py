"""`robot-rl demo-pixels`: the demo from two cameras, with a reward that is learned from labelled pictures."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from robot_rl.cli import demo
from robot_rl.cli.arguments import default_out, parse_with_task
from robot_rl.cli.classifier_first import CLASSIFIER, LABELS, label_settings, teach
from robot_rl.cli.demo import DemoOptions
from robot_rl.cli.graph import interrupted, run_with_progress
from robot_rl.core.config import replace
from robot_rl.core.errors import RobotRlError
from robot_rl.data.run_directory import check_vacant
from robot_rl.nodes.table import GraphOptions
from robot_rl.tasks import PIXELS
from robot_rl.tasks.arm import ArmTaskConfig

TASK = f"{demo.TASK}:{PIXELS}"
REPORT = "demo.json"
"""What the summary says of the classifier, kept beside it for a run that is gone on with."""


def main(argv: list[str]) -> int:
    """Run the command."""
    _, options, config = parse_with_task(
        DemoOptions,
        argv,
        "demo-pixels",
        "Teach the simulated Franka to pick up a cube that it sees through two cameras, through the ROS 2 "
        "graph. A scripted person first shows success and failure and labels them by key, late and sometimes "
        "wrongly; a reward classifier learns from that. Then as `robot-rl demo`, with its reward.",
        task=TASK,
    )
    out = options.out or default_out("demo-pixels")
    resumed = (out / "provenance.json").exists()
    if options.resume and not (resumed or (out / LABELS).exists()):
        raise RobotRlError(f"{out} holds no run that could be resumed")
    if not options.resume:
        check_vacant(out)
    config = replace(config, {"reward": "classifier"})
    lessons: dict[str, Any] = {}
    if not config.classifier.directory:
        if not options.json:
            print(
                f"{TASK}, seed {options.seed}: {config.classifier.label_episodes} episodes with labels, a "
                f"reward classifier, {config.learner.demonstrations} demonstrations, then practice with "
                f"corrections.\nRun directory: {out}",
                flush=True,
            )
        if not (out / CLASSIFIER / REPORT).exists() and not make_classifier(config, options, out):
            return interrupted(out)
        lessons = {"classifier": json.loads((out / CLASSIFIER / REPORT).read_text())}
        config = replace(config, {"classifier.directory": str(out / CLASSIFIER)})
    return demo.run(TASK, options, config, out, options.resume and resumed, lessons)


def make_classifier(config: ArmTaskConfig, options: DemoOptions, out: Path) -> bool:
    """Record labels through the graph and train the classifier; False when a signal stopped it."""
    labels, began = out / LABELS, time.monotonic()
    resume = options.resume and (labels / "provenance.json").exists()
    if not (labels / "summary.json").exists():
        graph = GraphOptions(
            task=TASK, seed=options.seed, out=str(labels), headless=options.headless, policy="hold"
        )
        if not run_with_progress(graph, label_settings(config), resume, options.json):
            return False
    recorded = time.monotonic()
    report = teach(config, out, options.json)
    seconds = {"labels_s": round(recorded - began, 2), "training_s": round(time.monotonic() - recorded, 2)}
    (out / CLASSIFIER / REPORT).write_text(json.dumps(report | seconds, indent=2) + "\n")
    return True
