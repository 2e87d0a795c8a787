"""Tables of contents: the variables that can be logged, and the parameters, as clients download them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Number = int | float

LOG_TYPES = {1: "B", 2: "H", 3: "I", 4: "b", 5: "h", 6: "i", 7: "f", 8: "e"}
"""Type of a logged value on the wire: its `struct` letter."""
PARAMETER_TYPES = {8: "B", 9: "H", 10: "I", 0: "b", 1: "h", 2: "i", 6: "f"}
"""The same for parameters, where the numbers are others."""
READ_ONLY = 0x40
"""Bit of a parameter's type that forbids to write it."""

_INFO, _ITEM = 3, 2


@dataclass(frozen=True)
class Variable:
    """Something that can be logged."""

    name: str
    """GROUP.NAME."""
    letter: str
    """Its type, a `struct` letter."""
    read: Callable[[], Number]
    """Its value now."""


@dataclass
class Parameter:
    """Something that can be set."""

    name: str
    """GROUP.NAME."""
    letter: str
    """Its type, a `struct` letter."""
    value: Number
    default: Number = 0
    read_only: bool = False
    on_write: Callable[[Number], None] | None = None
    """Called with a value that a client has written."""

    def __post_init__(self) -> None:
        self.default = self.value

    def pack(self, value: Number | None = None) -> bytes:
        """The value on the wire."""
        return pack(self.letter, self.value if value is None else value)

    def write(self, data: bytes) -> bool:
        """Take a value from the wire; whether that is allowed."""
        if self.read_only or len(data) != struct.calcsize("<" + self.letter):
            return False
        self.value = struct.unpack("<" + self.letter, data)[0]
        if self.on_write is not None:
            self.on_write(self.value)
        return True


def pack(letter: str, value: Number) -> bytes:
    """A number on the wire; integers are rounded and stop at the ends of their range."""
    if letter in "fe":
        return struct.pack("<" + letter, value)
    bits = 8 * struct.calcsize("<" + letter)
    low, high = (0, 2**bits - 1) if letter.isupper() else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return struct.pack("<" + letter, min(max(round(value), low), high))


def table_answer(request: bytes, rows: Sequence[tuple[int, str]], limits: bytes = b"") -> bytes | None:
    """The answer to a request on a port's table channel.

    Args:
        request: Data of the packet.
        rows: Type byte and GROUP.NAME of each entry.
        limits: What follows the checksum in the answer about the whole table.
    """
    if request[:1] == bytes([_INFO]):
        # The client keeps tables by their checksum, so two tables must never share one.
        text = repr(rows) + ("log" if limits else "param")
        return struct.pack("<BHI", _INFO, len(rows), zlib.crc32(text.encode())) + limits
    if len(request) == 3 and request[0] == _ITEM:
        index = struct.unpack_from("<H", request, 1)[0]
        if index >= len(rows):
            return request[:1]
        kind, name = rows[index]
        return request + bytes([kind]) + name.replace(".", "\0").encode() + b"\0"
    return None
