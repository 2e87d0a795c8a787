"""The journal: what is committed survives, nothing is there twice, damage is told from a torn tail."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from robot_rl.core.errors import LogError, SpecError
from robot_rl.core.types import Transition
from robot_rl.data.journal import Journal, read_journal, salvage
from tests.unit.data_samples import assert_same, small_spec, transition

SPEC = small_spec()
ROOT = Path(__file__).parents[2]


def sequences(transitions: Iterable[Transition]) -> list[int]:
    return [t.key.sequence for t in transitions]


def write(path: Path, *commits: range) -> list[int]:
    """One commit for each range; the file's size after each."""
    sizes = []
    with Journal(path, SPEC) as journal:
        sizes.append(path.stat().st_size)
        for commit in commits:
            for sequence in commit:
                assert journal.append(transition(SPEC, sequence))
            assert journal.commit() == len(commit)
            sizes.append(path.stat().st_size)
    return sizes


def test_committed_transitions_come_back(tmp_path: Path) -> None:
    path = tmp_path / "run" / "journal"
    write(path, range(3), range(3, 4), range(4, 10))
    with Journal(path, SPEC) as journal:
        assert journal.torn_bytes == 0
        assert journal.last_keys == {("actor", 1): 9}
        for sequence, back in enumerate(journal.replay()):
            assert_same(transition(SPEC, sequence), back)
        assert sequences(journal.replay(after={("actor", 1): 6})) == [7, 8, 9]
        assert sequences(journal.replay(after={("actor", 2): 6})) == list(range(10))


def test_only_a_commit_counts(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal", SPEC) as journal:
        journal.append(transition(SPEC, 0))
        assert journal.last_keys == {}
        assert list(journal.replay()) == []
        journal.commit()
        assert journal.last_keys == {("actor", 1): 0}
        assert journal.commit() == 0


def test_each_key_is_taken_once_and_in_sequence(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path, SPEC) as journal:
        assert not journal.append(transition(SPEC, 1)), "0 is still missing"
        assert journal.append(transition(SPEC, 0))
        assert not journal.append(transition(SPEC, 0)), "pending already"
        journal.commit()
        assert not journal.append(transition(SPEC, 0)), "committed already"
        assert journal.append(transition(SPEC, 0, run=2)), "another run"
        assert journal.append(transition(SPEC, 0, actor="other")), "another actor"
        assert journal.append(transition(SPEC, 1))
    with Journal(path, SPEC) as journal:
        assert journal.last_keys == {("actor", 1): 1, ("actor", 2): 0, ("other", 1): 0}
        assert not journal.append(transition(SPEC, 1))
        assert journal.append(transition(SPEC, 2))


def test_a_transition_that_does_not_fit_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal", SPEC) as journal:
        bad = transition(SPEC, 0, observation={})
        with pytest.raises(SpecError, match="is missing"):
            journal.append(bad)
        assert journal.append(transition(SPEC, 0))
        assert journal.commit() == 1


def test_a_torn_tail_is_cut_wherever_the_writer_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    empty, first, second = write(path, range(2), range(2, 5))
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        complete = [end for end in (0, empty, first, second) if end <= size]
        with Journal(path, SPEC) as journal:
            kept = {0: 0, empty: 0, first: 2, second: 5}[complete[-1]]
            assert journal.torn_bytes == size - complete[-1]
            assert sequences(journal.replay()) == list(range(kept))
            assert journal.append(transition(SPEC, kept))
        with Journal(path, SPEC) as journal:
            assert journal.torn_bytes == 0
            assert sequences(journal.replay()) == list(range(kept + 1))


def test_zeros_that_a_file_system_left_at_the_end_are_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write(path, range(2))
    with path.open("ab") as file:
        file.write(bytes(5000))
    assert sequences(read_journal(path)) == [0, 1]
    with Journal(path, SPEC) as journal:
        assert journal.torn_bytes == 5000


def test_every_flipped_byte_is_an_error_that_says_where(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    ends = [0, *write(path, range(1), range(1, 2))]
    whole = path.read_bytes()
    for byte in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[byte] ^= 0x10
        path.write_bytes(damaged)
        start = max(end for end in ends if end <= byte)
        with pytest.raises(LogError, match=rf"corrupt at byte {start}:.*salvage|is not a journal"):
            Journal(path, SPEC)
        assert path.read_bytes() == damaged, "a damaged journal is left alone"


def test_salvage_keeps_all_but_the_damaged_frame(tmp_path: Path) -> None:
    path, target = tmp_path / "journal", tmp_path / "copy"
    _, first, second, third = write(path, range(2), range(2, 5), range(5, 9))
    damaged = bytearray(path.read_bytes())
    damaged[first + 200] ^= 1
    path.write_bytes(damaged + damaged[:10])
    result = salvage(path, target, SPEC)
    assert result.transitions == 6
    assert result.lost_bytes == second - first + 10
    with Journal(target, SPEC) as journal:
        assert sequences(journal.replay()) == [0, 1, 5, 6, 7, 8]
        assert journal.append(transition(SPEC, 9))
    with pytest.raises(LogError, match="exists already"):
        salvage(path, target, SPEC)
    with pytest.raises(LogError, match="control rate"):
        salvage(path, tmp_path / "other", small_spec(20.0))
    assert third == len(damaged)


def test_a_key_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    header, end = write(path, range(2))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[header:end])
    with pytest.raises(LogError, match=rf"sequence=0\) is there twice, at byte {end}"):
        Journal(path, SPEC)


def test_a_journal_of_another_task_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "journal", range(1))
    with pytest.raises(LogError, match=re.escape("control rate 10.0 Hz, expected 20.0 Hz")):
        Journal(tmp_path / "journal", small_spec(20.0))


def test_another_file_is_neither_read_nor_changed(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("notes")
    with pytest.raises(LogError, match="is not a journal"):
        Journal(path, SPEC)
    assert path.read_text() == "notes"
    with pytest.raises(LogError, match="No such file"):
        list(read_journal(tmp_path / "none"))


def test_two_learners_cannot_share_a_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal", SPEC) as journal:
        with pytest.raises(LogError, match="another learner"):
            Journal(tmp_path / "journal", SPEC)
        journal.append(transition(SPEC, 0))
        journal.commit()
        assert sequences(read_journal(tmp_path / "journal")) == [0], "readers need no lock"


def test_a_long_commit_is_split_over_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robot_rl.data.journal._BLOCK_BYTES", 1000)
    write(tmp_path / "journal", range(50))
    assert sequences(read_journal(tmp_path / "journal")) == list(range(50))
    assert (tmp_path / "journal").read_bytes().count(b"RRLJ") == 1 + 25


FULL_DISK = """
import resource, signal, sys
from collections.abc import Iterable
from pathlib import Path
from robot_rl.core.errors import LogError
from robot_rl.core.types import Transition
from robot_rl.data.journal import Journal, read_journal
from tests.unit.data_samples import small_spec, transition

path = Path(sys.argv[1])
spec = small_spec()
journal = Journal(path, spec)
journal.append(transition(spec, 0))
journal.commit()
size = path.stat().st_size
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
journal.append(transition(spec, 1))
try:
    journal.commit()
except LogError as error:
    print(error)
assert path.stat().st_size == size
assert journal.last_keys == {("actor", 1): 0}
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.commit()
assert [t.key.sequence for t in read_journal(path)] == [0, 1]
"""


def test_a_write_that_fails_half_way_is_undone_and_can_be_repeated(tmp_path: Path) -> None:
    """The operating system refuses the write in its middle, as a full disk does."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "journal")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "cannot write: File too large. Nothing was committed." in result.stdout


KILLED = """
import sys
from collections.abc import Iterable
from pathlib import Path
from robot_rl.core.types import Transition
from robot_rl.data.journal import Journal
from tests.unit.data_samples import small_spec, transition

spec = small_spec()
with Journal(Path(sys.argv[1]), spec) as journal:
    sequence = journal.last_keys.get(("actor", 1), -1) + 1
    while True:
        for _ in range(3):
            assert journal.append(transition(spec, sequence))
            assert not journal.append(transition(spec, sequence))
            sequence += 1
        journal.commit()
        print(sequence - 1, flush=True)
"""


def test_a_killed_writer_loses_nothing_committed_and_repeats_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    for acknowledgements in (5, 40, 11):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        acknowledged = -1
        for _ in range(acknowledgements):
            acknowledged = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for line in process.stdout:
            acknowledged = int(line)
        process.stdout.close()
        with Journal(path, SPEC) as journal:
            found: list[Transition] = list(journal.replay())
            assert journal.last_keys[("actor", 1)] >= acknowledged
        assert sequences(found) == list(range(len(found))), "each once, in order, without a gap"
        assert_same(transition(SPEC, len(found) - 1), found[-1])


def test_sync_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), real(descriptor))[1])
    with Journal(tmp_path / "journal", SPEC, sync=True) as journal:
        assert len(synced) == 2, "the spec's frame and the directory"
        journal.append(transition(SPEC, 0))
        journal.commit()
        assert len(synced) == 3
