"""Builds the flight program of `firmware/` around a policy, starts it, and talks to it as its sensors would.

It runs as a process of this host, or as the image for a Cortex-M4 under QEMU; both read ticks and write
actions through pipes, so that a simulated vehicle can be flown by the very code that will fly the real one.
"""

from __future__ import annotations

import enum
import os
import select
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from policies.bundle import Bundle
from policies.export_c import export_c
from robot_rl.core.errors import MissingDependencyError, PolicyError, nearest

FOLDER = Path(__file__).resolve().parents[1] / "firmware"
HOST, SANITIZED, CORTEX_M4 = "host", "sanitized", "cortex-m4"
TARGETS = (HOST, SANITIZED, CORTEX_M4)
"""This machine, this machine with sanitizers, or an STM32F405 as on the Crazyflie."""

PACKAGES = "apt-get install cmake gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"
PATIENCE = 30.0
"""Longest wait for an answer [s]."""
MESSAGE = 2000
"""Characters of a compiler's complaint that an error carries."""
REPLY = struct.Struct("<I4f")


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


@dataclass(frozen=True)
class Image:
    """A program that was built."""

    path: Path
    target: str
    preview: int
    """Numbers of the reference's preview that a tick carries."""

    def command(self) -> list[str]:
        """What starts it.

        Raises:
            MissingDependencyError: It is for a microcontroller, and there is no QEMU.
        """
        if self.target != CORTEX_M4:
            return [str(self.path)]
        # 8 ns of the emulated clock for each instruction: that is how the image counts them.
        return [
            *(_tool("qemu-system-arm"), "-machine", "netduinoplus2", "-kernel", str(self.path)),
            *("-display", "none", "-monitor", "none", "-serial", "none"),
            *("-semihosting-config", "enable=on,target=native", "-icount", "shift=3"),
        ]

    def memory(self) -> dict[str, int]:
        """Bytes of flash and of static RAM of an image for a microcontroller."""
        out = _run([_tool("arm-none-eabi-size"), str(self.path)]).splitlines()[1].split()
        text, data, bss = map(int, out[:3])
        return {"flash": text + data, "ram": data + bss}


def build(
    bundle: Bundle, directory: Path, target: str = HOST, weights: str = "float32", tick_us: int = 2000
) -> Image:
    """Export a policy and compile the flight program with it.

    Args:
        bundle: A flight policy.
        directory: For the header and the build; made where it is missing.
        target: One of `TARGETS`.
        weights: Format of the weights, see `policies.quantise`.
        tick_us: Time between two actions [us].

    Raises:
        MissingDependencyError: A compiler or CMake is missing.
        PolicyError: The policy cannot be exported, or is not one that the firmware can fly.
    """
    export_c(bundle, directory / "policy.h", weights)
    preview = bundle.spec.observation.arrays.get("preview")
    path = build_header(directory, directory / target, target, tick_us)
    return Image(path, target, preview.size if preview else 0)


def build_header(header: Path, directory: Path, target: str = HOST, tick_us: int = 2000) -> Path:
    """Compile the flight program with the `policy.h` in the folder `header`; see `build`."""
    if target not in TARGETS:
        raise PolicyError(f"firmware target {target!r}: {nearest(target, TARGETS)}")
    if not FOLDER.is_dir():
        raise PolicyError(f"no firmware here ({FOLDER}): it comes with the source tree, not with the wheel")
    configure = [_tool("cmake"), "-S", str(FOLDER), "-B", str(directory)]
    configure += [f"-DPOLICY={header}", f"-DTICK_US={tick_us}"]
    if target == CORTEX_M4:
        _tool("arm-none-eabi-gcc")
        configure.append(f"-DCMAKE_TOOLCHAIN_FILE={FOLDER / 'cmake' / 'cortex-m4.cmake'}")
    elif target == SANITIZED:
        configure.append("-DSANITIZE=ON")
    _run(configure)
    _run([_tool("cmake"), "--build", str(directory)])
    return directory / ("fly.elf" if target == CORTEX_M4 else "fly")


class FlightProcess:
    """A running flight program: booted, self-tested, armed.

    Raises:
        PolicyError: The self-test failed, or the program ended or fell silent.
    """

    def __init__(self, image: Image) -> None:
        self._tick = struct.Struct(f"<3I{13 + 6 + image.preview}f")
        self._process = subprocess.Popen(
            image.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._in, self._out, self._said = self._process.stdin, self._process.stdout, self._process.stderr
        self.report: dict[str, int] = {}
        """What the self-test found and measured; instructions are 0 where they cannot be counted."""
        try:
            self._boot()
        except PolicyError:
            self.close()
            raise

    def _boot(self) -> None:
        text = []
        while "tick_bytes" not in self.report:
            if not (line := self._said.readline().decode(errors="replace").strip()):
                raise PolicyError("the firmware did not boot: " + ("; ".join(text) or "it said nothing"))
            text.append(line)
            name, _, value = line.partition(" ")
            if value.isdigit():
                self.report[name] = int(value)
        if (size := self.report["tick_bytes"]) != self._tick.size:
            raise PolicyError(f"the firmware reads {size} bytes a tick; this policy's has {self._tick.size}")

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
        stamps = (
            now_us,
            now_us if state_us is None else state_us,
            now_us if command_us is None else command_us,
        )
        self._in.write(self._tick.pack(*(s % 2**32 for s in stamps), *state.tolist(), *reference.tolist()))
        self._in.flush()
        answer = b""
        while len(answer) < REPLY.size:
            if not select.select([self._out], [], [], PATIENCE)[0]:
                raise PolicyError(f"the firmware did not answer for {PATIENCE:g} s")
            if not (part := os.read(self._out.fileno(), REPLY.size - len(answer))):
                raise PolicyError(
                    "the firmware ended in flight: " + self._said.read().decode(errors="replace")
                )
            answer += part
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

    def __enter__(self) -> FlightProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _tool(name: str) -> str:
    if (path := shutil.which(name)) is None:
        raise MissingDependencyError(name, "the firmware", PACKAGES)
    return path


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip()
        raise PolicyError(f"{Path(command[0]).name} failed:\n{said[:MESSAGE]}")
    return done.stdout
