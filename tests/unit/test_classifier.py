"""Reward classifiers learn from wrong labels, are judged on held-out episodes, and are stored safely."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rl.core.errors import ClassifierError, ConfigError, EncoderError
from robot_rl.core.protocols import RewardModel
from robot_rl.core.types import CameraFeatures
from robot_rl.perception.classifier import RewardClassifier
from robot_rl.perception.classifier_report import (
    ClassifierReport,
    calibration,
    choose_threshold,
    judge_episodes,
)
from robot_rl.perception.classifier_training import train_classifier, train_on_episodes
from robot_rl.perception.key_labels import UNTOUCHED
from robot_rl.perception.settings import ClassifierTraining
from tests.unit.label_samples import CAMERAS, SIZE, ToyEncoder, record_labels, sample_episodes

QUICK = ClassifierTraining(steps=120, members=2, hidden=32, batch=128)
DIGEST = "toy-encoder-0001"


@pytest.fixture(scope="module")
def trained() -> tuple[RewardClassifier, ClassifierReport]:
    """From 16 episodes with keys 2 frames late, 5 of them with a wrong press."""
    episodes, _ = sample_episodes(16, delay=2, wrong=5)
    return train_on_episodes(episodes, CAMERAS, DIGEST, QUICK)


def camera_features(row: np.ndarray, encoder: str = DIGEST) -> dict[str, CameraFeatures]:
    none = np.zeros((0, SIZE), np.float16)
    parts = {name: row[i * SIZE : (i + 1) * SIZE] for i, name in enumerate(CAMERAS)}
    return {name: CameraFeatures(0, part, none, encoder) for name, part in parts.items()}


def test_it_knows_success_in_spite_of_the_keys(
    trained: tuple[RewardClassifier, ClassifierReport],
) -> None:
    classifier, report = trained
    assert report.delay.delay == classifier.facts.delay == 2
    assert report.accuracy_away[0].balanced >= 0.98
    assert report.accuracy_all[0].balanced < report.accuracy_away[0].balanced
    assert (report.detected, report.wrongly_rewarded) == (8, 0)
    fresh, truth = sample_episodes(10, wrong=0, seed=9)
    seen = np.concatenate([classifier.probabilities(e.features[:, 0])[:, 0] for e in fresh]) >= 0.5
    assert (seen == np.concatenate(truth)).mean() > 0.96


def test_wrong_presses_are_found(trained: tuple[RewardClassifier, ClassifierReport]) -> None:
    """Of each of the five episodes with a wrong press, and hardly any other frame."""
    cases = trained[1].suspicious
    assert {c.episode for c in cases if c.dropped} >= {0, 1, 2, 3, 4}
    assert sum(c.episode > 4 for c in cases) <= 3
    assert all(abs(c.label - c.probability) > QUICK.suspicion for c in cases)


def test_a_failure_that_looks_like_success_is_not_taken_for_a_wrong_press() -> None:
    """Without a change of the key the label stands, however odd; set by hand, it stands anyway."""
    episodes, _ = sample_episodes(16, delay=0, wrong=0)
    forgotten = replace(episodes[4], keys=np.zeros(len(episodes[4]), np.int64))
    by_hand = np.full(len(episodes[6]), UNTOUCHED)
    by_hand[2:5] = 1
    odd = [*episodes[:4], forgotten, episodes[5], replace(episodes[6], corrected=by_hand), *episodes[7:]]
    _, report = train_on_episodes(odd, CAMERAS, DIGEST, replace(QUICK, delay=0, suspicion=0.8))
    cases = {(c.episode, c.frame): c.dropped for c in report.suspicious}
    high = {frame for episode, frame in cases if episode == 4}
    assert len(high) > 10
    assert not any(cases[(4, frame)] for frame in high)
    assert [cases[(6, frame)] for frame in (2, 3, 4)] == [False] * 3
    assert [e.episode for e in report.episodes if e.wrong] == [4]
    assert high <= {c.frame for c in report.false_positives if c.episode == 4}


def test_two_stages(tmp_path: Path) -> None:
    episodes, _ = sample_episodes(12, delay=1, wrong=0, two_stages=True)
    classifier, report = train_on_episodes(episodes, CAMERAS, DIGEST, replace(QUICK, delay=1))
    assert classifier.stages == 2
    assert all(accuracy.balanced > 0.97 for accuracy in report.accuracy_away)
    first, second = np.concatenate([classifier.probabilities(e.features[:, 0]) for e in episodes]).T
    assert (first >= second - 0.2).mean() > 0.98
    assert report.detected == 6


def test_it_is_a_reward_model(trained: tuple[RewardClassifier, ClassifierReport]) -> None:
    classifier, _ = trained
    assert isinstance(classifier, RewardModel)
    episodes, _ = sample_episodes(2, seed=3)
    row = episodes[0].features[10, 0]
    (probability,) = classifier(camera_features(row))
    assert probability == pytest.approx(classifier.probabilities(row[None])[0, 0])
    with pytest.raises(EncoderError, match="another-0000000"):
        classifier(camera_features(row, "another-0000000"))
    with pytest.raises(ClassifierError, match="needs the features of camera 'side'"):
        classifier({"wrist": camera_features(row)["wrist"]})


def test_it_is_the_same_after_loading(
    trained: tuple[RewardClassifier, ClassifierReport], tmp_path: Path
) -> None:
    classifier, _ = trained
    classifier.save(tmp_path)
    again = RewardClassifier.load(tmp_path, DIGEST)
    rows = sample_episodes(2, seed=3)[0][0].features[:, 0]
    np.testing.assert_array_equal(again.probabilities(rows), classifier.probabilities(rows))
    np.testing.assert_array_equal(again.positives, classifier.positives)
    assert again.facts == classifier.facts
    with pytest.raises(EncoderError, match="other-encoder"):
        RewardClassifier.load(tmp_path, "other-encoder")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)


def _drop_key(path: Path) -> None:
    index = json.loads(path.read_text())
    del index["encoder"]
    path.write_text(json.dumps(index))


def _other_format(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))


def _other_stages(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"stages": 3}))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("weights.safetensors", _cut, "damaged: its sha256"),
        ("weights.safetensors", _flip, "damaged: its sha256"),
        ("weights.safetensors", Path.unlink, "cannot be read"),
        ("classifier.json", _cut, "is damaged"),
        ("classifier.json", Path.unlink, "no classifier in"),
        ("classifier.json", _drop_key, "missing keys"),
        ("classifier.json", _other_format, "format 99"),
        ("classifier.json", _other_stages, "does not fit"),
    ],
)
def test_damage_is_found(
    trained: tuple[RewardClassifier, ClassifierReport],
    tmp_path: Path,
    name: str,
    damage: Callable[[Path], None],
    message: str,
) -> None:
    trained[0].save(tmp_path)
    damage(tmp_path / name)
    with pytest.raises(ClassifierError, match=message):
        RewardClassifier.load(tmp_path)


@pytest.mark.parametrize(
    ("key", "message"),
    [(0, "all .* say that nothing is reached"), (1, "0 frames have not.*Record failures")],
)
def test_one_class_is_not_enough(key: int, message: str) -> None:
    episodes, _ = sample_episodes(6)
    same = [replace(e, keys=np.full(len(e), key)) for e in episodes]
    with pytest.raises(ClassifierError, match=message):
        train_on_episodes(same, CAMERAS, DIGEST, QUICK)


def test_one_good_episode_is_not_enough() -> None:
    episodes, _ = sample_episodes(2, wrong=0)
    with pytest.raises(ClassifierError, match="in 1 episodes have reached it"):
        train_on_episodes(episodes, CAMERAS, DIGEST, QUICK)


def test_a_stage_that_nobody_labelled_is_named() -> None:
    episodes, _ = sample_episodes(6, wrong=0)
    with pytest.raises(ClassifierError, match="stage 2: 0 frames"):
        train_on_episodes(episodes, CAMERAS, DIGEST, replace(QUICK, stages=2))


def test_from_logs_to_a_report_with_pictures(tmp_path: Path) -> None:
    record_labels(tmp_path, count=8, delay=3)
    config = replace(QUICK, crops=2, min_frames=20)
    classifier, report = train_classifier(tmp_path, ToyEncoder(crops=2), config)
    assert classifier.encoder == DIGEST
    assert (classifier.facts.delay, report.wrongly_rewarded) == (3, 0)
    odd = report.suspicious or report.false_positives
    case = odd[0] if odd else None
    report.save(tmp_path / "out")
    data = json.loads((tmp_path / "out" / "report.json").read_text())
    assert data["classifier"]["threshold"] == classifier.threshold
    assert data["detected"] == report.detected == 4
    text = (tmp_path / "out" / "report.md").read_text()
    assert "keys 3 frames late" in text
    assert (tmp_path / "out" / "suspicious.png").exists() == bool(report.suspicious)
    assert case is None or f"| {case.episode} |" in text


def test_the_threshold_rises_until_no_failure_is_rewarded() -> None:
    failure = np.array([0.1, 0.62, 0.62, 0.62, 0.1, 0.1])[:, None]
    success = np.array([0.1, 0.1, 0.9, 0.9, 0.9, 0.9])[:, None]
    labels = [np.zeros((6, 1), np.int8), np.array([0, 0, 1, 1, 1, 1], np.int8)[:, None]]
    assert choose_threshold([failure, success], labels, ticks=3) == 0.65
    assert choose_threshold([failure, success], labels, ticks=4) == 0.5
    low, high = (judge_episodes([7, 8], [failure, success], labels, t, ticks=3) for t in (0.5, 0.65))
    assert [(v.success, v.rewarded, v.wrong, v.late) for v in low] == [
        (False, 3, True, 0),
        (True, 4, False, 0),
    ]
    assert high[0].rewarded == -1


def test_calibration_is_by_bins() -> None:
    probability = np.array([[0.04], [0.06], [0.92], [0.98], [0.5]])
    target = np.array([[0], [0], [1], [0], [-1]], np.int8)
    rows = calibration(probability, target)
    assert [(round(p, 3), share, count) for p, share, count in rows] == [(0.05, 0.0, 2), (0.95, 0.5, 2)]


@pytest.mark.parametrize("change", [{"folds": 1}, {"smoothing": 0.5}, {"delay": 9}, {"negatives": 0.0}])
def test_settings_are_checked(change: dict) -> None:
    (name,) = change
    with pytest.raises(ConfigError, match=name):
        ClassifierTraining(**change)
