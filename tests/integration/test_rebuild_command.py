"""`robot-rl rebuild` on a run of `robot-rl train`: what is learned again is what the pictures show."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from policies.bundle import load_bundle
from robot_rl.cli import main, train
from robot_rl.core.config import load_yaml, replace
from robot_rl.core.types import Mode, Source
from robot_rl.data.journal import read_journal
from robot_rl.data.run_directory import RunDirectory
from robot_rl.data.views import transitions
from robot_rl.nodes.results_file import read_results
from robot_rl.nodes.run import JOURNAL
from robot_rl.perception.classifier import ClassifierFacts, RewardClassifier
from robot_rl.perception.encoder import load_encoder
from robot_rl.perception.rebuild import rebuild
from robot_rl.perception.settings import EncoderConfig
from robot_rl.tasks import load
from robot_rl.tasks.arm import ArmTaskConfig
from tests.unit.label_samples import drawing, record_labels

TASK = "franka_pick_cube:pixels"
CONFIG = replace(
    load(TASK),
    {
        "encoder.kind": "random",
        "goal.time_limit": 4.0,
        "learner.hidden": [8],
        "learner.demonstrations": 1,
        "learner.bc_steps": 5,
        "learner.batch_size": 16,
        "learner.utd_ratio": 1,
        "learner.learning_starts": 10,
        "learner.capacity": 1000,
        "learner.demo_capacity": 1000,
        "session.max_steps": 20,
        "session.evaluation_episodes": 0,
        "session.final_episodes": 0,
    },
)
NEW = EncoderConfig(kind="random", seed=1)


def untrained(folder: Path) -> None:
    """A reward classifier for the encoder of `CONFIG`, with random weights."""
    rng = np.random.default_rng(0)
    shapes = {"w1": (2, 512, 8), "b1": (2, 8), "w2": (2, 8, 1), "b2": (2, 1)}
    weights = {name: rng.normal(0.0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    facts = ClassifierFacts(CONFIG.encoder.digest, CONFIG.cameras, 1, 0.5, 5, 2, (30,), (60,))
    RewardClassifier(weights, facts, rng.normal(size=(40, 512)).astype(np.float16)).save(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with labels, whose classifier takes everything for a success."""
    out = tmp_path_factory.mktemp("runs") / "a"
    untrained(out / "classifier")
    given = {"classifier.directory": str(out / "classifier"), "classifier.threshold": 0.01}
    train.run(TASK, replace(CONFIG, {"reward": "classifier"} | given), 3, out, quiet=True)
    record_labels(out / "labels", count=8, delay=2, draw=drawing)
    return out


def settings(run: Path) -> ArmTaskConfig:
    return load_yaml(type(CONFIG), run / "config.yaml", load(TASK))


def failure(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["rebuild", *words]) == 1
    return capsys.readouterr().err


def test_a_run_in_one_process_is_learned_again(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its classifier, and the result can be rebuilt in turn."""
    out = tmp_path / "b"
    assert main(["rebuild", str(run), "--out", str(out), "--encoder.seed", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert settings(out).encoder == NEW
    assert settings(out).classifier.directory == str(out / "classifier")
    RewardClassifier.load(out / "classifier", NEW.digest)
    spec = settings(out).spec
    assert load_bundle(out / "policy", spec).version == report["version"] > 1

    journal = list(read_journal(out / JOURNAL))
    expected = list(rebuild(run, load_encoder(NEW)))
    assert [t.key for t in journal] == [t.key for t in transitions(run)]
    assert report["shown"] == sum(t.source is Source.DEMO for t in journal) > 0
    assert report["practised"] == len(journal) - report["shown"] >= 20
    for ours, theirs in zip(journal, expected, strict=True):
        for name in spec.observation:
            np.testing.assert_array_equal(ours.observation[name], theirs.observation[name])
            np.testing.assert_array_equal(ours.next_observation[name], theirs.next_observation[name])
    assert [r.episode.mode for r in read_results(out / "results.jsonl")] == [Mode.DEMO]
    assert (out / "actor.run").read_text() == "0\n"
    assert "starts practice anew" in report["next"]

    back = tmp_path / "c"
    words = [str(out), "--out", str(back), "--encoder.seed", "0", "--no-learn", "--classifier"]
    assert "no classifier in" in failure(capsys, *words, str(tmp_path))
    assert not list(tmp_path.glob("c*"))
    assert main(["rebuild", *words, str(run / "classifier")]) == 0
    assert "go on with it" in capsys.readouterr().out
    for ours, theirs in zip(read_journal(back / JOURNAL), transitions(run), strict=True):
        for name in settings(run).spec.observation:
            np.testing.assert_array_equal(ours.observation[name], theirs.observation[name])


def test_what_cannot_be_rebuilt_is_said(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", str(tmp_path / "new"))
    other = ("--encoder.seed", "1")
    assert "this very encoder" in failure(capsys, str(run), *out)
    assert "is not empty" in failure(capsys, str(run), "--out", str(run), *other)
    assert "holds no run" in failure(capsys, str(tmp_path), *out, *other)
    assert "itself, from pictures" in failure(capsys, str(run), *out, "--encoder.kind", "trainable")
    assert "cannot be read" in failure(capsys, str(run), *out, "--encoder.file", str(tmp_path / "x"))

    unlabelled = tmp_path / "unlabelled"
    shutil.copytree(run, unlabelled, ignore=shutil.ignore_patterns("labels"))
    assert "no labels to train another one" in failure(capsys, str(unlabelled), *out, *other)

    empty = RunDirectory.create(tmp_path / "evaluated", CONFIG, TASK, 0)
    assert "has no episode logs" in failure(capsys, str(empty.path), *out, *other)
    record_labels(empty.path, count=1)
    assert "neither demonstrations nor practice" in failure(capsys, str(empty.path), *out, *other)
    assert not (tmp_path / "new").exists()
