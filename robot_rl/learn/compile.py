"""How programs are compiled: one thread, counted traces, and a cache on disk.

Each program gets its XLA options through `compiler_options`, because an unknown entry in `XLA_FLAGS` aborts
the whole process. A CPU program uses one thread: the robot's stack shares the cores, and products of this
size gain nothing from a second one.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata

from sim.xla import Options, known_options

CPU_OPTIONS: Options = {
    "xla_cpu_multi_thread_eigen": False,
    # Without the fusions of the YNNPACK library, which are slower for this mix of products and sums.
    "xla_cpu_experimental_ynn_fusion_type": "",
    "xla_cpu_prefer_vector_width": "512",
}
"""What makes the update program fastest; `benchmarks/learner.py` measures it."""


def use_one_thread() -> None:
    """Give XLA's CPU client one thread. Takes effect before this process uses JAX for the first time.

    With more, XLA splits the loops between products of this size over threads that mostly wait: the same
    wall time for half as much CPU time again.
    """
    os.environ.setdefault("PJRT_NPROC", "1")


@functools.cache
def cpu_options() -> Options:
    """`CPU_OPTIONS` as far as they are known here; none on a GPU."""
    return known_options(CPU_OPTIONS)


class Program:
    """A jitted function which counts how often it was traced.

    More than one trace means that a shape, a dtype or a weak type changed between calls, and costs seconds.
    """

    def __init__(self, function: Callable[..., Any], donate: tuple[int, ...] = ()) -> None:
        self.name = function.__name__
        self.traces = 0

        def traced(*arguments: Any) -> Any:
            self.traces += 1
            return function(*arguments)

        self._jitted = jax.jit(traced, donate_argnums=donate, compiler_options=cpu_options())

    def __call__(self, *arguments: Any) -> Any:
        return self._jitted(*arguments)


def use_disk_cache(directory: Path | None = None) -> None:
    """Keep compiled programs on disk between runs, unless this process already has a cache directory."""
    if jax.config.jax_compilation_cache_dir is not None:  # pyright: ignore[reportAttributeAccessIssue]
        return
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    jax.config.update("jax_compilation_cache_dir", str(directory or base / "robot_rl" / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def in_one_kernel(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call `function` so that XLA's CPU compiler makes one piece of machine code of it, loops and all.

    Otherwise each fusion is a kernel of its own, which costs 0.3 us to start: most of the time of a loop over
    single numbers. Of no use where large products dominate. Other backends take the call as it is.

    The function must use each argument: where a large program passes one for nothing, the compiler (jaxlib
    0.10) ends the process with "All or none of the slices should have an explicit index".
    """
    if jax.default_backend() != "cpu":
        return function(*arguments)
    # The first makes the compiler treat the call as one of the loops that it finds small by itself, the
    # second keeps it from dissolving the call before that. Compilers that know neither do the usual.
    with set_xla_metadata(xla_cpu_small_call="true", inlineable="false"):
        return jax.jit(function)(*arguments)


def is_ready(array: jax.Array) -> bool:
    """Whether the array has been computed, so that reading it would not wait."""
    return array.is_ready()  # pyright: ignore[reportAttributeAccessIssue]
