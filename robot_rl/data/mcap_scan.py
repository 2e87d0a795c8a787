"""Reads the records of an MCAP file, whole or cut off, and tells truncation from corruption.

A writer that was killed leaves a file without its end: every record before the cut is good, and the last
one may be incomplete. Anything else that does not fit is corruption. A complete file has a checksum over its
data, one over its summary and one in every chunk; all are checked, so that no damaged byte is read.

Format: https://mcap.dev/spec, version 0. Record: opcode u8, length u64, body.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, TypeVar

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Metadata, Schema
from mcap.stream_reader import get_chunk_data_stream
from zstandard import ZstdError

from robot_rl.core.errors import LogError

MAGIC = b"\x89MCAP0\r\n"
_HEAD = struct.Struct("<BQ")
_FOOTER = struct.Struct("<BQQQI")
_MESSAGE = struct.Struct("<HIQQ")
_PARSE_ERRORS = (McapError, ZstdError, struct.error, ValueError, RuntimeError, MemoryError)
"""All that the parsers of the mcap package and of its compressors raise for bytes that make no sense."""


_Parsed = TypeVar("_Parsed", Schema, Channel, Chunk, Metadata)


class RawMessage(NamedTuple):
    """One message as it lies in the file."""

    topic: str
    msgtype: str
    stamp: int
    """Log time [ns]."""
    data: bytes
    """CDR."""


class Record(NamedTuple):
    """One top-level record."""

    offset: int
    opcode: int
    body: memoryview


class McapScan:
    """An MCAP file, open for reading in the order it was written."""

    def __init__(self, path: Path) -> None:
        """Open the file and check its ends and, when it is complete, its checksums."""
        self.path = path
        try:
            with path.open("rb") as file:
                # The map lives as long as something looks into it; an empty file cannot be mapped.
                size = file.seek(0, 2)
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        except OSError as error:
            raise LogError(f"{path}: cannot open the log: {error.strerror}") from None
        self._data = memoryview(data)
        self.good_bytes = 0
        """Bytes up to the end of the last complete record; all of them when the file is complete."""
        self.complete = False
        """False when its writer was killed before it closed the file."""
        self._check_ends()

    def messages(self) -> Iterator[RawMessage]:
        """All messages of the complete chunks."""
        schemas: dict[int, Schema] = {}
        channels: dict[int, tuple[str, str]] = {}
        for offset, opcode, body in self._flat_records():
            if opcode == Opcode.MESSAGE:
                channel_id, _, log_time, _ = self._unpack(_MESSAGE, body, offset)
                if channel_id not in channels:
                    raise self._corrupt(offset, f"a message of channel {channel_id}, which was not declared")
                yield RawMessage(*channels[channel_id], log_time, bytes(body[_MESSAGE.size :]))
            elif opcode == Opcode.SCHEMA:
                schema = self._parse(Schema, body, offset)
                schemas[schema.id] = schema
            elif opcode == Opcode.CHANNEL:
                channel = self._parse(Channel, body, offset)
                if channel.message_encoding != "cdr" or channel.schema_id not in schemas:
                    raise LogError(
                        f"{self.path}: topic {channel.topic!r} is encoded as {channel.message_encoding!r}, "
                        "expected 'cdr' with a schema"
                    )
                channels[channel.id] = (channel.topic, schemas[channel.schema_id].name)

    def metadata(self) -> dict[str, dict[str, str]]:
        """The metadata records by name; a later one of the same name replaces the earlier."""
        found = (r for r in self._records() if r.opcode == Opcode.METADATA)
        parsed = [self._parse(Metadata, record.body, record.offset) for record in found]
        return {record.name: record.metadata for record in parsed}

    def _check_ends(self) -> None:
        data = self._data
        start = bytes(data[: len(MAGIC)])
        if start != MAGIC[: len(start)]:
            raise LogError(f"{self.path} is not an MCAP file: it starts with {start!r}, not {MAGIC!r}")
        footer_at = len(data) - len(MAGIC) - _FOOTER.size
        summary_start = summary_crc = 0
        if footer_at >= len(MAGIC) and data[-len(MAGIC) :] == MAGIC:
            opcode, length, summary_start, _, summary_crc = _FOOTER.unpack_from(data, footer_at)
            self.complete = opcode == Opcode.FOOTER and length == _FOOTER.size - _HEAD.size
        self.good_bytes = len(MAGIC) if len(data) >= len(MAGIC) else 0
        end_at, data_crc = None, 0
        for offset, opcode, body in self._records():
            self.good_bytes = offset + _HEAD.size + len(body)
            if opcode == Opcode.DATA_END:
                end_at = offset
                data_crc = self._unpack(struct.Struct("<I"), body, offset)[0]
        if not self.complete:
            return
        if end_at is None:
            raise self._corrupt(footer_at, "the data section has no end")
        if data_crc and zlib.crc32(data[:end_at]) != data_crc:
            raise self._corrupt(end_at, "the checksum of the data section does not match")
        if summary_crc and zlib.crc32(data[summary_start : footer_at + _FOOTER.size - 4]) != summary_crc:
            raise self._corrupt(summary_start, "the checksum of the summary does not match")
        self.good_bytes = len(data)

    def _records(self) -> Iterator[Record]:
        """Top-level records up to the end of the data section, or up to the cut."""
        offset = len(MAGIC)
        while offset + _HEAD.size <= len(self._data):
            opcode, length = _HEAD.unpack_from(self._data, offset)
            if opcode == 0:
                if any(self._data[offset:]):
                    raise self._corrupt(offset, "a record without an opcode")
                return  # A file system may extend the file before the bytes of the last write arrive.
            start = offset + _HEAD.size
            if start + length > len(self._data):
                if self.complete:
                    raise self._corrupt(offset, f"a record of {length} bytes leads out of the file")
                return
            yield Record(offset, opcode, self._data[start : start + length])
            if opcode == Opcode.DATA_END:
                return
            offset = start + length

    def _flat_records(self) -> Iterator[Record]:
        """Schemas, channels and messages, those inside chunks with the offset of their chunk."""
        for record in self._records():
            if record.opcode != Opcode.CHUNK:
                yield record
                continue
            chunk = self._parse(Chunk, record.body, record.offset)
            try:
                stream, size = get_chunk_data_stream(chunk, validate_crc=True)
                inner = memoryview(stream.read(size))
            except _PARSE_ERRORS as error:
                raise self._corrupt(record.offset, f"a damaged chunk: {error}") from None
            offset = 0
            while offset < len(inner):
                opcode, length = self._unpack(_HEAD, inner[offset:], record.offset)
                start = offset + _HEAD.size
                offset = start + length
                yield Record(record.offset, opcode, inner[start:offset])

    def _parse(self, kind: type[_Parsed], body: memoryview, offset: int) -> _Parsed:
        try:
            return kind.read(ReadDataStream(BytesIO(body)))
        except _PARSE_ERRORS as error:
            raise self._corrupt(offset, f"a damaged {kind.__name__.lower()} record: {error}") from None

    def _unpack(self, layout: struct.Struct, body: memoryview, offset: int) -> tuple:
        if len(body) < layout.size:
            raise self._corrupt(offset, f"a record of {len(body)} bytes, expected {layout.size} or more")
        return layout.unpack_from(body)

    def _corrupt(self, offset: int, reason: str) -> LogError:
        return LogError(f"{self.path} is corrupt at byte {offset}: {reason}")
