"""Builds the programs of `firmware/` around a policy: for this host, or for a Cortex-M4.

`build` makes the one that flies, which `policies.flight_process` runs; `build_rows` one for any policy, which
`actions` runs over observations.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from policies.bundle import Bundle
from policies.dense import dense_layers, run, sample_vectors
from policies.export_c import SAMPLES, export_c
from robot_rl.core.errors import MissingDependencyError, PolicyError, nearest

FOLDER = Path(__file__).resolve().parents[1] / "firmware"
HOST, SANITIZED, CORTEX_M4 = "host", "sanitized", "cortex-m4"
TARGETS = (HOST, SANITIZED, CORTEX_M4)
"""This machine, this machine with sanitizers, or an STM32F405 as on the Crazyflie."""

COMPILERS = {HOST: ("cmake", "cc"), SANITIZED: ("cmake", "cc"), CORTEX_M4: ("cmake", "arm-none-eabi-gcc")}
"""Programs that building for a target needs."""
EMULATOR = "qemu-system-arm"
PACKAGES = {
    "cmake": "cmake make",
    "cc": "gcc libc6-dev",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "arm-none-eabi-size": "binutils-arm-none-eabi",
    EMULATOR: "qemu-system-arm",
}
"""Debian packages that hold them."""
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
            *(_tool(EMULATOR), "-machine", "netduinoplus2", "-kernel", str(self.path)),
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


def build_rows(bundle: Bundle, directory: Path, target: str = HOST, weights: str = "float32") -> Image:
    """Export any policy and compile the program that `actions` runs; see `build`."""
    export_c(bundle, directory / "policy.h", weights)
    return Image(build_header(directory, directory / target, target, program="rows"), target, 0)


def actions(image: Image, observations: np.ndarray, outputs: int) -> np.ndarray:
    """(n, outputs) float32 of the compiled policy, for packed observations (n, inputs) in their units."""
    given = np.ascontiguousarray(observations, "<f4").tobytes()
    done = subprocess.run(image.command(), input=given, capture_output=True, check=False)
    found = np.frombuffer(done.stdout, "<f4") if done.returncode == 0 else np.zeros(0)
    if len(found) != len(observations) * outputs:
        said = done.stderr.decode(errors="replace").strip()
        raise PolicyError(f"{image.path} gave {len(found)} numbers and status {done.returncode}: {said}")
    return found.reshape(-1, outputs).astype(np.float32)


def error_of(bundle: Bundle, directory: Path, target: str = HOST) -> float:
    """Largest difference of the compiled policy's actions from NumPy's, over `SAMPLES` observations."""
    layers, scale = dense_layers(bundle), bundle.spec.observation.vector_scale
    observations = sample_vectors(bundle.spec, SAMPLES)
    found = actions(build_rows(bundle, directory, target), observations, bundle.spec.action.size)
    return float(np.abs(found - run(layers, observations / scale)).max())


def missing_tools(targets: Sequence[str]) -> list[str]:
    """Programs that are missing to build for these targets and to run what was built."""
    needed = [name for target in targets for name in COMPILERS[target]]
    needed += [EMULATOR] if CORTEX_M4 in targets else []
    return [name for name in dict.fromkeys(needed) if shutil.which(name) is None]


def install_hint(tools: Sequence[str]) -> str:
    """The command that installs them on Debian and Ubuntu."""
    return "apt-get install " + " ".join(PACKAGES[name] for name in tools)


def build_header(
    header: Path, directory: Path, target: str = HOST, tick_us: int = 2000, program: str = "fly"
) -> Path:
    """Compile a program with the `policy.h` in the folder `header`; see `build`."""
    if target not in TARGETS:
        raise PolicyError(f"firmware target {target!r}: {nearest(target, TARGETS)}")
    if not FOLDER.is_dir():
        raise PolicyError(f"no firmware here ({FOLDER}): it comes with the source tree, not with the wheel")
    for name in COMPILERS[target]:
        _tool(name)
    configure = ["cmake", "-S", str(FOLDER), "-B", str(directory)]
    configure += [f"-DPOLICY={header}", f"-DTICK_US={tick_us}"]
    if target == CORTEX_M4:
        configure.append(f"-DCMAKE_TOOLCHAIN_FILE={FOLDER / 'cmake' / 'cortex-m4.cmake'}")
    elif target == SANITIZED:
        configure.append("-DSANITIZE=ON")
    _run(configure)
    _run(["cmake", "--build", str(directory), "--target", program])
    return directory / (f"{program}.elf" if target == CORTEX_M4 else program)


def _tool(name: str) -> str:
    if (path := shutil.which(name)) is None:
        raise MissingDependencyError(name, "the firmware", install_hint([name]))
    return path


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip()
        raise PolicyError(f"{Path(command[0]).name} failed:\n{said[:MESSAGE]}")
    return done.stdout
