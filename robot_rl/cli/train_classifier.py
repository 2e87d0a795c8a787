"""`robot-rl train-classifier RUN --out DIR`: a reward classifier from the label episodes of a run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from robot_rl.cli.arguments import parse
from robot_rl.cli.report import percent, print_json, print_table
from robot_rl.core.config import from_dict, read_yaml, ros_parameters
from robot_rl.perception.settings import ClassifierTraining, EncoderConfig


@dataclass(frozen=True)
class Training(ClassifierTraining):
    """`ClassifierTraining`, whose stages belong to the task and have a short name on the command line."""

    stages: Annotated[int, tyro.conf.arg(prefix_name=False)] = 0
    """Stages of the task, the last one being success; 0: the highest that is labelled."""


@dataclass(frozen=True)
class TrainClassifierOptions:
    """Options of `robot-rl train-classifier`."""

    run: Annotated[Path, tyro.conf.Positional]
    """A run directory, or a folder of episode logs."""
    out: Path = Path("classifier")
    """Directory to write the classifier and its report into."""
    cameras: tuple[str, ...] = ("wrist", "side")
    """Cameras whose features it judges."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """Encoder of the features; by default the one in the run's config.yaml."""
    training: Training = field(default_factory=Training)
    """How to train."""
    json: bool = False
    """Print one JSON object instead of a table."""


def main(argv: list[str]) -> int:
    """Run the command."""
    options = _parse(argv)
    known = _encoder_of(options.run)
    if known:
        options = _parse([*known, *argv])
    from robot_rl.perception.classifier_training import train_classifier  # PyTorch takes seconds to load
    from robot_rl.perception.encoder import load_encoder

    training = options.training
    encoder = load_encoder(
        dataclasses.replace(options.encoder, crops=training.crops), cameras=options.cameras
    )
    classifier, report = train_classifier(options.run, encoder, training)
    classifier.save(options.out)
    report.save(options.out)
    if options.json:
        print_json({"out": str(options.out)} | report.to_json())
        return 0
    successes = sum(e.success for e in report.episodes)
    failures = len(report.episodes) - successes
    rows = [
        ("keys late by", f"{report.delay.delay} frames"),
        ("threshold", f"{classifier.threshold}, held {classifier.facts.hold_ticks} ticks"),
        ("successes rewarded", f"{report.detected} of {successes} episodes"),
        ("rewarded without success", f"{report.wrongly_rewarded} of {successes + failures} episodes"),
        ("calibration error", f"{report.calibration_error:.3f}"),
        ("suspicious labels", f"{len(report.suspicious)} frames"),
        ("training time", f"{report.train_cpu_s:.1f} CPU-s"),
    ]
    for stage, accuracy in enumerate(report.accuracy_away, start=1):
        text = f"{percent(accuracy.balanced)} of {accuracy.positives} + {accuracy.negatives} frames"
        rows.insert(stage, (f"balanced accuracy, stage {stage}", text))
    print_table("reward classifier, on episodes held out", rows)
    print(f"classifier {options.out}")
    print(f"report     {options.out / 'report.md'}")
    return 0


def _parse(argv: list[str]) -> TrainClassifierOptions:
    return parse(
        TrainClassifierOptions,
        argv,
        "train-classifier",
        "Train a reward classifier from the label episodes of a run.",
    )


def _encoder_of(run: Path) -> list[str]:
    """Arguments that set the encoder as a run's configuration does; [] where it has none that is frozen."""
    path = run / "config.yaml"
    if not path.is_file():
        return []
    data = ros_parameters(read_yaml(path))
    if not isinstance(data.get("encoder"), dict):
        return []
    config = from_dict(EncoderConfig, data["encoder"])
    if config.kind == "trainable":  # a classifier judges the shipped encoder's features then
        return []
    return [f"--encoder.{f.name}={getattr(config, f.name)}" for f in dataclasses.fields(config)]
