"""The ports that serve data: logging, parameters, memories."""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from drivers.emulators.crazyflie.tables import (
    LOG_TYPES,
    PARAMETER_TYPES,
    READ_ONLY,
    Parameter,
    Variable,
    pack,
    table_answer,
)

OK = 0
MAX_BLOCKS = 16
MAX_VARIABLES = 128
MAX_BLOCK_SIZE = 26
"""Bytes of values that a log packet holds."""


@dataclass
class _Block:
    variables: list[tuple[Variable, str]]
    """With the type in which each is sent, a `struct` letter."""
    period: int = 0
    """[ms]; 0 while it is stopped."""
    due: int = 0
    """When it is sent next [ms]."""

    @property
    def size(self) -> int:
        return sum(struct.calcsize("<" + letter) for _, letter in self.variables)


class LogService:
    """Port 5: blocks of variables that are sent periodically."""

    TABLE, CONTROL, DATA = range(3)
    CREATE, APPEND, DELETE, START, STOP, RESET = 6, 7, 2, 3, 4, 5

    def __init__(self, variables: Sequence[Variable]) -> None:
        self.variables = list(variables)
        codes = {letter: code for code, letter in LOG_TYPES.items()}
        self._rows = [(codes[v.letter], v.name) for v in self.variables]
        self._blocks: dict[int, _Block] = {}

    def handle(self, channel: int, data: bytes, now_ms: int) -> bytes | None:
        """The answer to a packet, None for none."""
        if channel == self.TABLE:
            return table_answer(data, self._rows, bytes([MAX_BLOCKS, MAX_VARIABLES]))
        if channel != self.CONTROL or not data:
            return None
        if data[0] == self.RESET:
            self._blocks.clear()
            return bytes([self.RESET, 0, OK])
        if len(data) < 2:
            return None
        return bytes([data[0], data[1], self._control(data[0], data[1], data[2:], now_ms)])

    def _control(self, command: int, number: int, rest: bytes, now_ms: int) -> int:
        if command == self.CREATE:
            if number in self._blocks:
                return errno.EEXIST
            if len(self._blocks) >= MAX_BLOCKS:
                return errno.ENOMEM
            self._blocks[number] = _Block([])
            status = self._append(number, rest)
            if status != OK:
                del self._blocks[number]
            return status
        if number not in self._blocks:
            return errno.ENOENT
        block = self._blocks[number]
        if command == self.APPEND:
            return self._append(number, rest)
        if command == self.DELETE:
            del self._blocks[number]
        elif command == self.START and rest:
            block.period, block.due = 10 * rest[0], now_ms
        elif command == self.STOP:
            block.period = 0
        else:
            return errno.ENOEXEC
        return OK

    def _append(self, number: int, rest: bytes) -> int:
        block = self._blocks[number]
        added: list[tuple[Variable, str]] = []
        for kind, index in struct.iter_unpack("<BH", rest[: len(rest) // 3 * 3]):
            if index >= len(self.variables) or kind & 0xF not in LOG_TYPES:
                return errno.ENOENT
            added.append((self.variables[index], LOG_TYPES[kind & 0xF]))
        if sum(len(b.variables) for b in self._blocks.values()) + len(added) > MAX_VARIABLES:
            return errno.ENOMEM
        if _Block(block.variables + added).size > MAX_BLOCK_SIZE:
            return errno.E2BIG
        block.variables += added
        return OK

    def due(self, now_ms: int) -> list[bytes]:
        """The packets of the blocks whose time has come."""
        packets = []
        for number, block in self._blocks.items():
            if block.period and now_ms >= block.due:
                block.due = max(block.due + block.period, now_ms)
                values = b"".join(pack(letter, variable.read()) for variable, letter in block.variables)
                packets.append(bytes([number]) + (now_ms & 0xFFFFFF).to_bytes(3, "little") + values)
        return packets


class ParameterService:
    """Port 2."""

    TABLE, READ, WRITE, MISC = range(4)
    SET_BY_NAME, DEFAULT_VALUE = 0, 8

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = list(parameters)
        codes = {letter: code for code, letter in PARAMETER_TYPES.items()}
        self._rows = [(codes[p.letter] | READ_ONLY * p.read_only, p.name) for p in self.parameters]
        self._by_name = {p.name: p for p in self.parameters}

    def __getitem__(self, name: str) -> Parameter:
        return self._by_name[name]

    def handle(self, channel: int, data: bytes) -> bytes | None:
        """The answer to a packet, None for none."""
        if channel == self.TABLE:
            return table_answer(data, self._rows)
        if channel == self.MISC:
            return self._misc(data)
        if len(data) < 2:
            return None
        (index,) = struct.unpack_from("<H", data)
        if index >= len(self.parameters):
            return data[:2] + bytes([errno.ENOENT])
        parameter = self.parameters[index]
        if channel == self.READ:
            return data[:2] + bytes([OK]) + parameter.pack()
        parameter.write(data[2:])
        return data[:2] + parameter.pack()

    def _misc(self, data: bytes) -> bytes | None:
        if not data:
            return None
        if data[0] == self.SET_BY_NAME:
            names = data[1:].split(b"\0", 2)
            if len(names) < 3:
                return None
            parameter = self._by_name.get(b".".join(names[:2]).decode(errors="replace"))
            granted = parameter is not None and parameter.write(names[2][1:])
            return data[: len(data) - len(names[2])] + bytes([OK if granted else errno.ENOENT])
        if len(data) < 3:
            return None
        (index,) = struct.unpack_from("<H", data, 1)
        if data[0] == self.DEFAULT_VALUE and index < len(self.parameters):
            parameter = self.parameters[index]
            return data[:3] + bytes([OK]) + parameter.pack(parameter.default)
        return data[:3] + bytes([errno.ENOENT])


class MemoryService:
    """Port 4, with one memory: that of uploaded paths."""

    INFO, READ, WRITE = range(3)
    COUNT, DETAILS = 1, 2
    TRAJECTORY = 0x12

    def __init__(self, memory: bytearray) -> None:
        self.memory = memory

    def handle(self, channel: int, data: bytes) -> bytes | None:
        """The answer to a packet, None for none."""
        if channel == self.INFO:
            if data[:1] == bytes([self.COUNT]):
                return bytes([self.COUNT, 1])
            if data[:2] == bytes([self.DETAILS, 0]):
                return struct.pack("<BBBI8x", self.DETAILS, 0, self.TRAJECTORY, len(self.memory))
            return data[:2]
        if len(data) < 6:
            return None
        number, address = struct.unpack_from("<BI", data)
        length = data[5] if channel == self.READ else len(data) - 5
        if number != 0 or address + length > len(self.memory):
            return data[:5] + bytes([errno.EIO])
        if channel == self.READ:
            return data[:5] + bytes([OK]) + bytes(self.memory[address : address + length])
        self.memory[address : address + length] = data[5:]
        return data[:5] + bytes([OK])
