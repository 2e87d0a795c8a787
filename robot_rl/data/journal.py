"""The learner's journal: an append-only file of every transition that it has acknowledged.

An actor sends a transition again until the learner acknowledges it, and the learner acknowledges only what
`Journal.commit` has handed to the operating system. So a learner that is killed at any moment comes back with
all that was acknowledged, and nothing twice. The file is a row of frames, one for each commit:

    "RRLJ" | payload length u32 | crc32 of the payload u32 | crc32 of these 12 bytes u32 | payload

The first payload is the `EnvSpec` as JSON, the others are transition messages of `robot_rl.data.codec`.

A killed writer can leave only an incomplete last frame, which was never acknowledged: opening cuts it off.
A frame that is complete but wrong is damage of the disk: that is an error, because what it held may have been
acknowledged. The two cannot be confused, since the lengths have a checksum of their own.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from robot_rl.core.errors import CodecError, LogError, SpecError
from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import Transition
from robot_rl.data.codec import TransitionCodec

Runs = Mapping[tuple[str, int], int]
"""(actor, run) to a sequence number."""

_MARKER = b"RRLJ"
_FRAME = struct.Struct("<4sIII")
_BLOCK_BYTES = 8 * 2**20
"""A commit of more than this is split over several frames, so that no reader needs much memory."""


@dataclass(frozen=True)
class Salvaged:
    """What `salvage` could keep of a damaged journal."""

    transitions: int
    """Transitions copied."""
    lost_bytes: int
    """Bytes that belong to no readable frame."""


class Journal:
    """Appends transitions to a file, each key once and in sequence, and gives them back after a crash.

    A run of an actor starts with sequence number 0 and has no gaps.
    """

    def __init__(self, path: Path, spec: EnvSpec, sync: bool = False) -> None:
        """Open or create the journal at `path` and lock it.

        With `sync` each commit also waits for the disk (fsync): then it survives a power failure, and not
        only a killed process. Raises `LogError` when the file is corrupt, of another spec, or in use.
        """
        self.path = path
        self.torn_bytes = 0
        """Bytes of an incomplete frame that opening has cut off."""
        self._codec = TransitionCodec(spec)
        self._sync = sync
        self._pending: list[bytes] = []
        self._committed: dict[tuple[str, int], int] = {}
        self._last: dict[tuple[str, int], int] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
        try:
            self._lock()
            self._restore()
        except BaseException:
            self._file.close()
            raise

    def append(self, transition: Transition) -> bool:
        """Take a transition for the next commit, if it is the next one of its run.

        False when it is here already, or when one before it is still missing: the actor sends both again
        until they are acknowledged. Raises `SpecError` when it does not fit the spec.
        """
        actor, run, sequence = transition.key
        if sequence != self._last.get((actor, run), -1) + 1:
            return False
        self._pending.append(self._codec.record(transition))
        self._last[actor, run] = sequence
        return True

    def commit(self) -> int:
        """Write what was appended since the last commit and return how many transitions that were.

        When it returns they survive the end of this process. When the disk is full or the write fails,
        `LogError` is raised, the file is as before, and the next commit tries again.
        """
        if not self._pending:
            return 0
        size = max(1, _BLOCK_BYTES // self._codec.record_size)
        blocks = [self._pending[i : i + size] for i in range(0, len(self._pending), size)]
        self._write(b"".join(_frame(self._codec.message(block)) for block in blocks))
        count = len(self._pending)
        self._pending = []
        self._committed = dict(self._last)
        return count

    @property
    def last_keys(self) -> dict[tuple[str, int], int]:
        """(actor, run) to the last committed sequence number: what may be acknowledged."""
        return dict(self._committed)

    def replay(self, after: Runs | None = None) -> Iterator[Transition]:
        """The committed transitions in order; with `after` only those later than its sequence numbers."""
        skip = after or {}
        for transition in read_journal(self.path):
            actor, run, sequence = transition.key
            if sequence > skip.get((actor, run), -1):
                yield transition

    def close(self) -> None:
        """Commit and let go of the file."""
        if not self._file.closed:
            try:
                self.commit()
            finally:
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LogError(f"{self.path}: another learner is writing this journal; end it first") from None

    def _restore(self) -> None:
        end = 0
        for offset, payload in _frames(self._file, self.path):
            if offset == 0:
                _check_spec(self.path, _parse_spec(self.path, payload), self._codec.spec)
            else:
                for transition in _decode(self.path, offset, self._codec, payload):
                    actor, run, sequence = transition.key
                    if sequence <= self._last.get((actor, run), -1):
                        raise LogError(f"{self.path}: {transition.key} is there twice, at byte {offset}")
                    self._last[actor, run] = sequence
            end = offset + _FRAME.size + len(payload)
        self._committed = dict(self._last)
        self.torn_bytes = self._file.seek(0, os.SEEK_END) - end
        self._file.truncate(end)
        self._file.seek(end)
        if end == 0:
            self._write(_spec_frame(self._codec.spec))
            if self._sync:
                _sync_directory(self.path.parent)

    def _write(self, data: bytes) -> None:
        start = self._file.tell()
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            if self._sync:
                os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(start)
            self._file.seek(start)
            raise LogError(f"{self.path}: cannot write: {error.strerror}. Nothing was committed.") from error


def read_journal(path: Path) -> Iterator[Transition]:
    """All committed transitions of a journal, which may be in use; nothing is changed or locked.

    Raises `LogError` when it is damaged.
    """
    codec: TransitionCodec | None = None
    with _open(path) as file:
        for offset, payload in _frames(file, path):
            if codec is None:
                codec = TransitionCodec(_parse_spec(path, payload))
            else:
                yield from _decode(path, offset, codec, payload)


def read_spec(path: Path) -> EnvSpec:
    """The spec of a journal's transitions; `LogError` when it is damaged."""
    with _open(path) as file:
        for _, payload in _frames(file, path):
            return _parse_spec(path, payload)
    raise LogError(f"{path} holds nothing, not even a spec: its writer was killed when it began")


def salvage(path: Path, target: Path, spec: EnvSpec) -> Salvaged:
    """Copy all that is readable of a damaged journal into the new journal `target`.

    The transitions of a damaged frame are lost, and their sequence numbers stay missing.
    """
    if target.exists():
        raise LogError(f"{target} exists already; salvage writes a new file")
    codec = TransitionCodec(spec)
    with _open(path) as file:
        data = file.read()
    kept, transitions = [_spec_frame(spec)], 0
    offset = used = 0
    while (offset := data.find(_MARKER, offset)) >= 0:
        payload = _payload_at(data, offset)
        if payload is None:
            offset += 1
            continue
        if payload.startswith(b"{"):
            _check_spec(path, _parse_spec(path, payload), spec)
        else:
            kept.append(_frame(payload))
            transitions += len(_decode(path, offset, codec, payload))
        used += _FRAME.size + len(payload)
        offset += _FRAME.size + len(payload)
    target.write_bytes(b"".join(kept))
    return Salvaged(transitions, len(data) - used)


def _payload_at(data: bytes, offset: int) -> bytes | None:
    head = data[offset : offset + _FRAME.size]
    if len(head) < _FRAME.size or zlib.crc32(head[:12]) != _FRAME.unpack(head)[3]:
        return None
    _, length, checksum, _ = _FRAME.unpack(head)
    payload = data[offset + _FRAME.size : offset + _FRAME.size + length]
    return payload if len(payload) == length and zlib.crc32(payload) == checksum else None


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise LogError(f"{path}: cannot open the journal: {error.strerror}") from None


def _frame(payload: bytes) -> bytes:
    head = _FRAME.pack(_MARKER, len(payload), zlib.crc32(payload), 0)[:12]
    return b"".join((head, struct.pack("<I", zlib.crc32(head)), payload))


def _spec_frame(spec: EnvSpec) -> bytes:
    return _frame(json.dumps(spec.to_json()).encode())


def _sync_directory(path: Path) -> None:
    """Make the name of a new file in `path` survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _frames(file: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """Offset and payload of every complete frame. It ends at an incomplete one and raises at a wrong one."""
    offset = file.seek(0)
    while head := file.read(_FRAME.size):
        if not head.startswith(_MARKER[: len(head)]) and offset == 0:
            raise LogError(f"{path} is not a journal: it starts with {head[:4]!r} instead of {_MARKER!r}")
        if len(head) < _FRAME.size:
            return
        marker, length, checksum, head_checksum = _FRAME.unpack(head)
        if marker != _MARKER or zlib.crc32(head[:12]) != head_checksum:
            if not any(head) and _only_zeros(file):
                return  # A file system may extend the file before the bytes of the last write arrive.
            raise _corrupt(path, offset, "the frame's head is damaged")
        payload = file.read(length)
        if len(payload) < length:
            return
        if zlib.crc32(payload) != checksum:
            raise _corrupt(path, offset, "the checksum does not match")
        yield offset, payload
        offset += _FRAME.size + length


def _only_zeros(file: BinaryIO) -> bool:
    while block := file.read(2**20):
        if any(block):
            return False
    return True


def _decode(path: Path, offset: int, codec: TransitionCodec, payload: bytes) -> list[Transition]:
    try:
        return codec.decode(payload)
    except CodecError as error:
        raise _corrupt(path, offset, str(error)) from None


def _corrupt(path: Path, offset: int, reason: str) -> LogError:
    return LogError(
        f"{path} is corrupt at byte {offset}: {reason}. Keep the file, copy what is readable with "
        "robot_rl.data.journal.salvage(path, target, spec), and go on from the copy."
    )


def _parse_spec(path: Path, payload: bytes) -> EnvSpec:
    try:
        return EnvSpec.from_json(json.loads(payload))
    except (ValueError, KeyError, TypeError, SpecError) as error:
        raise LogError(f"{path}: the first frame does not hold a spec: {error}") from None


def _check_spec(path: Path, theirs: EnvSpec, ours: EnvSpec) -> None:
    try:
        ours.check_same(theirs, "this task", str(path))
    except SpecError as error:
        raise LogError(f"{error}. Use another run directory for another task.") from None
