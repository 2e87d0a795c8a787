"""The black box: the last seconds of everything, written at a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_rl.core.clock import ManualClock, nanoseconds
from robot_rl.core.errors import LogError
from robot_rl.data.black_box import BlackBox, Fault, read_fault
from robot_rl.data.episode_log import read
from robot_rl.data.messages import STRING, string

SECOND = nanoseconds(1.0)
FORCE = Fault("external force 130 N, allowed 120 N", "Look what it touches.", 12 * SECOND)
NONE = Fault("", "", 0)


def box(folder: Path, **options) -> BlackBox:
    return BlackBox(folder, clock=options.pop("clock", ManualClock()), **options)


def live(black_box: BlackBox, start: int, end: int) -> None:
    """From `start` to `end` [s], a tick and a message that says so ten times a second."""
    for tenth in range(start * 10, end * 10):
        black_box.tick((tenth + 1) * SECOND // 10)
        black_box.add("say", STRING, string(f"{tenth}"))


def said(path: Path) -> list[int]:
    return [int(m.message.data) for m in read(path, {"say"})]


def test_the_file_holds_the_last_seconds_and_what_came_after(tmp_path: Path) -> None:
    black_box = box(tmp_path / "black_box")
    live(black_box, 0, 20)
    black_box.see(FORCE)
    assert black_box.poll() is None
    live(black_box, 20, 21)
    path = black_box.poll()
    assert path is not None
    assert said(path) == list(range(109, 210))
    assert read_fault(path) == FORCE
    assert path.name.endswith("-external-force-130-n-allowed-120-n.mcap")
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    stamps = [m.stamp for m in read(path)]
    assert stamps[-1] - stamps[0] == 10 * SECOND


def test_a_fault_that_stays_is_written_once_and_a_new_one_again(tmp_path: Path) -> None:
    clock = ManualClock()
    black_box = box(tmp_path, clock=clock)
    live(black_box, 0, 1)
    written = []
    for i, fault in enumerate((FORCE, FORCE, NONE, FORCE, NONE)):
        black_box.see(fault)
        clock.advance_to((i + 1) * SECOND)
        written.append(black_box.poll() is not None)
    assert written == [True, False, False, True, False]
    assert len({p.name for p in tmp_path.glob("*.mcap")}) == 2


def test_where_time_stands_still_the_steady_clock_counts(tmp_path: Path) -> None:
    """In lockstep a held arm has no new ticks."""
    clock = ManualClock()
    black_box = box(tmp_path, clock=clock)
    live(black_box, 0, 1)
    black_box.see(FORCE)
    clock.advance_to(nanoseconds(0.49))
    assert black_box.poll() is None
    clock.advance_to(nanoseconds(0.51))
    assert black_box.poll() is not None


def test_of_two_faults_in_a_row_each_has_its_file(tmp_path: Path) -> None:
    black_box = box(tmp_path)
    live(black_box, 0, 1)
    black_box.see(FORCE)
    black_box.see(Fault("emergency stop (page)", "", 13 * SECOND))
    assert black_box.flush() is not None
    reasons = {read_fault(p).reason for p in tmp_path.glob("*.mcap")}
    assert reasons == {FORCE.reason, "emergency stop (page)"}
    assert black_box.flush() is None


def test_memory_is_bounded(tmp_path: Path) -> None:
    black_box = box(tmp_path, most_bytes=10_000)
    black_box.tick(SECOND)
    for _ in range(100):
        black_box.add("say", STRING, string("1" * 1000))
    black_box.see(FORCE)
    path = black_box.flush()
    assert path is not None
    assert len(said(path)) == 6  # of a good 1500 bytes each, with what Python needs for them


def test_what_holds_until_changed_is_kept(tmp_path: Path) -> None:
    black_box = box(tmp_path)
    black_box.keep_newest("session/state")
    black_box.tick(SECOND)
    for text in ("old", "newest"):
        black_box.add("session/state", STRING, string(text))
    live(black_box, 1, 30)
    black_box.see(FORCE)
    path = black_box.flush()
    assert path is not None
    states = [(m.stamp, m.message.data) for m in read(path, {"session/state"})]
    assert states == [(SECOND, "newest")]


def test_time_that_starts_again_loses_nothing(tmp_path: Path) -> None:
    """The robot's process of a simulator was restarted: its clock begins at zero."""
    black_box = box(tmp_path)
    live(black_box, 100, 103)
    live(black_box, 0, 3)
    black_box.see(FORCE)
    path = black_box.flush()
    assert path is not None
    assert said(path) == [*range(1000, 1030), *range(30)]
    live(black_box, 3, 20)
    black_box.see(NONE)
    black_box.see(FORCE)
    path = black_box.flush()
    assert path is not None
    assert said(path) == list(range(99, 200))


def test_a_full_folder_is_said_and_nothing_is_deleted(tmp_path: Path) -> None:
    black_box = box(tmp_path, most_files=2)
    live(black_box, 0, 1)
    for _ in range(2):
        black_box.see(FORCE)
        assert black_box.flush() is not None
        black_box.see(NONE)
    before = sorted(p.name for p in tmp_path.iterdir())
    black_box.see(FORCE)
    with pytest.raises(LogError, match=r"there are 2 in .* already. Move some away"):
        black_box.flush()
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert black_box.poll() is None


def test_a_folder_that_cannot_be_made_is_an_error_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    black_box = box(tmp_path / "file")
    black_box.see(FORCE)
    with pytest.raises(LogError, match="cannot write the black box"):
        black_box.flush()


def test_another_file_is_no_black_box(tmp_path: Path) -> None:
    from robot_rl.data.bag import Bag

    path = tmp_path / "other.mcap"
    with path.open("wb") as file:
        Bag(file).writer.finish()
    with pytest.raises(LogError, match="is no black box"):
        read_fault(path)
