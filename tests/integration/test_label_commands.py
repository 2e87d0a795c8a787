"""Label, correct, train: the commands as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from robot_rl.cli import main
from robot_rl.core.config import dump_yaml, replace
from robot_rl.perception.classifier import RewardClassifier
from robot_rl.perception.key_labels import read_corrections
from robot_rl.perception.settings import EncoderConfig
from robot_rl.tasks import load
from tests.unit.label_samples import drawing, record_labels


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    record_labels(run, count=8, delay=2, draw=drawing)
    return run


def report(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def failure(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 1
    return capsys.readouterr().err


def test_labels_are_listed_and_drawn(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, "label", str(recorded))
    assert [e["episode"] for e in found["episodes"]] == list(range(8))
    assert {s["stage"] for s in found["episodes"][0]["labels"]} == {0, 1, -1}
    assert {s["stage"] for s in found["episodes"][1]["labels"]} == {0, -1}
    with Image.open(found["sheet"]) as sheet:
        assert sheet.width > 6 * 256
    assert main(["label", str(recorded), "--episode", "3"]) == 0
    assert "episode 3" in capsys.readouterr().out


def test_labels_are_corrected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_labels(tmp_path, count=3)
    words = ("label", str(tmp_path), "--episode", "1")
    (row,) = report(capsys, *words, "--frames", "4:8", "--stage", "1")["episodes"]
    assert {"first": 4, "last": 8, "stage": 1} in row["labels"]
    assert row["corrected"] == 5
    report(capsys, *words, "--frames", "2:9", "--stage", "-1")
    assert [(c.first, c.last, c.stage) for c in read_corrections(tmp_path)] == [(2, 9, -1)]
    (row,) = report(capsys, *words, "--clear")["episodes"]
    assert row["corrected"] == 0


def test_what_cannot_be_corrected_is_said(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = ("label", str(recorded))
    assert "no episode 12; there are: 0-7" in failure(
        capsys, *label, "--episode", "12", "--frames", "1:2", "--stage", "1"
    )
    assert "has the frames 0:" in failure(
        capsys, *label, "--episode", "1", "--frames", "5:999", "--stage", "1"
    )
    assert "expected A:B" in failure(capsys, *label, "--episode", "1", "--frames", "x", "--stage", "1")
    assert "--stage K" in failure(capsys, *label, "--episode", "1", "--frames", "1:2")
    assert "which episode" in failure(capsys, *label, "--frames", "1:2", "--stage", "1")
    assert "no --frames" in failure(capsys, *label, "--episode", "1", "--clear", "--stage", "1")
    assert "no episode logs" in failure(capsys, "label", str(recorded / "nothing"))


def test_a_classifier_is_trained_with_the_encoder_of_the_run(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(load("franka_pick_cube:pixels"), {"encoder.kind": "random"})
    dump_yaml(config, recorded / "config.yaml")
    words = ("train-classifier", "--out", str(tmp_path / "c"), str(recorded))
    found = report(capsys, *words, "--training.steps", "100", "--training.members", "1")
    digest = EncoderConfig(kind="random").digest
    assert found["classifier"]["encoder"] == digest
    assert found["delay"]["delay"] == 2
    assert (found["successful_episodes"], found["wrongly_rewarded"]) == (4, 0)
    assert RewardClassifier.load(tmp_path / "c", digest).stages == 1
    assert (tmp_path / "c" / "report.md").exists()
    assert "stage 2: 0 frames" in failure(capsys, *words, "--stages", "2")
    with pytest.raises(SystemExit):  # there is one way to say it
        main([*words, "--training.stages", "2"])


def test_without_labels_there_is_no_classifier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "episodes").mkdir()
    words = ("train-classifier", str(tmp_path), "--encoder.kind", "random")
    assert "no episode logs" in failure(capsys, *words)
