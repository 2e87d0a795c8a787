"""XLA's options for programs on a CPU, given to each program of its own.

Never through `XLA_FLAGS`, where an entry that XLA does not know ends the process.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import jax

Options = dict[str, bool | str]

SIMULATION: Options = {
    "xla_cpu_multi_thread_eigen": False,
    # Three quarters more steps a second where there are registers of 512 bits; ignored elsewhere.
    "xla_cpu_prefer_vector_width": "512",
    # Sums may be reordered, for a fifth more. NaN and infinity keep their meaning: they end an episode.
    "xla_cpu_enable_fast_math": True,
    "xla_cpu_fast_math_honor_nans": True,
    "xla_cpu_fast_math_honor_infs": True,
    "xla_cpu_fast_math_honor_division": True,
    "xla_cpu_fast_math_honor_functions": True,
}
"""What makes a simulation's step fastest on one core; `benchmarks/quadrotor_speed.py` measures it."""


@functools.cache
def simulation_options() -> Options:
    """`SIMULATION` as far as it is known here."""
    return known_options(SIMULATION)


def known_options(options: Mapping[str, bool | str]) -> Options:
    """Those that the installed XLA knows, as names of experimental ones come and go; none on a GPU."""
    if jax.default_backend() != "cpu":
        return {}
    known: Options = {}
    for name, value in options.items():
        try:
            jax.jit(lambda x: x).lower(0.0).compile(compiler_options={name: value})
        except jax.errors.JaxRuntimeError:
            continue
        known[name] = value
    return known
