"""Labels come out of logs, late keys are put right, wrong presses are found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rl.core.errors import ClassifierError, LogError
from robot_rl.core.types import Episode, Mode
from robot_rl.data import messages
from robot_rl.data.episode_log import EpisodeLog
from robot_rl.data.frame_labels import Correction
from robot_rl.data.images import images
from robot_rl.perception.key_delay import (
    estimate_delay,
    near_changes,
    reached,
    shift,
    targets,
)
from robot_rl.perception.key_labels import (
    UNLABELLED,
    UNTOUCHED,
    corrections_file,
    label_logs,
    read_corrections,
    read_episodes,
    write_corrections,
)
from tests.unit.data_samples import small_spec
from tests.unit.label_samples import CAMERAS, SIZE, ToyEncoder, picture, record_labels, sample_episodes


@pytest.mark.parametrize(("delay", "wrong"), [(0, 6), (2, 0), (2, 6), (8, 6)])
def test_the_delay_of_the_keys_is_found(delay: int, wrong: int) -> None:
    """Exactly, also when a third of the episodes have a press that means nothing."""
    episodes, _ = sample_episodes(18, delay=delay, wrong=wrong, seed=delay)
    estimate = estimate_delay(episodes, 1, max_delay=8, folds=4, seed=0)
    assert estimate.delay == delay
    assert delay in estimate.plausible
    assert len(estimate.plausible) <= 3
    assert min(estimate.losses) == estimate.losses[delay]


def test_the_delay_of_two_stages_is_found() -> None:
    episodes, _ = sample_episodes(12, delay=3, wrong=4, two_stages=True)
    assert estimate_delay(episodes, 2, max_delay=8, folds=4, seed=0).delay == 3


def test_without_a_change_every_delay_is_plausible() -> None:
    episodes, _ = sample_episodes(6, delay=2, wrong=0)
    still = [replace(e, keys=np.zeros(len(e), np.int64)) for e in episodes]
    assert estimate_delay(still, 1, max_delay=4, folds=4, seed=0).plausible == (0, 1, 2, 3, 4)


def test_late_keys_are_shifted_back() -> None:
    assert shift(np.array([0, 0, 1, 1, 0]), 2).tolist() == [1, 1, 0, UNLABELLED, UNLABELLED]
    assert shift(np.array([0, 1]), 0).tolist() == [0, 1]
    assert shift(np.array([0, 1]), 5).tolist() == [UNLABELLED, UNLABELLED]


def test_a_stage_is_reached_with_every_later_one() -> None:
    assert reached(np.array([0, 1, 2, -1]), 2).tolist() == [[0, 0], [1, 0], [1, 1], [-1, -1]]


def test_frames_near_a_change_are_found() -> None:
    column = np.array([0, 0, 0, 0, 1, 1, 1, 1, -1, 0, 0])
    assert np.flatnonzero(near_changes(column, 2)).tolist() == [2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert not near_changes(column, 0).any()


def test_targets_drop_a_short_press_and_trust_what_was_set_by_hand() -> None:
    episode = sample_episodes(1)[0][0]
    keys = np.zeros(len(episode), np.int64)
    keys[22:25] = 1  # seen at 20..22, and wrong
    by_hand = np.full(len(episode), UNTOUCHED)
    by_hand[5:8], by_hand[8] = 1, UNLABELLED
    column = targets(replace(episode, keys=keys, corrected=by_hand), 1, delay=2, margin=3)[:, 0]
    assert (column[17:26] == UNLABELLED).all()
    assert column[16] == column[26] == 0
    assert column[4:10].tolist() == [0, 1, 1, 1, UNLABELLED, 0]
    assert column[-2:].tolist() == [UNLABELLED, UNLABELLED]


def test_keys_meet_the_frames_that_the_person_saw(tmp_path: Path) -> None:
    record_labels(tmp_path, count=4, delay=0)
    record_labels(tmp_path / "other", count=1, mode=Mode.TRAIN)
    episodes = read_episodes(tmp_path, ToyEncoder(crops=2))
    assert [e.index for e in episodes] == [0, 1, 2, 3]
    for episode in episodes:
        assert episode.features.shape == (len(episode), 3, len(CAMERAS) * SIZE)
        assert episode.keys[-1] == UNLABELLED  # nobody answers the last state
        assert set(episode.keys[:-1].tolist()) == ({0, 1} if episode.index % 2 == 0 else {0})
    # The key is a function of what is seen: one feature that follows the height separates the labels.
    first = episodes[0]
    seen = first.features[:-1, 0].astype(float)
    assert seen[first.keys[:-1] == 1].mean(axis=0) != pytest.approx(
        seen[first.keys[:-1] == 0].mean(axis=0), abs=0.1
    )


def test_corrections_outrank_keys_and_bring_other_episodes_in(tmp_path: Path) -> None:
    record_labels(tmp_path, count=2, mode=Mode.TRAIN)
    assert label_logs(tmp_path) == []
    with pytest.raises(ClassifierError, match="holds no labels"):
        read_episodes(tmp_path, ToyEncoder())
    rows = [Correction(1, 3, 9, 1), Correction(1, 5, 5, 0), Correction(1, 8, 8, UNLABELLED)]
    path = write_corrections(tmp_path, rows)
    assert path == corrections_file(tmp_path) == tmp_path / "episodes" / "labels.json"
    assert read_corrections(tmp_path) == rows
    (episode,) = read_episodes(tmp_path, ToyEncoder())
    assert episode.index == 1
    assert episode.said[3:10].tolist() == [1, 1, 0, 1, 1, UNLABELLED, 1]


def test_a_damaged_file_of_corrections_is_refused(tmp_path: Path) -> None:
    record_labels(tmp_path, count=1)
    corrections_file(tmp_path).write_text('{"format": 1, "corrections": [{"episode": 1}]}')
    with pytest.raises(LogError, match=r"labels\.json"):
        read_episodes(tmp_path, ToyEncoder())


def test_the_attempt_that_came_to_its_end_counts(tmp_path: Path) -> None:
    record_labels(tmp_path, count=1)
    with EpisodeLog(tmp_path / "episodes" / "000000-1.mcap", small_spec(), Episode(0, 0, Mode.LABEL)):
        pass  # killed at once
    assert [info.path.name for info in label_logs(tmp_path)] == ["000000.mcap"]


def test_a_log_without_the_cameras_is_refused(tmp_path: Path) -> None:
    record_labels(tmp_path, count=1)
    encoder = ToyEncoder()
    encoder.cameras = ("wrist", "front")
    with pytest.raises(LogError, match="wrist, front"):
        read_episodes(tmp_path, encoder)


def _damaged_image(**changes: object) -> bytes:
    data = messages.image(5, picture(np.zeros(4)), "wrist")
    message = messages.deserialize(data, messages.IMAGE)
    for name, value in changes.items():
        object.__setattr__(message, name, value)
    return bytes(messages.typestore().serialize_cdr(message, messages.IMAGE))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"encoding": "16UC1"}, "16UC1.*valid: rgb8, bgr8"), ({"height": 9}, "192 bytes"), ({"step": 8}, "8")],
)
def test_a_logged_image_of_another_form_is_refused(tmp_path: Path, changes: dict, reason: str) -> None:
    with EpisodeLog(tmp_path / "a.mcap", small_spec(), Episode(0, 0, Mode.LABEL)) as log:
        log.write("wrist/image_raw", messages.IMAGE, _damaged_image(**changes), 5)
    with pytest.raises(LogError, match=reason):
        list(images(tmp_path / "a.mcap", ["wrist"]))


def test_bgr_is_turned_into_rgb(tmp_path: Path) -> None:
    with EpisodeLog(tmp_path / "a.mcap", small_spec(), Episode(0, 0, Mode.LABEL)) as log:
        log.write("wrist/image_raw", messages.IMAGE, _damaged_image(encoding="bgr8"), 5)
    ((camera, seen),) = images(tmp_path / "a.mcap", ["wrist"])
    assert (camera, seen.stamp) == ("wrist", 5)
    np.testing.assert_array_equal(seen.image, picture(np.zeros(4))[..., ::-1])
