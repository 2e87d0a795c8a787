"""`robot-rl rebuild RUN --out DIR`: a run for another encoder, of all that was shown and practised in RUN.

Its journal holds RUN's transitions with features that the new encoder makes of the pictures in RUN's logs;
actions and rewards stay as they were. The learner learns again from it, and the graph can go on with it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_rl import tasks
from robot_rl.cli.arguments import parse
from robot_rl.cli.classifier_first import CLASSIFIER, LABELS, teach
from robot_rl.cli.demo_pixels import REPORT
from robot_rl.cli.report import print_json, print_table
from robot_rl.core.config import load_yaml
from robot_rl.core.errors import ClassifierError, ConfigError, LogError
from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import Mode, Source, Transition
from robot_rl.data.journal import Journal, read_journal, read_spec
from robot_rl.data.run_directory import RunDirectory, provenance, write_json
from robot_rl.data.views import episodes, transitions
from robot_rl.nodes.results_file import append_result, read_results
from robot_rl.nodes.run import JOURNAL
from robot_rl.perception.settings import EncoderConfig
from robot_rl.tasks.arm import ArmTaskConfig

if TYPE_CHECKING:
    from robot_rl.perception.encoder import FrameEncoder

RESULTS = "results.jsonl"
NOTHING = (
    "holds neither demonstrations nor practice, only evaluations or labels: there is nothing that could be "
    "learned again"
)
COMMIT = 1000
"""Transitions that are held in memory before they are written."""


@dataclass(frozen=True)
class RebuildOptions:
    """Options of `robot-rl rebuild`."""

    run: Annotated[Path, tyro.conf.Positional]
    """Run directory of a task that is seen through cameras; it stays as it is."""
    out: Path
    """Run directory to make."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The new encoder; what is not given is as in RUN."""
    classifier: Path | None = None
    """Reward classifier for the new encoder; by default it is trained again from the labels in RUN."""
    latency: float = 0.0
    """From a picture's exposure to the arrival of its features at the actor [s]; 0 for runs in lockstep."""
    learn: bool = True
    """Learn again at once. Otherwise the learner of the graph does it when it starts, and in lockstep the
    actor waits for it no longer than its parameter learner_timeout."""
    json: bool = False
    """Print one JSON object instead of a table."""


@dataclass(frozen=True)
class OldRun:
    """A run, as it is."""

    path: Path
    task: str
    seed: int
    config: ArmTaskConfig

    @property
    def journalled(self) -> bool:
        """Whether it is one of the graph, which the actor can go on with where it was."""
        return (self.path / JOURNAL).exists()


@dataclass(frozen=True)
class Rebuilt:
    """What the new journal holds."""

    demonstrations: int
    """Of a person, complete [episodes]."""
    shown: int
    """Transitions of demonstrations."""
    practised: int
    """Transitions of practice."""
    lost: int
    """Transitions of practice whose pictures are not in the logs."""
    runs: dict[str, int]
    """Actor to its newest run."""


def main(argv: list[str]) -> int:
    """Run the command."""
    options = _parse(argv)
    report = rebuild_run(options)
    if options.json:
        print_json(report)
        return 0
    rows = [
        ("demonstrations", f"{report['demonstrations']}, {report['shown']} steps"),
        ("practice", f"{report['practised']} steps"),
        ("encoder", report["encoder"]),
    ]
    if report["lost"]:
        rows.insert(2, ("left out", f"{report['lost']} steps of practice, without pictures in the logs"))
    if "classifier" in report:
        accuracy = 100 * report["classifier"]["balanced_accuracy"]
        rows.append(("classifier", f"{accuracy:.1f} % balanced accuracy on held-out episodes"))
    if report["version"]:
        rows.append(("learned again", f"version {report['version']}, {report['updates']} updates"))
    print_table(f"{options.out}, rebuilt from {options.run}", rows)
    print(report["next"])
    return 0


def rebuild_run(options: RebuildOptions) -> dict[str, Any]:
    """Make the new run and return a report. The directory gets its name when it is complete."""
    old = read_run(options.run)
    config = dataclasses.replace(old.config, encoder=options.encoder)
    check(old, config, options)
    partial = options.out.with_name(options.out.name + ".partial")
    try:
        partial.mkdir(parents=True)
    except FileExistsError:
        raise ConfigError(f"{partial} was left by a rebuild that was killed: remove it") from None
    try:
        report = _rebuild(old, config, options, partial)
        partial.replace(options.out)
    except BaseException:
        shutil.rmtree(partial)
        raise
    return report


def _rebuild(old: OldRun, config: ArmTaskConfig, options: RebuildOptions, out: Path) -> dict[str, Any]:
    from robot_rl.perception.encoder import load_encoder  # PyTorch takes seconds to load

    encoder = load_encoder(config.encoder, config.cameras)
    _say(options, f"encoding the pictures of {old.path} again")
    rebuilt = write_journal(old, config, encoder, out / JOURNAL, options.latency)
    report: dict[str, Any] = {"out": str(options.out), "encoder": encoder.digest} | dataclasses.asdict(
        rebuilt
    )
    del report["runs"]
    for name in ("episodes", LABELS):
        if (old.path / name).is_dir():
            shutil.copytree(old.path / name, out / name, copy_function=link_log)
    if config.reward == "classifier":
        config, lessons = with_new_classifier(old, config, options, out)
        report |= lessons
    write_results(old, config, out / RESULTS)
    write_counters(old, rebuilt, out)
    directory = RunDirectory.create(out, config, old.task, old.seed)
    facts = provenance(old.task, old.seed) | {"rebuilt_from": str(old.path)}
    write_json(out / "provenance.json", facts)
    report |= {"version": 0, "updates": 0}
    if options.learn:
        _say(options, f"learning again from {rebuilt.shown + rebuilt.practised} steps")
        report |= learn_again(config, old.seed, directory, facts)
    return report | {"next": what_next(old, options.out, report["version"] > 0)}


def read_run(path: Path) -> OldRun:
    """What a run directory says of its task."""
    try:
        facts = json.loads((path / "provenance.json").read_text())
        task, seed = str(facts["task"]), int(facts["seed"])
    except FileNotFoundError:
        raise ConfigError(f"{path} holds no run: provenance.json is missing") from None
    except (ValueError, KeyError, TypeError) as error:
        raise LogError(f"{path / 'provenance.json'} cannot be read: {error!r}") from None
    base = tasks.load(task)
    return OldRun(path, task, seed, load_yaml(type(base), path / "config.yaml", base))


def spec_of(old: OldRun) -> EnvSpec:
    """Of what the run learned from; its encoder may be another than the file of its settings holds today."""
    if not any((old.path / "episodes").glob("*.mcap")):
        raise LogError(
            f"{old.path} has no episode logs, so there are no pictures that could be encoded again"
        )
    if old.journalled:
        return read_spec(old.path / JOURNAL)
    infos = episodes(old.path, (Mode.DEMO, Mode.TRAIN))
    if not infos:
        raise LogError(f"{old.path} {NOTHING}")
    return infos[-1].spec


def check(old: OldRun, config: ArmTaskConfig, options: RebuildOptions) -> None:
    """Refuse what cannot work, before anything is computed or written."""
    was, new = old.config.encoder, config.encoder
    if not config.cameras:
        raise ConfigError(f"{old.path}: {old.task} is not seen through cameras; there is nothing to encode")
    if "trainable" in (was.kind, new.kind):
        raise ConfigError(
            'the learner trains the encoder "trainable" itself, from pictures: rebuild is for runs and '
            f"encoders of features; {old.path} has {was.kind!r}, and {new.kind!r} was asked for"
        )
    same_shifts = not new.crops or (was.shift, was.seed) == (new.shift, new.seed)
    if spec_of(old).digest == config.spec.digest and same_shifts:
        raise ConfigError(
            f"{old.path} was learned from this very encoder, {new.digest}: choose another one with "
            "--encoder.kind, --encoder.file or --encoder.seed, or other crops"
        )
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise ConfigError(f"{options.out} is not empty: choose another --out")
    if options.latency < 0.0:
        raise ConfigError(f"--latency must be 0 or more, not {options.latency}")
    if config.reward == "classifier" and options.classifier is None and not (old.path / LABELS).is_dir():
        raise ClassifierError(
            f"{old.path} is rewarded by a classifier that judges features of its encoder, and has no labels "
            "to train another one from: train one with robot-rl train-classifier LABELS, with the new "
            "--encoder options, and name it with --classifier DIR"
        )


def write_journal(
    old: OldRun, config: ArmTaskConfig, encoder: FrameEncoder, path: Path, latency: float
) -> Rebuilt:
    """Write the journal with the encoder's features, numbered anew where pictures are missing.

    Raises:
        LogError: There is nothing to learn from, or pictures are missing where one cannot do without.
    """
    from robot_rl.perception.rebuild import Pictures, rebuilt_spec

    spec = config.spec
    spec.check_same(rebuilt_spec(spec_of(old), encoder), "the task", "the rebuilt run")
    pictures = Pictures(old.path, encoder, latency)
    next_sequence: Counter[tuple[str, int]] = Counter()
    kept: Counter[Source] = Counter()
    ended = lost = 0
    with Journal(path, spec) as journal:
        for transition in learned_from(old):
            again = pictures.encode_again(transition)
            if again is None:
                if transition.source is Source.DEMO:
                    raise LogError(
                        f"{old.path}: the logs hold no pictures of step {transition.step} of episode "
                        f"{transition.episode}, which was a demonstration; without all demonstrations the "
                        "run cannot be gone on with"
                    )
                lost += 1
                continue
            actor, run = transition.key[:2]
            key = transition.key._replace(sequence=next_sequence[actor, run])
            journal.append(dataclasses.replace(again, key=key))
            next_sequence[actor, run] += 1
            kept[again.source] += 1
            ended += again.source is Source.DEMO and (again.terminated or again.truncated)
            if kept.total() % COMMIT == 0:
                journal.commit()
    if not kept:
        raise LogError(
            f"{old.path}: the logs hold no pictures of any of its {lost} steps of practice"
            if lost
            else f"{old.path} {NOTHING}"
        )
    runs = {actor: max(run for name, run in next_sequence if name == actor) for actor, _ in next_sequence}
    return Rebuilt(ended, kept[Source.DEMO], kept.total() - kept[Source.DEMO], lost, runs)


def learned_from(old: OldRun) -> Iterator[Transition]:
    """What the run's learner learned from, in order: its journal, or the logs of a run without one."""
    if old.journalled:
        return read_journal(old.path / JOURNAL)
    return transitions(old.path, (Mode.DEMO, Mode.TRAIN))


def with_new_classifier(
    old: OldRun, config: ArmTaskConfig, options: RebuildOptions, out: Path
) -> tuple[ArmTaskConfig, dict[str, Any]]:
    """The settings with a reward classifier for the new encoder, and what to report of its training."""
    if options.classifier is not None:
        from robot_rl.perception.classifier import RewardClassifier

        RewardClassifier.load(options.classifier, config.encoder.digest)
        directory, lessons = options.classifier, {}
    else:
        _say(options, f"training the reward classifier again from {old.path / LABELS}")
        directory, lessons = options.out / CLASSIFIER, {"classifier": teach(config, out, quiet=True)}
        if (old.path / CLASSIFIER / REPORT).exists():
            write_json(out / CLASSIFIER / REPORT, lessons["classifier"])
    chosen = dataclasses.replace(config.classifier, directory=str(directory))
    return dataclasses.replace(config, classifier=chosen), lessons


def write_results(old: OldRun, config: ArmTaskConfig, path: Path) -> None:
    """Write the results that the actor goes on from.

    Those of the graph, but for the evaluations at the end: they are due again, since they judged another
    policy. Without the graph only demonstrations, because practice without its evaluations is no course that
    a session could have taken.
    """
    source = old.path / RESULTS
    if source.exists():
        results = list(read_results(source))
        while results and results[-1].episode.mode is Mode.EVAL:
            results.pop()
        path.write_text("".join(f"{line}\n" for line in source.read_text().split("\n")[: len(results)]))
        return
    missing = config.learner.demonstrations
    for info in episodes(old.path, (Mode.DEMO,)):
        if info.result is not None and missing > 0:
            append_result(path, "demonstrations", info.result)
            missing -= info.result.success


def write_counters(old: OldRun, rebuilt: Rebuilt, out: Path) -> None:
    """Write how often each actor was started, so that its next transitions have keys of their own."""
    runs = dict(rebuilt.runs)
    for counter in old.path.glob("*.run"):
        runs[counter.stem] = max(int(counter.read_text()), runs.get(counter.stem, 0))
    for actor, run in runs.items():
        (out / f"{actor}.run").write_text(f"{run}\n")


def learn_again(
    config: ArmTaskConfig, seed: int, directory: RunDirectory, facts: dict[str, Any]
) -> dict[str, Any]:
    """Fold the learner over the journal, as the graph's would, and save checkpoint and policy."""
    from policies.bundle import Bundle, save_bundle
    from robot_rl.learn.learner import Learner, is_finite

    spec = config.spec
    learner = Learner(spec, config.learner, seed)
    for transition in read_journal(directory.path / JOURNAL):
        if is_finite(spec, transition):
            learner.add(transition)
    if learner.version:
        learner.save(directory.checkpoints)
        bundle = Bundle(spec, learner.weights(), learner.version, facts | {"steps": learner.steps})
        save_bundle(directory.policy, bundle)
    return {"version": learner.version, "updates": int(learner.metrics()["updates"])}


def link_log(source: str, target: str) -> str:
    """Copy a file, or link it where that is possible and it is a log, which nobody ever changes."""
    if source.endswith(".mcap"):
        try:
            os.link(source, target)
            return target
        except OSError:  # on another file system
            pass
    return shutil.copy2(source, target)


def what_next(old: OldRun, out: Path, learned: bool) -> str:
    """What can be done with the new run."""
    command = f"robot-rl up {old.task} --out {out} --resume --seed {old.seed}"
    text = f"go on with it: {command}"
    if not (old.path / RESULTS).exists():
        text = (
            f"{old.path} is no run of the graph, so nothing says where its course was left. What starts "
            f"practice anew, with its demonstrations and a learner that has learned all this: {command}"
        )
    return text + (f"\nor evaluate it: robot-rl eval --policy {out / 'policy'}" if learned else "")


def _say(options: RebuildOptions, text: str) -> None:
    if not options.json:
        print(text, flush=True)


def _parse(argv: list[str]) -> RebuildOptions:
    """The options; what is not said of the encoder is as in the run."""
    what = "Make of a run one for another encoder, so that nothing that was shown or practised is lost."
    first = parse(RebuildOptions, argv, "rebuild", what)
    was = read_run(first.run).config.encoder
    options = parse(RebuildOptions, argv, "rebuild", what, dataclasses.replace(first, encoder=was))
    new = options.encoder
    # A file goes with its kind, and a digest with its file.
    if new.kind != was.kind and new.file == was.file:
        new = dataclasses.replace(new, file="")
    if (new.kind, new.file) != (was.kind, was.file) and new.sha256 == was.sha256:
        new = dataclasses.replace(new, sha256="")
    return dataclasses.replace(options, encoder=new)
