"""Runs the flight program and talks to it as its sensors would.

It is a process of this host, or the image for a Cortex-M4 under QEMU; both read ticks and write actions
through pipes, so that a simulated vehicle can be flown by the very code that will fly the real one.
"""

from __future__ import annotations

import enum
import os
import select
import struct
import subprocess
from types import TracebackType
from typing import IO

import numpy as np

from policies.firmware import Image
from robot_rl.core.errors import PolicyError

PATIENCE = 30.0
"""Longest wait for an answer [s]."""
REPLY = struct.Struct("<I4f")
"""`reply` of firmware/src/main.c."""


class Status(enum.IntEnum):
    """`flight_status` of firmware/include/flight.h."""

    DISARMED = 0
    FLYING = 1
    SELF_TEST_FAILED = 2
    BAD_STATE = 3
    STALE_STATE = 4
    SILENCE = 5
    BAD_REFERENCE = 6
    BAD_ACTION = 7


class FlightProcess:
    """A running flight program: booted, self-tested, armed.

    Raises:
        PolicyError: The self-test failed, or the program ended or fell silent.
        MissingDependencyError: The image is for a microcontroller, and there is no QEMU.
    """

    def __init__(self, image: Image) -> None:
        self._tick = struct.Struct(f"<3I{13 + 6 + image.preview}f")
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(image.command(), bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._in, self._out, self._said = self._process.stdin, self._process.stdout, self._process.stderr
        self.report: dict[str, int] = {}
        """What the self-test found and measured; instructions are 0 where they cannot be counted."""
        text = ""
        while "tick_bytes" not in self.report:
            part = self._read(self._said, 1000).decode(errors="replace")
            text += part
            if not part:
                raise self._failure("the firmware did not boot", text)
            for line in text.splitlines(keepends=True):
                name, _, value = line.partition(" ")
                if value.endswith("\n") and value.strip().isdigit():
                    self.report[name] = int(value)
        if (size := self.report["tick_bytes"]) != self._tick.size:
            raise self._failure(
                "", f"the firmware reads {size} bytes a tick, this policy's {self._tick.size}"
            )

    def step(
        self,
        now_us: int,
        state: np.ndarray,
        reference: np.ndarray,
        state_us: int | None = None,
        command_us: int | None = None,
    ) -> tuple[Status, np.ndarray]:
        """One tick.

        Args:
            now_us: Time [us], modulo 2^32.
            state: (13,) position, attitude xyzw, velocity, rates.
            reference: (6 + previews,) position, velocity, preview.
            state_us: When the state was measured; now by default.
            command_us: When somebody last commanded; now by default.

        Returns:
            How it is, and the action (4,) float32.
        """
        given = (
            now_us,
            now_us if state_us is None else state_us,
            now_us if command_us is None else command_us,
        )
        stamps = (stamp % 2**32 for stamp in given)
        if (numbers := state.size + reference.size) != (asked := self._tick.size // 4 - 3):
            raise PolicyError(
                f"a tick takes a state of 13 numbers and a reference of {asked - 13}; it got {numbers} in all"
            )
        answer = b""
        try:
            self._in.write(self._tick.pack(*stamps, *state.tolist(), *reference.tolist()))
            while len(answer) < REPLY.size:
                if not (part := self._read(self._out, REPLY.size - len(answer))):
                    raise BrokenPipeError
                answer += part
        except BrokenPipeError:
            text = self._said.read().decode(errors="replace")
            raise self._failure("the firmware ended in flight", text) from None
        status, *action = REPLY.unpack(answer)
        return Status(status), np.array(action, np.float32)

    def close(self) -> int:
        """End the program; its exit status, 0 when it ended by itself as it should."""
        self._in.close()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._out.close()
            self._said.close()

    def _read(self, stream: IO[bytes], size: int) -> bytes:
        """At most so many bytes, none at the end."""
        if not select.select([stream], [], [], PATIENCE)[0]:
            raise self._failure(f"the firmware was silent for {PATIENCE:g} s", "")
        return os.read(stream.fileno(), size)

    def _failure(self, what: str, said: str) -> PolicyError:
        """The error to raise, with the process ended."""
        self._process.kill()
        self.close()
        return PolicyError(
            ": ".join(text for text in (what, "; ".join(said.split("\n")).strip("; ")) if text)
        )

    def __enter__(self) -> FlightProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
