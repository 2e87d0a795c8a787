"""The same step in C99, for CPU throughput: built with the system's compiler at first use.

`stepper.c` holds the one definition; the compiler makes vector instructions of it for the machine at hand.
The library is kept in the user's cache, under a name that changes with source, options, compiler and
processor.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from robot_rl.core.errors import MissingDependencyError, RobotRlError, SpecError
from sim.quadrotor.parameters import QuadrotorParameters
from sim.quadrotor.settings import PERIOD

SOURCE = Path(__file__).with_name("stepper.c")

# No -ffast-math: NaN must stay NaN, and it is slower here.
OPTIONS = (
    *("-std=c99", "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
    *("-fPIC", "-shared", "-Wall", "-Wextra"),
)

STATE_ROWS = 17
"""Position 3, attitude xyzw 4, velocity 3, body rates 3, rotor speeds 4: the leaves of `dynamics.State`."""

WRENCH_ROWS = 6
"""Force in the world 3 [N], torque in the body 3 [Nm]: the leaves of `dynamics.Wrench`."""


class _Model(ctypes.Structure):
    """`model_t` of stepper.c."""

    _fields_ = tuple(
        (name, ctypes.c_float)
        for name in (
            *("x0", "x1", "x2", "x3", "y0", "y1", "y2", "y3", "spin0", "spin1", "spin2", "spin3"),
            *("c0", "c1", "c2", "jx", "jy", "jz", "per_mass", "per_jx", "per_jy", "per_jz"),
            *("up", "down", "gravity", "period"),
        )
    )


class NativeStepper:
    """Flies many drones of one kind on one core.

    Args:
        parameters: Of the drones.
        period: Time step [s].

    Raises:
        MissingDependencyError: There is no C compiler.
        ConfigError: The time step is too long for the rotors.
    """

    def __init__(self, parameters: QuadrotorParameters, period: float = PERIOD) -> None:
        p = parameters
        p.check_step(period)
        self._library = library()
        self._model = _Model(
            *p.rotor_x,
            *p.rotor_y,
            *(sign * p.torque_per_thrust for sign in p.spin),
            *p.thrust,
            *p.inertia,
            1.0 / p.mass,
            *(1.0 / j for j in p.inertia),
            1.0 / p.spin_up_time,
            1.0 / p.spin_down_time,
            p.gravity,
            period,
        )

    def advance(self, state: np.ndarray, actions: np.ndarray, wrench: np.ndarray | None = None) -> None:
        """Fly through a sequence of actions.

        Args:
            state: (17, n) float32, changed in place.
            actions: (steps, 4, n) float32 in [-1, 1]; what is outside is clipped.
            wrench: (6, n) float32, held all the time; None for still air.

        Raises:
            SpecError: An array has another shape or dtype, or is not contiguous.
        """
        n = state.shape[-1]
        _check("state", state, (STATE_ROWS, n))
        _check("actions", actions, (len(actions), 4, n))
        if wrench is not None:
            _check("wrench", wrench, (WRENCH_ROWS, n))
        if not state.flags.writeable:
            raise SpecError("state is read-only, and would be changed in place; give a copy")
        self._library.quadrotor_advance(
            ctypes.byref(self._model),
            state.ctypes.data,
            actions.ctypes.data,
            None if wrench is None else wrench.ctypes.data,
            n,
            len(actions),
        )


@functools.cache
def library() -> ctypes.CDLL:
    """The compiled stepper.

    Raises:
        MissingDependencyError: There is no C compiler.
    """
    built = ctypes.CDLL(str(build(SOURCE)))
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    built.quadrotor_advance.argtypes = [pointer, pointer, pointer, pointer, size, size]
    built.quadrotor_advance.restype = None
    return built


def build(source: Path, directory: Path | None = None) -> Path:
    """Compile a C file into a shared library, unless that was done before.

    Args:
        source: One C99 file.
        directory: Where libraries are kept; by default `robot_rl/native` in the user's cache.

    Raises:
        MissingDependencyError: There is no C compiler.
        RobotRlError: It does not compile.
    """
    compiler = _compiler()
    # Those that vectorise best with registers of 512 bits have to be told; others do not know the option.
    wide = ("-mprefer-vector-width=512",) if "avx512f" in _processor() else ()
    command = [*compiler, *OPTIONS, *wide]
    version = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=False).stdout
    parts = (source.read_text(), *command, version, _processor())
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    folder = directory or _cache()
    target = folder / f"{source.stem}-{digest}.so"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    # Under another name first: two processes may build at once.
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        fresh = Path(scratch) / target.name
        done = subprocess.run(
            [*command, str(source), "-o", str(fresh), "-lm"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RobotRlError(f"{shlex.join(command)} cannot compile {source}:\n{done.stderr.strip()}")
        fresh.replace(target)
    return target


def _compiler() -> list[str]:
    named = os.environ.get("CC")
    if named:
        words = shlex.split(named)
        if shutil.which(words[0]):
            return words
        raise MissingDependencyError(
            f"the C compiler that CC names, {named!r},", "the C simulator", "unset CC"
        )
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    raise MissingDependencyError("a C compiler", "the C simulator", "apt-get install gcc")


@functools.cache
def _processor() -> str:
    """What `-march=native` depends on."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    return f"{platform.machine()} {platform.processor()}"


def _cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "robot_rl" / "native"


def _check(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape or array.dtype != np.float32 or not array.flags.c_contiguous:
        raise SpecError(
            f"{name}: {array.dtype} {array.shape}, expected contiguous float32 {shape}: "
            f"use numpy.ascontiguousarray(..., numpy.float32)"
        )
