"""Before a training with a learned reward: the person shows and labels, and the classifier learns."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from policies.scripted import HoldStill
from robot_rl.cli.report import TrainingProgress
from robot_rl.core.config import replace
from robot_rl.data.recorder import EpisodeRecorder
from robot_rl.env.runner import EpisodeRunner
from robot_rl.env.session import Session
from robot_rl.env.vision import intrinsics_of
from robot_rl.perception.settings import ClassifierTraining
from robot_rl.tasks.arm import CLASSIFIER, ArmTaskConfig

LABELS = "labels"
"""Folder of a run that holds the logs of the labelled episodes."""


def label_settings(config: ArmTaskConfig) -> ArmTaskConfig:
    """The settings with which labels are recorded: nobody rewards yet, and nothing follows the labels."""
    changes = {"reward": "person", "session.label_episodes": config.classifier.label_episodes}
    changes |= {"session.max_steps": 0, "session.evaluation_episodes": 0, "session.final_episodes": 0}
    return replace(config, changes | {"learner.demonstrations": 0})


def with_classifier(
    config: ArmTaskConfig, seed: int, out: Path, quiet: bool = False
) -> tuple[ArmTaskConfig, dict[str, Any]]:
    """Make the reward classifier that the settings ask for, unless they name one.

    Returns:
        The settings with the classifier's directory, and what to say of it in the run's summary.
    """
    if config.reward != "classifier" or config.classifier.directory:
        return config.with_own_classifier(out), {}
    began = time.monotonic()
    record_labels(label_settings(config), seed, out / LABELS, quiet)
    recorded = time.monotonic()
    report = teach(config, out, quiet)
    done = time.monotonic()
    report |= {"labels_s": round(recorded - began, 2), "training_s": round(done - recorded, 2)}
    return replace(config, {"classifier.directory": str(out / CLASSIFIER)}), {"classifier": report}


def record_labels(config: ArmTaskConfig, seed: int, folder: Path, quiet: bool) -> None:
    """Let the scripted person show success and failure, and log it with pictures and keys."""
    session = Session(config.session, seed, demonstrations=0)
    with ExitStack() as stack:
        env, arm = config.simulate()
        stack.callback(env.close)
        recorder = stack.enter_context(EpisodeRecorder(folder, env.spec, intrinsics_of(env.vision)))
        runner = EpisodeRunner(env, lambda _: None, arm, recorder)
        hold = HoldStill(env.spec.action)
        progress = stack.enter_context(TrainingProgress(session, config.learner.utd_ratio, quiet))
        while (episode := session.next_episode()) is not None:
            result = runner.run(episode, lambda: hold)
            if result.fault:
                arm.recover()
            session.add(result)
            progress.episode("labels")


def teach(config: ArmTaskConfig, out: Path, quiet: bool) -> dict[str, Any]:
    """Train the classifier from the labels of a run, save it beside them, and return its main figures."""
    from robot_rl.perception.classifier_training import train_classifier

    training = replace(ClassifierTraining(), {"hold_time": config.classifier.hold_time})
    encoder = replace(config, {"encoder.crops": training.crops}).make_encoder()
    classifier, report = train_classifier(out / LABELS, encoder, training)
    classifier.save(out / CLASSIFIER)
    report.save(out / CLASSIFIER)
    accuracy = report.accuracy_away[-1]
    if not quiet:
        print(
            f"  classifier: {100 * accuracy.balanced:.1f} % balanced accuracy on held-out episodes, keys "
            f"{report.delay.delay} frames late, {report.wrongly_rewarded} episodes wrongly rewarded; "
            f"{out / CLASSIFIER / 'report.md'}"
        )
    return {
        "balanced_accuracy": round(accuracy.balanced, 5),
        "threshold": report.facts.threshold,
        "key_delay_frames": report.delay.delay,
        "positives": report.facts.positives,
        "negatives": report.facts.negatives,
        "suspicious_labels": len(report.suspicious),
    }
