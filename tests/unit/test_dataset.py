"""A data set is a view of logs of one spec, and its digest says what is in it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rl.core.errors import DatasetError
from robot_rl.core.spec import EnvSpec, Spec
from robot_rl.core.types import Episode, EpisodeResult, Mode
from robot_rl.data.codec import TransitionCodec
from robot_rl.data.dataset import Dataset, index_text
from robot_rl.data.episode_log import TRANSITIONS_TOPIC, EpisodeLog, read_raw
from robot_rl.data.frame_labels import CORRECTIONS, Correction, save_corrections
from robot_rl.data.messages import BYTES, byte_array
from tests.unit.data_samples import assert_same, small_spec, transition
from tests.unit.dataset_samples import CAMERAS, SPEC, TICK, Plan, image, record_run

RENAMED = replace(SPEC.action, names=("x", "y", "z", "roll", "gripper"))
FASTER = Spec.of(
    SPEC.observation.arrays | {"tcp.position": replace(SPEC.observation["tcp.position"], unit="mm")}
)


def test_a_run_opens_as_a_data_set(tmp_path: Path) -> None:
    written = record_run(tmp_path)
    dataset = Dataset.open(tmp_path)
    assert [info.episode.index for info in dataset.episodes] == [0, 1, 2, 3]
    assert [len(dataset.transitions(info)) for info in dataset.episodes] == [6, 0, 6, 0]
    for ours, theirs in zip(written, dataset.all_transitions(), strict=True):
        assert_same(ours, theirs)
    assert dataset.cameras == CAMERAS
    one = Dataset.open(tmp_path / "episodes" / "000002.mcap")
    assert [t.key for t in one.all_transitions()] == [t.key for t in written[6:]]


def test_episodes_are_chosen(tmp_path: Path) -> None:
    record_run(tmp_path)
    dataset = Dataset.open(tmp_path)
    assert [info.episode.index for info in dataset.only([Mode.DEMO]).episodes] == [0, 1]
    assert [info.episode.index for info in dataset.only(outcome="failure").episodes] == [1]
    assert len(dataset.only(where=lambda info: info.episode.index > 1)) == 2
    assert len(Dataset.open(tmp_path, modes=[Mode.DEMO], outcome="success")) == 1
    assert dataset.find(2).episode.mode is Mode.TRAIN
    with pytest.raises(DatasetError, match="there is no episode 7; there are: 0-3"):
        dataset.find(7)


def test_several_runs_keep_their_order(tmp_path: Path) -> None:
    first = record_run(tmp_path / "a", [Plan()])
    second = record_run(tmp_path / "b", [Plan(), Plan()])
    dataset = Dataset.open(tmp_path / "b", tmp_path / "a")
    assert len(dataset) == 3
    assert [t.key for t in dataset.all_transitions()] == [t.key for t in (*second, *first)]
    with pytest.raises(DatasetError, match=r"episode 0 is ambiguous.* merge them first"):
        dataset.find(0)
    assert dataset.find(1).path.parent == tmp_path / "b" / "episodes"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (EnvSpec(small_spec().observation, SPEC.action, 10.0), r"missing \['wrist.features'.*unexpected"),
        (EnvSpec(FASTER, SPEC.action, 10.0), "array 'tcp.position' has unit 'mm', expected 'm'"),
        (EnvSpec(SPEC.observation, RENAMED, 10.0), "element 3 of the action is 'roll', expected 'yaw'"),
        (EnvSpec(SPEC.observation, SPEC.action, 20.0), "control rate 20.0 Hz, expected 10.0 Hz"),
    ],
)
def test_mixed_specs_are_refused_and_the_difference_named(
    tmp_path: Path, other: EnvSpec, message: str
) -> None:
    record_run(tmp_path / "a", [Plan()])
    record_run(tmp_path / "b", [Plan()], other)
    with pytest.raises(DatasetError, match=f"not of one spec: .*000000.mcap does not fit .*{message}"):
        Dataset.open(tmp_path / "a", tmp_path / "b")


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    record_run(tmp_path, [Plan()])
    with pytest.raises(DatasetError, match="is named twice"):
        Dataset.open(tmp_path, tmp_path / "episodes" / "000000.mcap")
    with pytest.raises(DatasetError, match="does not exist"):
        Dataset.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no episode logs"):
        Dataset.open(tmp_path / "empty")
    with pytest.raises(DatasetError, match="needs a run directory"):
        Dataset.open()


def test_pictures_come_with_their_stamps(tmp_path: Path) -> None:
    record_run(tmp_path)
    dataset = Dataset.open(tmp_path)
    tracks = dataset.pictures(dataset.episodes[2])
    assert tuple(tracks) == CAMERAS
    for camera, track in tracks.items():
        assert track.stamps.tolist() == [(2000 + tick) * TICK for tick in range(7)]
        for stamp, picture in zip(track.stamps.tolist(), track.images, strict=True):
            np.testing.assert_array_equal(picture, image(stamp, camera))


def test_missing_pictures_are_named(tmp_path: Path) -> None:
    record_run(tmp_path, [Plan(), Plan()], cameras=["wrist"])
    dataset = Dataset.open(tmp_path)
    with pytest.raises(DatasetError, match=r"episode 1 .*000001.mcap\) has no pictures of side.*: wrist"):
        dataset.pictures(dataset.episodes[1])


def test_pictures_of_a_camera_that_the_spec_does_not_name_are_given_too(tmp_path: Path) -> None:
    record_run(tmp_path, [Plan()], small_spec())
    dataset = Dataset.open(tmp_path)
    assert dataset.cameras == ()
    assert {name: len(track.images) for name, track in dataset.pictures(dataset.episodes[0]).items()} == {
        "wrist": 7,
        "side": 7,
    }


def test_late_transitions_belong_to_their_own_episode(tmp_path: Path) -> None:
    """Transition 1 of episode 0 lies in the log of episode 1, and transition 2 in both."""
    spec = small_spec()
    codec = TransitionCodec(spec)
    made = [transition(spec, i, episode=i // 3) for i in range(6)]
    for index, batches in enumerate([[(0,), (2,)], [(1, 2), (3, 4, 5)]]):
        episode = Episode(index, 0, Mode.TRAIN)
        with EpisodeLog(tmp_path / f"00000{index}.mcap", spec, episode) as log:
            for batch in batches:
                data = byte_array(codec.encode([made[i] for i in batch]))
                log.write(TRANSITIONS_TOPIC, BYTES, data, 0)
            log.close(EpisodeResult(episode, 3, False, 0.0, 0, 0, 0))
    dataset = Dataset.open(tmp_path)
    assert [[t.key.sequence for t in dataset.transitions(e)] for e in dataset.episodes] == [
        [0, 1, 2],
        [3, 4, 5],
    ]
    kept = dataset.only(where=lambda info: info.episode.index == 0)
    assert [t.key.sequence for t in kept.all_transitions()] == [0, 1, 2]


def test_the_attempt_that_came_to_its_end_counts(tmp_path: Path) -> None:
    record_run(tmp_path, [Plan(finished=False)])
    record_run(tmp_path, [Plan()], number=1)
    dataset = Dataset.open(tmp_path)
    assert [info.path.stem for info in dataset.episodes] == ["000000", "000000-1"]
    assert dataset.find(0).path.stem == "000000-1"
    save_corrections(tmp_path / "episodes" / CORRECTIONS, [Correction(0, 1, 2, 1)])
    again = Dataset.open(tmp_path)
    assert [len(again.corrections(info)) for info in again.episodes] == [0, 1]


def test_the_digest_is_that_of_the_contents(tmp_path: Path) -> None:
    """Neither file names, nor compression and chunks, nor topics that nobody learns from are part of it."""
    record_run(tmp_path / "a")
    digest = Dataset.open(tmp_path / "a").digest
    assert len(digest) == 16
    shutil.copytree(tmp_path / "a" / "episodes", tmp_path / "copy")
    for path in (tmp_path / "copy").glob("*.mcap"):
        path.rename(path.with_stem("renamed-" + path.stem[::-1]))
    copies = sorted((tmp_path / "copy").iterdir(), key=lambda path: path.stem[::-1])
    for path in copies:
        _write_anew(path)
    assert Dataset.open(tmp_path / "copy").digest == digest


def test_the_digest_changes_with_anything_that_is_learned(tmp_path: Path) -> None:
    plans = [Plan(), Plan(Mode.TRAIN), Plan(Mode.LABEL)]
    record_run(tmp_path / "a", plans)
    dataset = Dataset.open(tmp_path / "a")
    digests = {dataset.digest, dataset.only([Mode.DEMO]).digest}
    others = {
        "other keys": ([*plans], 1),
        "longer": ([Plan(steps=7), *plans[1:]], 0),
        "another outcome": ([*plans[:2], Plan(Mode.LABEL, success=False)], 0),
        "another order": ([plans[1], plans[0], plans[2]], 0),
    }
    for name, (changed, number) in others.items():
        record_run(tmp_path / name, changed, number=number)
        digests.add(Dataset.open(tmp_path / name).digest)
    record_run(tmp_path / "one camera", plans, cameras=["wrist"])  # which episodes for labels are made of
    digests.add(Dataset.open(tmp_path / "one camera").digest)
    save_corrections(tmp_path / "a" / "episodes" / CORRECTIONS, [Correction(2, 1, 2, 1)])
    digests.add(Dataset.open(tmp_path / "a").digest)
    assert len(digests) == 8


def test_indices_are_shortened() -> None:
    assert index_text([3, 1, 2, 7, 9, 10]) == "1-3, 7, 9-10"
    assert index_text([]) == "none"


def _write_anew(path: Path) -> None:
    """The same log in a chunk a message, uncompressed, without the arm's pose."""
    info = Dataset.open(path).episodes[0]
    kept = [message for message in read_raw(path) if message.topic != "arm/pose"]
    path.unlink()
    with EpisodeLog(path, info.spec, info.episode, flush_every=0.0, compression="none") as log:
        for message in kept:
            log.write(message.topic, message.msgtype, message.data, message.stamp)
        log.close(info.result)
