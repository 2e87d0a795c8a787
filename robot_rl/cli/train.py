"""`robot-rl train TASK`: demonstrations, practice with corrections and evaluations, in this process."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from policies.bundle import Bundle, save_bundle
from robot_rl.cli.arguments import default_out, parse_with_task
from robot_rl.cli.classifier_first import with_classifier
from robot_rl.cli.report import TrainingProgress, print_json, print_summary
from robot_rl.core.types import EpisodeResult, Mode
from robot_rl.data.recorder import EpisodeRecorder
from robot_rl.data.run_directory import RunDirectory, check_vacant, provenance, versions
from robot_rl.env.session import Evaluation, Session
from robot_rl.env.summary import (
    demonstrations_given,
    evaluation_metrics,
    plot_session,
    practice_metrics,
    summarise,
)
from robot_rl.env.vision import intrinsics_of
from robot_rl.tasks.arm import ArmTaskConfig


@dataclass(frozen=True)
class TrainOptions:
    """Options of `robot-rl train`."""

    seed: int = 0
    """Seeds everything: scenes, person, exploration, learner."""
    out: Path | None = None
    """Run directory; by default a new one below runs/."""
    log_episodes: bool = True
    """Write every practice and demonstration episode to an MCAP log."""
    json: bool = False
    """Print the summary as one JSON object instead of a table."""


def main(argv: list[str]) -> int:
    """Run the command."""
    task, options, config = parse_with_task(
        TrainOptions, argv, "train", "Train a task in this process, without ROS."
    )
    out = options.out or default_out(task)
    summary = run(task, config, options.seed, out, options.log_episodes, quiet=options.json)
    if options.json:
        print_json(summary)
    else:
        paths = {"summary": out / "summary.json", "curves": out / "curves.png", "policy": out / "policy"}
        print_summary(summary, paths)
    return 0


def run(
    task: str, config: ArmTaskConfig, seed: int, out: Path, log_episodes: bool = True, quiet: bool = False
) -> dict:
    """Train, write the run directory, and return its summary."""
    from robot_rl.learn.affordable import require_accelerator, require_memory
    from robot_rl.learn.agent import shape_of
    from robot_rl.learn.learner import Learner
    from robot_rl.learn.train import train

    began = time.monotonic()
    check_vacant(out)  # before labels and classifier, which come first, go into another run's directory
    shape = shape_of(config.spec, config.learner)
    require_accelerator(shape, config.learner)
    require_memory(shape, config.learner)
    config, lessons = with_classifier(config, seed, out, quiet)
    directory = RunDirectory.create(out, config, task, seed)
    env, arm = config.simulate()
    learner = Learner(env.spec, config.learner, seed)
    session = Session(config.session, seed, config.learner.demonstrations)
    with ExitStack() as stack:
        stack.callback(directory.close)
        stack.callback(env.close)
        progress = stack.enter_context(TrainingProgress(session, config.learner.utd_ratio, quiet))

        def on_evaluation(evaluation: Evaluation) -> None:
            progress.evaluation(evaluation)
            directory.log(evaluation.steps, evaluation_metrics(evaluation))

        def on_episode(phase: str, result: EpisodeResult, metrics: dict[str, float]) -> None:
            progress.episode(phase)
            if result.episode.mode is Mode.TRAIN:
                directory.log(session.record.steps, practice_metrics(result) | metrics)

        session.on_evaluation = on_evaluation
        seen_by = intrinsics_of(env.vision)
        recorder = EpisodeRecorder(directory.episodes, env.spec, seen_by) if log_episodes else None
        if recorder is not None:
            stack.callback(recorder.close)
        clocks = train(env, arm, session, learner, recorder, on_episode, lambda _: arm.recover())
    metrics = learner.metrics()
    bundle = Bundle(env.spec, learner.weights(), learner.version, provenance(task, seed))
    save_bundle(directory.policy, bundle)
    plot_session(out / "curves.png", task, session)
    wall = time.monotonic() - began
    summary = summarise(task, session, int(metrics["updates"]), wall, wall - clocks.final_evaluation)
    summary["dataset"] = demonstrations_given(out)
    summary |= {"versions": versions(), "cpu_s": round(time.process_time(), 2)} | lessons
    directory.write_summary(summary)
    return summary
