"""How programs are compiled: known options only, traces counted, executables kept on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robot_rl.learn import compile as compiling

ROOT = Path(__file__).resolve().parents[2]

CACHED_RUN = """
import jax
from tests.unit.learner_samples import SPEC, TINY, noise_stream
from robot_rl.learn.learner import Learner

hits = []
jax.monitoring.register_event_listener(
    lambda name, **_: hits.append(name) if name == "/jax/compilation_cache/cache_hits" else None
)
learner = Learner(SPEC, TINY, 0)
for transition in noise_stream(steps=0):
    learner.add(transition)
print(len(hits), float(learner.weights()["layers.0.weight"].sum()).hex())
"""


def test_a_program_counts_its_traces() -> None:
    def double(x: jax.Array) -> jax.Array:
        return 2.0 * x

    program = compiling.Program(double)
    for value in (1.0, 2.0):
        assert program(jnp.float32(value)) == 2.0 * value
    assert program.traces == 1
    program(jnp.ones(2))
    assert program.traces == 2


def test_options_that_xla_does_not_know_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"xla_cpu_multi_thread_eigen": False, "xla_cpu_no_such_option": True}
    monkeypatch.setattr(compiling, "CPU_OPTIONS", options)
    assert compiling.cpu_options.__wrapped__() == {"xla_cpu_multi_thread_eigen": False}


def test_one_kernel_keeps_its_loop_and_computes_the_same() -> None:
    def loop(x: jax.Array, n: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, n, lambda i, x: jnp.sin(x) + i, x)

    def whole(x: jax.Array, n: jax.Array) -> jax.Array:
        return compiling.in_one_kernel(loop, x, n)

    arguments = jnp.linspace(0.0, 1.0, 4), jnp.int32(7)
    compiled = jax.jit(whole).lower(*arguments).compile()
    np.testing.assert_allclose(compiled(*arguments), loop(*arguments), rtol=1e-5)
    if jax.default_backend() == "cpu":
        main = compiled.as_text().split("ENTRY")[1]
        assert "while(" not in main
        assert " call(" in main


def test_the_next_run_finds_its_programs_on_disk_and_computes_the_same(tmp_path: Path) -> None:
    def run() -> tuple[int, str]:
        environment = dict(os.environ) | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        command = [sys.executable, "-W", "error", "-c", CACHED_RUN]
        output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        hits, weights = output.split()
        return int(hits), weights

    first_hits, first = run()
    assert first_hits == 0
    hits, again = run()
    assert hits > 0
    assert again == first
