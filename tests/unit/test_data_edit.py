"""New data sets out of old ones; what is not changed stays as it was, byte for byte."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from robot_rl.core.errors import DatasetError
from robot_rl.core.types import Episode, EpisodeResult, Mode
from robot_rl.data import messages
from robot_rl.data.codec import TransitionCodec
from robot_rl.data.dataset import Dataset
from robot_rl.data.edit import merge, relabel, trim
from robot_rl.data.episode_log import TRANSITIONS_TOPIC, EpisodeInfo, EpisodeLog, read_metadata, read_raw
from robot_rl.data.frame_labels import CORRECTIONS, Correction, save_corrections, ticks
from robot_rl.data.mcap_scan import RawMessage
from robot_rl.data.provenance import history
from robot_rl.data.views import Outcome
from tests.unit.data_samples import assert_same, small_spec, transition
from tests.unit.dataset_samples import CAMERAS, TICK, Plan, record_run


def others(info: EpisodeInfo) -> list[RawMessage]:
    """All messages of a log but the transitions."""
    return [message for message in read_raw(info.path) if message.topic != TRANSITIONS_TOPIC]


def everything(info: EpisodeInfo) -> list[RawMessage]:
    return list(read_raw(info.path))


def test_a_drop_copies_the_rest_byte_for_byte(tmp_path: Path) -> None:
    record_run(tmp_path / "a")
    source = Dataset.open(tmp_path / "a")
    made = trim(source, tmp_path / "b", drop=[1])
    assert [info.episode.index for info in made.episodes] == [0, 2, 3]
    for info in made.episodes:
        before = source.find(info.episode.index)
        assert everything(info) == everything(before)
        assert info.result == before.result
        assert made.episode_digest(info) == source.episode_digest(before)
    assert source.digest == Dataset.open(tmp_path / "a").digest


def test_steps_are_trimmed_at_both_ends(tmp_path: Path) -> None:
    written = record_run(tmp_path / "a", [Plan(), Plan()])
    source = Dataset.open(tmp_path / "a")
    made = trim(source, tmp_path / "b", first=2, last=1, episodes=[1])
    assert made.episode_digest(made.episodes[0]) == source.episode_digest(source.episodes[0])
    rows = made.transitions(made.episodes[1])
    kept = written[8:11]
    assert [row.step for row in rows] == [0, 1, 2]
    for row, before in zip(rows[:-1], kept[:-1], strict=True):
        assert_same(replace(row, step=before.step), before)
    assert_same(replace(rows[-1], step=kept[-1].step, truncated=False), kept[-1])
    assert (rows[-1].terminated, rows[-1].truncated) == (False, True)
    result = made.episodes[1].result
    assert (result.steps, result.human_steps, result.success, result.claimed) == (3, 3, False, False)
    assert result.reward == pytest.approx(sum(row.reward - row.penalty for row in rows))


def test_the_end_of_an_episode_that_is_not_cut_stays_what_it_was(tmp_path: Path) -> None:
    written = record_run(tmp_path / "a", [Plan()])
    made = trim(Dataset.open(tmp_path / "a"), tmp_path / "b", first=4)
    rows = list(made.all_transitions())
    assert_same(rows[-1], replace(written[-1], step=1))
    assert rows[-1].terminated
    assert made.episodes[0].result.success
    assert made.episodes[0].result.steps == 2


def test_messages_are_trimmed_with_their_steps(tmp_path: Path) -> None:
    """The state that the first step begins in stays, and the lens, which is logged once an episode."""
    record_run(tmp_path / "a", [Plan()])
    before = others(Dataset.open(tmp_path / "a").episodes[0])
    made = trim(Dataset.open(tmp_path / "a"), tmp_path / "b", first=2, last=1)
    after = others(made.episodes[0])
    assert [m.stamp // TICK for m in after if m.topic == "arm/pose"] == [2, 3, 4, 5]
    assert [m.stamp // TICK for m in after if m.topic == "wrist/image_raw"] == [1, 2, 3, 4, 5]
    assert [m.stamp // TICK for m in after if m.topic == "side/camera_info"] == [0]
    assert set(after) <= set(before)
    assert len(after) == len(set(after))


def test_an_episode_without_transitions_is_trimmed_by_the_clock(tmp_path: Path) -> None:
    """Its labels move with the frames, by key and by hand."""
    record_run(tmp_path / "a", [Plan(Mode.LABEL, steps=10)])
    save_corrections(
        tmp_path / "a" / "episodes" / CORRECTIONS,
        [Correction(0, 0, 3, 1), Correction(0, 5, 9, 0), Correction(0, 0, 1, -1)],
    )
    source = Dataset.open(tmp_path / "a")
    made = trim(source, tmp_path / "b", first=3, last=2)
    info = made.episodes[0]
    old = {tick.stamp: i for i, tick in enumerate(ticks(source.episodes[0], CAMERAS))}
    now = {tick.stamp: i for i, tick in enumerate(ticks(info, CAMERAS))}
    assert [stamp // TICK for stamp in now] == [2, 3, 4, 5, 6, 7, 8]
    assert made.corrections(info) == (Correction(0, 0, 1, 1), Correction(0, 3, 6, 0))
    assert old[5 * TICK] == 5
    assert now[5 * TICK] == 3
    assert info.result.steps == 5
    assert info.result.success


def test_too_much_cannot_be_trimmed(tmp_path: Path) -> None:
    record_run(tmp_path / "a")
    source = Dataset.open(tmp_path / "a")
    with pytest.raises(DatasetError, match=r"episode 0 has 6 steps, so 4 .* and 2 .* cannot be left out"):
        trim(source, tmp_path / "b", first=4, last=2)
    with pytest.raises(DatasetError, match="there is no episode 9; there are: 0-3"):
        trim(source, tmp_path / "b", drop=[9])
    with pytest.raises(DatasetError, match="every episode"):
        trim(source, tmp_path / "b", drop=[0, 1, 2, 3])
    with pytest.raises(DatasetError, match="expected 0 or more"):
        trim(source, tmp_path / "b", first=-1)
    assert not (tmp_path / "b").exists()


def test_an_attempt_that_was_given_up_is_no_obstacle(tmp_path: Path) -> None:
    record_run(tmp_path / "a", [Plan(steps=1, finished=False)])
    record_run(tmp_path / "a", [Plan()], number=1)
    made = trim(Dataset.open(tmp_path / "a"), tmp_path / "b", first=2, last=1)
    assert [len(made.transitions(info)) for info in made.episodes] == [1, 3]
    assert [info.path.stem for info in made.episodes] == ["000000", "000000-1"]


def test_runs_that_number_their_episodes_alike_are_merged_first(tmp_path: Path) -> None:
    record_run(tmp_path / "a", [Plan()])
    record_run(tmp_path / "b", [Plan(steps=7)])
    both = Dataset.open(tmp_path / "a", tmp_path / "b")
    with pytest.raises(DatasetError, match=r"episode 0 is ambiguous.* merge them first"):
        trim(both, tmp_path / "c", first=1)
    with pytest.raises(DatasetError, match=r"episode 0 is ambiguous.* merge them first"):
        relabel(both, tmp_path / "c", {0: "failure"})
    merged = merge(both, tmp_path / "c")
    assert len(list(trim(merged, tmp_path / "d", first=1, episodes=[1]).all_transitions())) == 12


def test_nothing_is_written_over(tmp_path: Path) -> None:
    record_run(tmp_path / "a", [Plan()])
    source = Dataset.open(tmp_path / "a")
    with pytest.raises(DatasetError, match="exists already"):
        merge(source, tmp_path / "a")
    (tmp_path / "empty").mkdir()
    assert len(merge(source, tmp_path / "empty")) == 1


@pytest.mark.parametrize(("outcome", "reward"), [("success", 1.0), ("failure", 0.0)])
def test_an_outcome_is_put_right(tmp_path: Path, outcome: Outcome, reward: float) -> None:
    success = outcome == "success"
    plans = [Plan(), Plan(Mode.TRAIN, success=not success)]
    written = record_run(tmp_path / "a", plans)
    source = Dataset.open(tmp_path / "a")
    made = relabel(source, tmp_path / "b", {1: outcome})
    assert everything(made.episodes[0]) == everything(source.episodes[0])
    assert others(made.episodes[1]) == others(source.episodes[1])
    rows = made.transitions(made.episodes[1])
    for row, before in zip(rows[:-1], written[6:-1], strict=True):
        assert_same(row, before)
    verdict = replace(written[-1], reward=reward, terminated=success, truncated=not success)
    assert_same(rows[-1], verdict)
    result = made.episodes[1].result
    assert (result.success, result.claimed, result.steps) == (success, success, 6)
    assert result.reward == pytest.approx(reward - sum(row.penalty for row in rows))
    back = relabel(made, tmp_path / "c", {1: "failure" if success else "success"})
    assert back.digest == source.digest


def test_an_episode_for_labels_has_an_outcome_too(tmp_path: Path) -> None:
    record_run(tmp_path / "a", [Plan(Mode.LABEL)])
    before = Dataset.open(tmp_path / "a").episodes[0].result
    assert before is not None
    made = relabel(Dataset.open(tmp_path / "a"), tmp_path / "b", {0: "failure"})
    assert made.episodes[0].result == replace(before, success=False)


def test_what_was_never_recorded_cannot_become_a_success(tmp_path: Path) -> None:
    record_run(tmp_path / "a", [Plan(success=False), Plan(Mode.LABEL, finished=False)])
    source = Dataset.open(tmp_path / "a")
    refused: dict[int, Outcome] = {0: "success", 1: "failure"}
    for index, outcome in refused.items():
        with pytest.raises(DatasetError, match=f"episode {index} cannot become a {outcome}"):
            relabel(source, tmp_path / "b", {index: outcome})


def test_a_label_for_what_does_not_exist(tmp_path: Path) -> None:
    record_run(tmp_path / "a")
    source = Dataset.open(tmp_path / "a")
    with pytest.raises(DatasetError, match="there is no episode 4; there are: 0-3"):
        relabel(source, tmp_path / "b", {4: "success"})
    with pytest.raises(DatasetError, match="there is no episode 4; there are: 0-3"):
        relabel(source, tmp_path / "b", frames=[Correction(4, 0, 1, 1)])
    with pytest.raises(DatasetError, match="episode 3 has the frames 0:6, not 5:7"):
        relabel(source, tmp_path / "b", frames=[Correction(3, 5, 7, 1)])
    with pytest.raises(DatasetError, match="stage -3 is not valid"):
        relabel(source, tmp_path / "b", frames=[Correction(3, 5, 6, -3)])
    record_run(tmp_path / "blind", [Plan()], cameras=[])
    with pytest.raises(DatasetError, match=r"episode 0 .* has no pictures"):
        relabel(Dataset.open(tmp_path / "blind"), tmp_path / "b", frames=[Correction(0, 0, 0, 1)])


def test_frames_are_labelled(tmp_path: Path) -> None:
    record_run(tmp_path / "a")
    save_corrections(tmp_path / "a" / "episodes" / CORRECTIONS, [Correction(3, 0, 6, 0)])
    source = Dataset.open(tmp_path / "a")
    made = relabel(source, tmp_path / "b", frames=[Correction(3, 5, 6, 1)])
    assert made.corrections(made.find(3)) == (Correction(3, 0, 6, 0), Correction(3, 5, 6, 1))
    assert [everything(a) for a in made.episodes] == [everything(b) for b in source.episodes]
    assert made.digest != source.digest


def test_runs_are_merged(tmp_path: Path) -> None:
    """Both have the keys of an actor's run 0, as recordings do; the second's become those of another run."""
    first = record_run(tmp_path / "a")
    second = record_run(tmp_path / "b", [Plan(Mode.LABEL), Plan(steps=8)])
    save_corrections(tmp_path / "b" / "episodes" / CORRECTIONS, [Correction(0, 1, 2, 1)])
    source = Dataset.open(tmp_path / "a", tmp_path / "b")
    made = merge(source, tmp_path / "c")
    assert [info.episode.index for info in made.episodes] == [0, 1, 2, 3, 4, 5]
    assert [info.result.episode.index for info in made.episodes] == [0, 1, 2, 3, 4, 5]
    assert [others(info) for info in made.episodes] == [others(info) for info in source.episodes]
    rows = list(made.all_transitions())
    for row, before in zip(rows, first, strict=False):
        assert_same(row, before)
    for row, before in zip(rows[len(first) :], second, strict=True):
        assert_same(row, replace(before, key=before.key._replace(run=1), episode=5))
    assert max(Counter(row.key for row in rows).values()) == 1
    assert made.corrections(made.find(4)) == (Correction(4, 1, 2, 1),)
    assert made.corrections(made.find(0)) == ()


def test_the_same_episode_is_not_merged_twice(tmp_path: Path) -> None:
    record_run(tmp_path / "a", [Plan()])
    record_run(tmp_path / "b", [Plan()])
    with pytest.raises(DatasetError, match=r"b/.*000000.mcap holds the same episode as .*a/.*000000.mcap"):
        merge(Dataset.open(tmp_path / "a", tmp_path / "b"), tmp_path / "c")


def test_late_transitions_come_home(tmp_path: Path) -> None:
    """In the new log each transition lies once, in the log of its own episode."""
    spec = small_spec()
    codec = TransitionCodec(spec)
    made = [transition(spec, i, episode=i // 3, step=i % 3) for i in range(6)]
    for index, batches in enumerate([[(0,), (2,)], [(1, 2), (3, 4, 5)]]):
        episode = Episode(index, 0, Mode.TRAIN)
        with EpisodeLog(tmp_path / "a" / f"00000{index}.mcap", spec, episode) as log:
            for batch in batches:
                data = messages.byte_array(codec.encode([made[i] for i in batch]))
                log.write(TRANSITIONS_TOPIC, messages.BYTES, data, 0)
            log.close(EpisodeResult(episode, 3, False, 0.0, 0, 0, 0))
    source = Dataset.open(tmp_path / "a")
    copy = trim(source, tmp_path / "b", drop=[])
    assert copy.digest == source.digest
    for info, own in zip(copy.episodes, (made[:3], made[3:]), strict=True):
        logged = [t for m in read_raw(info.path) for t in codec.decode(_payload(m))]
        assert sorted(t.key.sequence for t in logged) == [t.key.sequence for t in own]
    alone = trim(source, tmp_path / "c", drop=[1])
    assert [t.key.sequence for t in alone.all_transitions()] == [0, 1, 2]


def test_a_log_says_what_was_done_to_it(tmp_path: Path) -> None:
    record_run(tmp_path / "a")
    source = Dataset.open(tmp_path / "a")
    assert history(source.episodes[0].path) == []
    once = trim(source, tmp_path / "b", first=1, drop=[0])
    twice = merge(once, tmp_path / "c")
    assert history(twice.episodes[0].path) == [
        {
            "operation": "trim",
            "arguments": {"first": 1, "last": 0, "drop": [0], "episodes": None},
            "source": source.digest,
            "episode": 1,
        },
        {"operation": "merge", "arguments": {}, "source": once.digest, "episode": 1},
    ]


def test_other_metadata_and_the_settings_stay(tmp_path: Path) -> None:
    record_run(tmp_path / "a", [Plan()])
    record_run(tmp_path / "b", [Plan(steps=7)])
    path = tmp_path / "a" / "episodes" / "000000.mcap"
    info, kept = Dataset.open(path).episodes[0], list(read_raw(path))
    path.unlink()
    with EpisodeLog(path, info.spec, info.episode) as log:
        log.note("station", {"arm": "left"})
        for message in kept:
            log.write(message.topic, message.msgtype, message.data, message.stamp)
        log.close(info.result)
    (tmp_path / "a" / "config.yaml").write_text("seed: 3\n")
    made = trim(Dataset.open(tmp_path / "a"), tmp_path / "c", first=1)
    assert read_metadata(made.episodes[0].path)["station"] == {"arm": "left"}
    assert (tmp_path / "c" / "config.yaml").read_text() == "seed: 3\n"
    merge(Dataset.open(tmp_path / "a", tmp_path / "b"), tmp_path / "d")
    assert not (tmp_path / "d" / "config.yaml").exists()


def _payload(message: RawMessage) -> bytes:
    return bytes(messages.deserialize(message.data, message.msgtype).data)
