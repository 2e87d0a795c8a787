"""Episode logs: other programs open them, a killed writer keeps all but its last second, damage is named."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rosbags.highlevel import AnyReader

from robot_rl.core.clock import ManualClock
from robot_rl.core.errors import LogError
from robot_rl.core.types import Episode, EpisodeResult, Mode, Pose
from robot_rl.data import messages
from robot_rl.data.episode_log import (
    EpisodeLog,
    episode_path,
    read,
    read_info,
    read_metadata,
    read_raw,
    recover,
)
from tests.unit.data_samples import small_spec

SPEC = small_spec()
EPISODE = Episode(12, 345, Mode.TRAIN)
RESULT = EpisodeResult(EPISODE, 77, True, 0.1 + 0.2, 2, 15, 9)
ROOT = Path(__file__).parents[2]
SECOND = 1_000_000_000


def pose(i: int) -> Pose:
    return Pose(np.array([i, 0.1, 0.2]), np.array([0.0, 0.0, 0.6, 0.8]))


def write_step(log: EpisodeLog, i: int) -> None:
    """Four messages, as a control period logs them."""
    stamp = i * SECOND // 10
    log.write("arm/pose", messages.POSE, messages.pose_stamped(stamp, pose(i), "base"), stamp)
    log.write("arm/twist", messages.TWIST, messages.twist_stamped(stamp, np.arange(6.0) + i, "base"), stamp)
    names = ["joint1", "joint2"]
    joints = messages.joint_state(stamp, names, np.array([i, 1.0]), np.array([0.5, -0.5]))
    log.write("joint_states", messages.JOINT_STATE, joints, stamp)
    log.write("episode/event", messages.STRING, messages.string(f"step {i} - ü"), stamp)


def write_log(path: Path, steps: int = 5, result: EpisodeResult | None = RESULT) -> Path:
    with EpisodeLog(path, SPEC, EPISODE) as log:
        for i in range(steps):
            write_step(log, i)
        log.close(result)
    return path


def test_messages_and_metadata_come_back(tmp_path: Path) -> None:
    path = write_log(tmp_path / "episodes" / "a.mcap")
    logged = list(read(path))
    assert [m.topic for m in logged[:4]] == ["arm/pose", "arm/twist", "joint_states", "episode/event"]
    assert len(logged) == 20
    last = logged[-4:]
    assert {m.stamp for m in last} == {4 * SECOND // 10}
    assert last[0].message.header.stamp.nanosec == 400_000_000
    assert last[0].message.header.frame_id == "base"
    assert last[0].message.pose.position.x == 4.0
    assert last[0].message.pose.orientation.w == 0.8
    assert last[1].message.twist.angular.z == 9.0
    assert last[2].message.name == ["joint1", "joint2"]
    np.testing.assert_array_equal(last[2].message.velocity, [0.5, -0.5])
    assert last[2].message.effort.size == 0
    assert last[3].message.data == "step 4 - ü"
    info = read_info(path)
    assert info.spec == SPEC
    assert info.spec.name == "pick"
    assert info.episode == EPISODE
    assert info.result == RESULT
    assert info.complete


def test_notes_come_back_and_outlive_a_recovery(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    with EpisodeLog(path, SPEC, EPISODE) as log:
        log.note("station", {"arm": "left", "person": ""})
        with pytest.raises(LogError, match=r"'robot_rl.result' is the log's own"):
            log.note("robot_rl.result", {})
        write_step(log, 0)
        log.flush()
        killed = path.read_bytes()
    with pytest.raises(LogError, match="is closed"):
        log.note("late", {})
    assert read_metadata(path) == {"station": {"arm": "left", "person": ""}}
    path.write_bytes(killed)
    recover(path)
    assert read_metadata(path) == {"station": {"arm": "left", "person": ""}}


def test_only_the_wanted_topics_are_read(tmp_path: Path) -> None:
    path = write_log(tmp_path / "a.mcap")
    assert {m.topic for m in read_raw(path, topics=["arm/twist"])} == {"arm/twist"}


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_rosbags_and_mcap_ros2_read_the_same_values(tmp_path: Path, compression: Any) -> None:
    path = tmp_path / "a.mcap"
    with EpisodeLog(path, SPEC, EPISODE, compression=compression, flush_every=0.0) as log:
        for i in range(4):
            write_step(log, i)
        data = messages.byte_array(bytes(range(256)))
        log.write("learner/transitions", messages.BYTES, data, 4 * SECOND)
    with AnyReader([path]) as reader:
        assert reader.topics["arm/pose"].msgtype == "geometry_msgs/msg/PoseStamped"
        assert reader.message_count == 17
        bag = [(c.topic, t, reader.deserialize(raw, c.msgtype)) for c, t, raw in reader.messages()]
    with path.open("rb") as file:
        mcap = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        assert mcap.get_header().profile == "ros2"
        summary = mcap.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        assert summary.statistics.message_count == 17
        decoded = list(mcap.iter_decoded_messages())
    for schema, channel, _, _ in decoded:
        assert channel.message_encoding == "cdr"
        assert schema is not None
        assert schema.encoding == "ros2msg"
    ours = list(read(path))
    assert len(bag) == len(decoded) == len(ours) == 17
    for mine, (topic, stamp, theirs), foxglove in zip(ours, bag, decoded, strict=True):
        assert mine.topic == topic == foxglove.channel.topic
        assert mine.stamp == stamp == foxglove.message.log_time
        assert foxglove.schema is not None
        assert mine.msgtype == foxglove.schema.name
        assert str(theirs) == str(mine.message)
    assert decoded[12].decoded_message.pose.position.x == 3.0
    assert decoded[-1].decoded_message.data == bytes(range(256))


def test_a_flush_is_due_every_second_of_wall_time(tmp_path: Path) -> None:
    clock = ManualClock()
    path = tmp_path / "a.mcap"
    log = EpisodeLog(path, SPEC, EPISODE, clock=clock)

    def on_disk() -> int:
        return sum(1 for _ in read_raw(path, tolerant=True))

    write_step(log, 0)
    clock.advance_to(SECOND - 1)
    write_step(log, 1)
    assert on_disk() == 0
    clock.advance_to(SECOND)
    log.write("episode/event", messages.STRING, messages.string("due"), SECOND)
    assert on_disk() == 9
    write_step(log, 2)
    clock.advance_to(2 * SECOND)
    assert on_disk() == 9
    log.flush_if_due()
    assert on_disk() == 13, "also when nothing more is written"
    write_step(log, 3)
    log.flush()
    assert on_disk() == 17
    info = read_info(path, tolerant=True)
    assert not info.complete
    assert info.result is None
    log.close()
    assert read_info(path).complete


def test_a_log_without_a_result_was_given_up(tmp_path: Path) -> None:
    info = read_info(write_log(tmp_path / "a.mcap", result=None))
    assert info.complete
    assert info.result is None


KILLED = """
import sys
from pathlib import Path
from robot_rl.data.episode_log import EpisodeLog
from tests.unit.test_episode_log import EPISODE, SPEC, write_step

log = EpisodeLog(Path(sys.argv[1]), SPEC, EPISODE, flush_every=1e9)
for i in range(1_000_000):
    write_step(log, i)
    if i % 7 == 6:
        log.flush()
        print(i, flush=True)
"""


def test_a_killed_writer_keeps_all_that_was_flushed(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    flushed = [int(process.stdout.readline()) for _ in range(20)][-1]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    flushed = max([flushed, *(int(line) for line in process.stdout)])
    process.stdout.close()
    with pytest.raises(LogError, match=r"cut off after .*recover"):
        next(read(path))
    before = list(read_raw(path, tolerant=True))
    assert len(before) >= 4 * (flushed + 1)
    recovered = recover(path)
    assert recovered.messages == len(before)
    assert list(read_raw(path)) == before
    with AnyReader([path]) as reader:
        assert reader.message_count == len(before)
    assert read_info(path).episode == EPISODE
    assert recover(path) == (len(before), 0)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_cut_off_anywhere_gives_its_complete_chunks(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    ends = []
    with EpisodeLog(path, SPEC, EPISODE, compression="none") as log:
        for i in range(3):
            write_step(log, i)
            log.flush()
            ends.append(path.stat().st_size)
        log.close(RESULT)
    whole = path.read_bytes()
    cut = tmp_path / "cut.mcap"
    count = 0
    for size in [*range(0, len(whole), 37), *ends, len(whole) - 1]:
        cut.write_bytes(whole[:size])
        count = sum(1 for _ in read_raw(cut, tolerant=True))
        chunks = sum(1 for end in ends if end <= size)
        # The chunk is followed by its index, so it is whole a little before the flush ends.
        assert count in (4 * chunks, 4 * chunks + 4)
        assert recover(cut).messages == count
        assert sum(1 for _ in read_raw(cut)) == count
    assert count == 12


def test_zeros_that_a_file_system_left_at_the_end_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    with EpisodeLog(path, SPEC, EPISODE) as log:
        write_step(log, 0)
        log.flush()
        kept = path.read_bytes()
    path.write_bytes(kept + bytes(10_000))
    assert recover(path) == (4, 10_000)


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_every_flipped_byte_of_a_complete_log_is_found(tmp_path: Path, compression: Any) -> None:
    path = tmp_path / "a.mcap"
    with EpisodeLog(path, SPEC, EPISODE, compression=compression) as log:
        for i in range(2):
            write_step(log, i)
        log.close(RESULT)
    whole = path.read_bytes()
    written = list(read_raw(path))
    harmless = 0
    for byte in range(0, len(whole), 23):
        damaged = bytearray(whole)
        damaged[byte] ^= 0x41
        path.write_bytes(damaged)
        try:
            # A few bits of a compressed frame's header, such as its block size, change nothing that is read.
            assert list(read_raw(path)) == written
            harmless += 1
        except LogError as error:
            assert re.search(f"{path.name}.*(corrupt at byte|not an MCAP file|cut off after)", str(error))
    assert harmless <= (0 if compression == "none" else 3)


def test_a_damaged_chunk_of_a_cut_off_log_is_never_read_wrongly(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    for compression in ("none", "lz4", "zstd"):
        path.unlink(missing_ok=True)
        log = EpisodeLog(path, SPEC, EPISODE, compression=compression)
        start = path.stat().st_size
        write_step(log, 0)
        log.flush()
        whole, messages_there = path.read_bytes(), list(read_raw(path, tolerant=True))
        log.close()
        end = start + 9 + int.from_bytes(whole[start + 1 : start + 9], "little")
        found = []
        # From the checksum to the end of the chunk; its length and its times come before.
        for byte in range(start + 33, end, 7):
            damaged = bytearray(whole)
            damaged[byte] ^= 0x41
            path.write_bytes(damaged)
            try:
                assert list(read_raw(path, tolerant=True)) == messages_there, "a compressor's unused bits"
            except LogError as error:
                found.append(str(error))
        assert len(found) > 0.9 * len(range(start + 33, end, 7))
        assert all(f"a.mcap is corrupt at byte {start}: a damaged chunk" in text for text in found)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    with pytest.raises(LogError, match="No such file"):
        list(read(path))
    path.write_bytes(b"")
    with pytest.raises(LogError, match="cut off after 0 bytes"):
        list(read(path))
    path.write_text("These are notes.")
    with pytest.raises(LogError, match="is not an MCAP file"):
        list(read(path))


def test_a_log_is_never_written_over(tmp_path: Path) -> None:
    path = episode_path(tmp_path, 12)
    assert path.name == "000012.mcap"
    write_log(path)
    with pytest.raises(LogError, match="exists already"):
        EpisodeLog(path, SPEC, EPISODE)
    assert episode_path(tmp_path, 12).name == "000012-1.mcap"


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    log = EpisodeLog(tmp_path / "a.mcap", SPEC, EPISODE)
    with pytest.raises(LogError, match="'my_msgs/msg/Thing' is not a message type of ROS 2"):
        log.write("thing", "my_msgs/msg/Thing", b"", 0)
    log.write("event", messages.STRING, messages.string("a"), 0)
    with pytest.raises(LogError, match="'event' carries std_msgs/msg/String, not geometry_msgs"):
        log.write("event", messages.POSE, b"", 0)
    log.close()
    with pytest.raises(LogError, match="is closed"):
        log.write("event", messages.STRING, messages.string("a"), 0)
    with pytest.raises(LogError, match="3 velocities for 2 names"):
        messages.joint_state(0, ["a", "b"], np.zeros(2), np.zeros(3))
    with pytest.raises(LogError, match="not such a message"):
        messages.deserialize(b"\0\1\0\0\7", messages.STRING)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from robot_rl.core.errors import LogError
from robot_rl.data.episode_log import EpisodeLog
from tests.unit.test_episode_log import EPISODE, SPEC, write_step

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
log = EpisodeLog(Path(sys.argv[1]), SPEC, EPISODE, compression="none")
try:
    for i in range(10_000):
        write_step(log, i)
except LogError as error:
    print(error)
"""


def test_a_full_disk_is_a_clear_error_and_what_was_written_is_kept(tmp_path: Path) -> None:
    """The operating system refuses the write in its middle, as a full disk does."""
    path = tmp_path / "a.mcap"
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "a.mcap: cannot write: File too large" in result.stdout
    assert recover(path).lost_bytes > 0
    assert read_info(path).episode == EPISODE
