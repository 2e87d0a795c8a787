"""Recorded episodes come back as data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from robot_rl.core.errors import LogError
from robot_rl.core.types import (
    ArmState,
    Episode,
    EpisodeResult,
    Mode,
    Pose,
    Source,
    StampedPose,
    Transition,
)
from robot_rl.data.codec import TransitionCodec
from robot_rl.data.episode_log import TRANSITIONS_TOPIC, EpisodeLog, read
from robot_rl.data.journal import Journal, read_journal
from robot_rl.data.messages import BYTES, byte_array
from robot_rl.data.recorder import EpisodeRecorder
from robot_rl.data.views import demonstrations, episodes, stack, transitions
from tests.unit.data_samples import assert_same, small_spec, transition

SPEC = small_spec()
SECOND = 1_000_000_000


def arm_state(stamp: int) -> ArmState:
    pose = Pose(np.array([0.4, 0.0, 0.2]), np.array([1.0, 0.0, 0.0, 0.0]))
    target = Pose(np.array([0.5, 0.0, 0.2]), np.array([1.0, 0.0, 0.0, 0.0]))
    return ArmState(
        stamp, np.arange(7.0), np.arange(7.0) / 10, pose, np.arange(6.0), np.arange(6.0), 0.08, True, target
    )


def objects(stamp: int) -> dict[str, StampedPose]:
    return {"cube": StampedPose(stamp, Pose(np.array([0.5, 0.1, 0.02]), np.array([0.0, 0.0, 0.0, 1.0])))}


def result(episode: Episode, success: bool, steps: int = 3) -> EpisodeResult:
    return EpisodeResult(episode, steps, success, 1.0 * success, 0, 0, 1)


def record(run: Path) -> list[Transition]:
    """Four episodes of three steps: a good and a bad demonstration, a practice, an evaluation."""
    plan = [(Mode.DEMO, True), (Mode.DEMO, False), (Mode.TRAIN, True), (Mode.EVAL, True)]
    written = []
    with EpisodeRecorder(run / "episodes", SPEC) as recorder:
        for index, (mode, success) in enumerate(plan):
            episode = Episode(index, 100 + index, mode)
            recorder.begin(episode)
            for step in range(3):
                stamp = (10 * index + step) * SECOND // 10
                recorder.state(arm_state(stamp), objects(stamp - step % 2 * 7))
                if mode is not Mode.EVAL:
                    source = Source.DEMO if mode is Mode.DEMO else Source.POLICY
                    made = transition(SPEC, len(written), episode=index, step=step, source=source)
                    recorder.transition(made)
                    written.append(made)
            recorder.end(result(episode, success))
    return written


def test_recorded_transitions_come_back(tmp_path: Path) -> None:
    written = record(tmp_path)
    for folder in (tmp_path, tmp_path / "episodes"):
        found = list(transitions(folder))
        assert len(found) == 9
        for ours, theirs in zip(written, found, strict=True):
            assert_same(ours, theirs)
    assert [t.key for t in transitions(tmp_path / "episodes" / "000002.mcap")] == [t.key for t in written[6:]]


def test_episodes_are_chosen_by_mode_and_outcome(tmp_path: Path) -> None:
    record(tmp_path)

    def indices(**choice: Any) -> list[int]:
        chosen = [info.episode.index for info in episodes(tmp_path, **choice)]
        assert {t.episode for t in transitions(tmp_path, **choice)} == set(chosen) - {3}
        return chosen

    assert indices() == [0, 1, 2, 3]
    assert indices(modes=[Mode.DEMO]) == [0, 1]
    assert indices(outcome="success") == [0, 2, 3]
    assert indices(modes=[Mode.DEMO], outcome="failure") == [1]
    assert {t.episode for t in demonstrations(tmp_path)} == {0}


def test_stacked_arrays(tmp_path: Path) -> None:
    written = record(tmp_path)
    batch = stack(transitions(tmp_path))
    assert batch.action.shape == (9, 5)
    assert batch.action.dtype == np.float32
    assert batch.observation["hold"].shape == (9,)
    np.testing.assert_array_equal(batch.next_observation["target"][4], written[4].next_observation["target"])
    np.testing.assert_array_equal(batch.source == Source.DEMO, np.arange(9) < 6)
    np.testing.assert_array_equal(batch.terminated, [t.terminated for t in written])
    with pytest.raises(LogError, match="no transitions to stack"):
        stack(demonstrations(tmp_path / "episodes" / "000001.mcap"))


def test_what_is_sent_again_counts_once_and_for_its_own_episode(tmp_path: Path) -> None:
    """Transitions 1 and 2 of episode 0 arrive late, in the log of episode 1, and one of them twice."""
    codec = TransitionCodec(SPEC)
    made = [transition(SPEC, i, episode=i // 3) for i in range(6)]

    def write(log: EpisodeLog, *batch: int) -> None:
        log.write(f"/ns/{TRANSITIONS_TOPIC}", BYTES, byte_array(codec.encode([made[i] for i in batch])), 0)

    first, second = Episode(0, 0, Mode.TRAIN), Episode(1, 1, Mode.TRAIN)
    with EpisodeLog(tmp_path / "0.mcap", SPEC, first) as log:
        write(log, 0)
        write(log, 2)
        log.close(result(first, False))
    with EpisodeLog(tmp_path / "1.mcap", SPEC, second) as log:
        write(log, 1, 2)
        write(log, 4, 5)
        write(log, 3)
        log.close(result(second, True))
    assert [t.key.sequence for t in transitions(tmp_path)] == [0, 2, 1, 3, 4, 5]
    assert [t.key.sequence for t in transitions(tmp_path, outcome="success")] == [3, 4, 5]
    assert [t.key.sequence for t in transitions(tmp_path, outcome="failure")] == [0, 2, 1]


def test_an_episode_that_was_killed_counts_as_far_as_it_was_flushed(tmp_path: Path) -> None:
    record(tmp_path)
    path = tmp_path / "episodes" / "000002.mcap"
    recorder = EpisodeRecorder(tmp_path / "episodes", SPEC)
    recorder.begin(Episode(2, 0, Mode.TRAIN))
    recorder.transition(transition(SPEC, 0, run=2, episode=2))
    assert recorder._log is not None
    recorder._log.flush()
    again = tmp_path / "episodes" / "000002-1.mcap"
    killed = again.read_bytes()
    recorder.close()
    again.write_bytes(killed)
    (tmp_path / "episodes" / "000003-1.mcap").touch()
    assert path.exists()
    assert [info.complete for info in episodes(tmp_path)] == [True, True, True, False, True]
    keys = [t.key for t in transitions(tmp_path)]
    assert len(keys) == 10
    assert keys[9].run == 2
    assert [info.result is None for info in episodes(tmp_path)] == [False, False, False, True, False]


def test_the_recorder_logs_what_the_arm_reports(tmp_path: Path) -> None:
    record(tmp_path)
    path = tmp_path / "episodes" / "000002.mcap"
    logged = list(read(path))
    by_topic: dict[str, list] = {}
    for message in logged:
        by_topic.setdefault(message.topic, []).append(message.message)
    assert {topic: len(found) for topic, found in by_topic.items()} == {
        "joint_states": 3,
        "arm/pose": 3,
        "arm/twist": 3,
        "arm/wrench": 3,
        "gripper/state": 3,
        "arm/controller_state": 3,
        "cube/pose": 3,
        "learner/transitions": 3,
    }
    assert by_topic["joint_states"][0].name[6:] == ["joint7", "finger_joint1", "finger_joint2"]
    np.testing.assert_array_equal(by_topic["joint_states"][0].position[6:], [6.0, 0.04, 0.04])
    assert by_topic["gripper/state"][0].effort[0] == 1.0
    assert by_topic["arm/controller_state"][0].pose.position.x == 0.5
    with AnyReader([path]) as reader:
        assert reader.message_count == len(logged)


def test_a_measurement_is_logged_once(tmp_path: Path) -> None:
    with EpisodeRecorder(tmp_path, SPEC) as recorder:
        recorder.state(arm_state(0), objects(0))
        recorder.begin(Episode(0, 0, Mode.EVAL))
        for stamp, measured in ((100, 90), (200, 90), (300, 290)):
            recorder.state(arm_state(stamp), objects(measured))
    cubes = [m.message.header.stamp.nanosec for m in read(tmp_path / "000000.mcap", topics=["cube/pose"])]
    assert cubes == [90, 290]


def test_the_journal_and_the_logs_agree(tmp_path: Path) -> None:
    written = record(tmp_path)
    with Journal(tmp_path / "journal", SPEC) as journal:
        for made in written:
            journal.append(made)
    for logged, journaled in zip(transitions(tmp_path), read_journal(tmp_path / "journal"), strict=True):
        assert_same(logged, journaled)


def test_a_folder_without_logs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="holds no episode logs"):
        list(transitions(tmp_path))


def test_transitions_of_another_spec_are_an_error(tmp_path: Path) -> None:
    other = TransitionCodec(small_spec(20.0)).encode([transition(SPEC)])
    with EpisodeLog(tmp_path / "a.mcap", SPEC, Episode(0, 0, Mode.TRAIN)) as log:
        log.write(TRANSITIONS_TOPIC, BYTES, byte_array(other), 55)
    with pytest.raises(LogError, match=r"a.mcap: learner/transitions at 55 ns: .* made for spec"):
        list(transitions(tmp_path))
