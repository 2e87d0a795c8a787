"""Episode logs: one MCAP file an episode, written as it happens, in the form of ROS 2's rosbag2.

Foxglove, `ros2 bag` and the rosbags package open them. The messages lie in compressed chunks, and a chunk is
finished and handed to the operating system at least once a second, so a writer that is killed loses no more
than its last second. `read` then still reads the file with `tolerant=True`, and `recover` completes it.

Two metadata records say what the episode was: `robot_rl.episode` (task, spec, seed, index, mode), written
first, and `robot_rl.result`, written last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from mcap.writer import CompressionType

from robot_rl.core.clock import SteadyClock, nanoseconds
from robot_rl.core.errors import LogError, SpecError
from robot_rl.core.protocols import Clock
from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import Episode, EpisodeResult, Mode
from robot_rl.data.bag import Bag
from robot_rl.data.mcap_scan import McapScan, RawMessage
from robot_rl.data.messages import deserialize

TRANSITIONS_TOPIC = "learner/transitions"
"""Topic of the transition messages of `robot_rl.data.codec`, in `std_msgs/UInt8MultiArray`."""

_EPISODE, _RESULT = "robot_rl.episode", "robot_rl.result"
_COMPRESSION = {"none": CompressionType.NONE, "lz4": CompressionType.LZ4, "zstd": CompressionType.ZSTD}


@dataclass(frozen=True)
class EpisodeInfo:
    """What a log says about its episode."""

    path: Path
    spec: EnvSpec
    """Its `name` is the task."""
    episode: Episode
    result: EpisodeResult | None
    """None when the episode was not brought to its end."""
    complete: bool
    """False when its writer was killed and the file has not been recovered."""


class LoggedMessage(NamedTuple):
    """One message of a log."""

    topic: str
    msgtype: str
    """As "geometry_msgs/msg/PoseStamped"."""
    stamp: int
    """Log time [ns]."""
    message: Any
    """Object with the fields of the message definition; arrays are NumPy."""


class Recovered(NamedTuple):
    """What `recover` found."""

    messages: int
    """Messages in the completed file."""
    lost_bytes: int
    """Bytes of the incomplete record at the old end; 0 when the file was complete already."""


class EpisodeLog:
    """Writes the log of one episode."""

    def __init__(
        self,
        path: Path,
        spec: EnvSpec,
        episode: Episode,
        *,
        clock: Clock | None = None,
        flush_every: float = 1.0,
        compression: Literal["none", "lz4", "zstd"] = "zstd",
    ) -> None:
        """Create the file, which must not exist yet (see `episode_path`).

        Args:
            path: The new file.
            spec: Observation and action of the task.
            episode: Which episode this is.
            clock: Measures `flush_every`; the machine's steady clock by default, also in simulated time.
            flush_every: Longest time for which a message may be held back [s].
            compression: Of the chunks.
        """
        self.path = path
        self._clock = clock or SteadyClock()
        self._flush_every = nanoseconds(flush_every)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.open("xb").close()
        except FileExistsError:
            raise LogError(f"{path} exists already: episode logs are never written over") from None
        # The name is that of an empty file, which readers pass over, until the log says whose it is: a
        # process killed before that leaves nothing that nobody can read. Any file system can rename.
        nameless = path.with_suffix(".new")
        self._file = nameless.open("wb")
        self._bag = Bag(self._file, _COMPRESSION[compression])
        try:
            self._bag.writer.add_metadata(_EPISODE, _episode_fields(spec, episode))
            self.flush()
            nameless.replace(path)
        except (LogError, OSError):
            self._file.close()
            nameless.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise

    def write(self, topic: str, msgtype: str, data: bytes, stamp: int) -> None:
        """Add a message: its CDR bytes and its log time [ns]; flush when that is due.

        The bytes are those of a raw subscription or of `robot_rl.data.messages`. rclpy's `serialize_message`
        may append a few bytes too many, which rosbags refuses to read.
        """
        if self._file.closed:
            raise LogError(f"{self.path} is closed")
        try:
            self._bag.add(topic, msgtype, data, stamp)
        except OSError as error:
            raise LogError(f"{self.path}: cannot write: {error.strerror}") from error
        self.flush_if_due()

    def note(self, name: str, values: Mapping[str, str]) -> None:
        """Add a metadata record, such as where the messages come from (see `read_metadata`)."""
        if name in (_EPISODE, _RESULT):
            raise LogError(f"the metadata record {name!r} is the log's own: choose another name")
        if self._file.closed:
            raise LogError(f"{self.path} is closed")
        try:
            self._bag.writer.add_metadata(name, dict(values))
        except OSError as error:
            raise LogError(f"{self.path}: cannot write: {error.strerror}") from error

    def flush_if_due(self) -> None:
        """Flush when the last one is `flush_every` ago. Call it now and then when nothing is written."""
        if self._clock.now() - self._flushed_at >= self._flush_every:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system: from then on it survives the end of this process."""
        try:
            self._bag.writer.flush()
        except OSError as error:
            raise LogError(f"{self.path}: cannot write: {error.strerror}") from error
        self._flushed_at = self._clock.now()

    def close(self, result: EpisodeResult | None = None) -> None:
        """Complete the file; `result` is None when the episode was given up."""
        if self._file.closed:
            return
        try:
            with self._file:
                self._bag.writer.flush()
                if result is not None:
                    self._bag.writer.add_metadata(_RESULT, _result_fields(result))
                self._bag.writer.finish()
        except OSError as error:
            raise LogError(f"{self.path}: cannot write: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def episode_path(folder: Path, index: int) -> Path:
    """A free file name for an episode; one that was killed and runs again gets a suffix."""
    path, attempt = folder / f"{index:06d}.mcap", 1
    while path.exists():
        path, attempt = folder / f"{index:06d}-{attempt}.mcap", attempt + 1
    return path


def newest_first(folder: Path, index: int) -> list[Path]:
    """The logs of an episode, the last one that was begun first; see `episode_path`."""
    attempts = {p.stem.partition("-")[2] or "0": p for p in folder.glob(f"{index:06d}*.mcap")}
    return [attempts[number] for number in sorted(filter(str.isdecimal, attempts), key=int, reverse=True)]


def attempt_of(path: Path) -> int:
    """Which attempt at its episode a log is, by its name: 0 for the first (see `episode_path`)."""
    again = path.stem.partition("-")[2]
    return int(again) if again.isdigit() else 0


def read(path: Path, topics: Collection[str] = (), tolerant: bool = False) -> Iterator[LoggedMessage]:
    """The messages of a log in the order of writing, of all topics or of `topics`.

    Raises `LogError` when the file is corrupt, or when it is cut off and not `tolerant`.
    """
    for topic, msgtype, stamp, data in read_raw(path, topics, tolerant):
        yield LoggedMessage(topic, msgtype, stamp, deserialize(data, msgtype))


def read_raw(path: Path, topics: Collection[str] = (), tolerant: bool = False) -> Iterator[RawMessage]:
    """As `read`, with each message as its CDR bytes."""
    for message in _scan(path, tolerant).messages():
        if not topics or message.topic in topics:
            yield message


def read_info(path: Path, tolerant: bool = False) -> EpisodeInfo:
    """What the log says about its episode. Errors as for `read`."""
    scan = _scan(path, tolerant)
    metadata = scan.metadata()
    if _EPISODE not in metadata:
        raise LogError(f"{path} is not an episode log: it has no metadata record {_EPISODE!r}")
    try:
        values = metadata[_EPISODE]
        spec = EnvSpec.from_json(json.loads(values["spec"]))
        episode = Episode(int(values["episode"]), int(values["seed"]), Mode(values["mode"]))
        result = _parse_result(episode, metadata[_RESULT]) if _RESULT in metadata else None
    except (ValueError, KeyError, TypeError, SpecError) as error:
        raise LogError(f"{path}: the metadata of the episode is damaged: {error!r}") from None
    return EpisodeInfo(path, spec, episode, result, scan.complete)


def read_metadata(path: Path, tolerant: bool = False) -> dict[str, dict[str, str]]:
    """The metadata records that `EpisodeLog.note` wrote, by name. Errors as for `read`."""
    return {k: v for k, v in _scan(path, tolerant).metadata().items() if k not in (_EPISODE, _RESULT)}


def recover(path: Path) -> Recovered:
    """Complete a log whose writer was killed: the same messages, with an end and an index.

    The file is replaced at once when the new one is on the disk. A complete file is left as it is.
    """
    scan = McapScan(path)
    if scan.complete:
        return Recovered(sum(1 for _ in scan.messages()), 0)
    size = path.stat().st_size
    temporary = path.with_suffix(".recovering")
    with temporary.open("wb") as file:
        messages = _copy(scan, Bag(file, CompressionType.ZSTD))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return Recovered(messages, size - scan.good_bytes)


def _copy(scan: McapScan, bag: Bag) -> int:
    for name, values in scan.metadata().items():
        bag.writer.add_metadata(name, values)
    count = 0
    for message in scan.messages():
        bag.add(message.topic, message.msgtype, message.data, message.stamp)
        count += 1
    bag.writer.finish()
    return count


def _scan(path: Path, tolerant: bool) -> McapScan:
    scan = McapScan(path)
    if not (scan.complete or tolerant):
        raise LogError(
            f"{path} is cut off after {scan.good_bytes} bytes: its writer was killed. "
            "robot_rl.data.episode_log.recover(path) completes it with all that was flushed."
        )
    return scan


def _episode_fields(spec: EnvSpec, episode: Episode) -> dict[str, str]:
    return {
        "task": spec.name,
        "episode": str(episode.index),
        "seed": str(episode.seed),
        "mode": episode.mode.value,
        "spec": json.dumps(spec.to_json()),
    }


def _result_fields(result: EpisodeResult) -> dict[str, str]:
    """Every field of the result but its episode, as JSON."""
    return {f.name: json.dumps(getattr(result, f.name)) for f in fields(result) if f.name != "episode"}


def _parse_result(episode: Episode, values: dict[str, str]) -> EpisodeResult:
    return EpisodeResult(episode=episode, **{name: json.loads(value) for name, value in values.items()})
