"""Builds the flight program of `firmware/` around a policy: for this host, or for a Cortex-M4.

`policies.flight_process` runs what is built here.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from policies.bundle import Bundle
from policies.export_c import export_c
from robot_rl.core.errors import MissingDependencyError, PolicyError, nearest

FOLDER = Path(__file__).resolve().parents[1] / "firmware"
HOST, SANITIZED, CORTEX_M4 = "host", "sanitized", "cortex-m4"
TARGETS = (HOST, SANITIZED, CORTEX_M4)
"""This machine, this machine with sanitizers, or an STM32F405 as on the Crazyflie."""

PACKAGES = "apt-get install cmake gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"
MESSAGE = 2000
"""Characters of a compiler's complaint that an error carries."""


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
