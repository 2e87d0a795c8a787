"""VICE learns against what the policy shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rl.core import config as settings
from robot_rl.core.errors import ClassifierError
from robot_rl.core.types import CameraFeatures
from robot_rl.perception.classifier import RewardClassifier
from robot_rl.perception.classifier_training import train_on_episodes
from robot_rl.perception.settings import ClassifierTraining, ViceConfig
from robot_rl.perception.vice import FOLDER, Vice
from robot_rl.tasks import load
from tests.unit.label_samples import CAMERAS, SIZE, ToyEncoder, sample_episodes

CONFIG = ViceConfig(steps=25, learning_rate=1e-3)


def frames(height: float, holding: float, count: int = 200) -> np.ndarray:
    """Features of a policy that brings the hand to a height, with or without the thing in it."""
    rng = np.random.default_rng(3)
    world = np.stack(
        [rng.normal(height, 0.01, count), *rng.uniform(-0.3, 0.3, (2, count)), np.full(count, holding)], 1
    )
    return ToyEncoder().features(world)


@pytest.fixture(scope="module")
def classifier() -> RewardClassifier:
    """Trained on episodes in which the empty hand never comes as high as success does."""
    episodes, _ = sample_episodes(12, delay=0, wrong=0)
    quick = ClassifierTraining(steps=120, members=2, hidden=32, batch=128, delay=0)
    return train_on_episodes(episodes, CAMERAS, "toy", quick)[0]


def seen(row: np.ndarray) -> dict[str, CameraFeatures]:
    none = np.zeros((0, SIZE), np.float16)
    parts = {name: row[i * SIZE : (i + 1) * SIZE] for i, name in enumerate(CAMERAS)}
    return {name: CameraFeatures(0, part, none, "toy") for name, part in parts.items()}


def mean(model: RewardClassifier, rows: np.ndarray) -> float:
    return float(model.probabilities(rows).mean())


def test_what_the_policy_exploits_loses_its_reward(classifier: RewardClassifier) -> None:
    cheat, good = frames(0.2, holding=0.0), frames(0.2, holding=1.0)
    assert mean(classifier, cheat) > 0.5
    vice = Vice(classifier, CONFIG)
    vice.add(cheat[:100])
    vice.add(frames(0.02, holding=0.0))
    vice.update(300)
    assert mean(vice.classifier, cheat[100:]) < 0.4
    assert mean(vice.classifier, good) > 0.65
    assert mean(vice.classifier, vice.classifier.positives) > 0.65
    assert mean(classifier, cheat) > 0.5, "the classifier that it began with stays as it is"


def test_a_policy_that_succeeds_meets_the_person_at_one_half(classifier: RewardClassifier) -> None:
    vice = Vice(classifier, replace(CONFIG, mixup=0.0, gradient_penalty=0.0), positives=frames(0.2, 1.0))
    vice.add(frames(0.2, holding=1.0))
    vice.update(200)
    assert mean(vice.classifier, frames(0.2, 1.0)) == pytest.approx(0.5, abs=0.05)


def test_it_learns_at_the_end_of_the_episodes_of_practice(classifier: RewardClassifier) -> None:
    vice = Vice(classifier, replace(CONFIG, every=2))
    rows = frames(0.2, holding=0.0, count=30)
    before = vice.classifier
    for _ in range(2):
        for row in rows:
            (probability,) = vice(seen(row))
            assert probability == pytest.approx(before.probabilities(row[None])[0, 0])
        vice.end_episode(learn=False)
    assert (vice.frames, vice.classifier) == (0, before)
    for episode in (1, 2):
        for row in rows:
            vice(seen(row))
        vice.end_episode(learn=True)
        assert vice.frames == 30 * episode
        assert (vice.classifier is before) == (episode == 1)
    assert mean(vice.classifier, rows) < mean(before, rows)
    assert vice.threshold == 0.5


def test_a_process_that_starts_again_goes_on(classifier: RewardClassifier, tmp_path: Path) -> None:
    directory = tmp_path / "classifier"
    classifier.save(directory)
    changes = {"reward": "classifier", "classifier.directory": str(directory), "classifier.vice": True}
    config = settings.replace(load("franka_pick_cube:pixels"), changes)

    def start() -> Vice:
        model = config.make_classifier("toy")
        assert isinstance(model, Vice)
        return model

    def play(vice: Vice, learn: bool) -> None:
        for row in frames(0.2, holding=0.0, count=30):
            vice(seen(row))
        vice.end_episode(learn)

    first = start()
    play(first, learn=False)
    assert not (directory / FOLDER).exists()
    play(first, learn=True)
    saved = (directory / FOLDER / "weights.safetensors").read_bytes()
    again = start()
    assert mean(again.classifier, frames(0.2, 0.0)) == mean(first.classifier, frames(0.2, 0.0))
    assert mean(again.classifier, frames(0.2, 0.0)) < mean(classifier, frames(0.2, 0.0))
    np.testing.assert_array_equal(again.classifier.positives, classifier.positives)
    play(again, learn=False)  # as in an evaluation
    assert (directory / FOLDER / "weights.safetensors").read_bytes() == saved
    play(again, learn=True)
    assert (directory / FOLDER / "weights.safetensors").read_bytes() != saved

    (directory / FOLDER / "weights.safetensors").write_bytes(b"")
    with pytest.raises(ClassifierError, match=f"remove {directory / FOLDER} to begin again"):
        start()
    again.classifier.save(directory / FOLDER)
    replaced = RewardClassifier(classifier.weights, classifier.facts, classifier.positives[:-1])
    replaced.save(directory)
    assert mean(start().classifier, frames(0.2, 0.0)) == mean(classifier, frames(0.2, 0.0))


def test_a_new_run_learns_in_a_copy(classifier: RewardClassifier, tmp_path: Path) -> None:
    given = tmp_path / "given"
    classifier.save(given)
    changes = {"reward": "classifier", "classifier.directory": str(given)}
    fixed = settings.replace(load("franka_pick_cube:pixels"), changes)
    assert fixed.with_own_classifier(tmp_path / "run") == fixed
    learns = settings.replace(fixed, {"classifier.vice": True})
    (given / FOLDER).mkdir()
    own = learns.with_own_classifier(tmp_path / "run")
    assert own.classifier.directory == str(tmp_path / "run" / "classifier")
    assert own.thresholds() == learns.thresholds()
    assert not (tmp_path / "run" / "classifier" / FOLDER).exists()
    assert own.with_own_classifier(tmp_path / "run") == own


def test_the_oldest_frames_make_room(classifier: RewardClassifier) -> None:
    vice = Vice(classifier, replace(CONFIG, capacity=50))
    vice.add(frames(0.02, 0.0, count=45))
    vice.add(frames(0.2, 0.0, count=120))
    assert vice.frames == 50
    assert vice.update(0) == 0.0


def test_what_it_cannot_learn_from_is_refused(classifier: RewardClassifier) -> None:
    with pytest.raises(ClassifierError, match="without any"):
        Vice(classifier, CONFIG, positives=np.zeros((0, 2 * SIZE), np.float16))
    two = RewardClassifier(classifier.weights, replace(classifier.facts, stages=2), classifier.positives)
    with pytest.raises(ClassifierError, match="2 stages"):
        Vice(two, CONFIG)
