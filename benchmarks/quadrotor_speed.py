"""How fast the quadrotor's simulators are: steps per CPU-second of one core, beside its limit and l2f.

A step is 10 ms of flight by the Runge-Kutta method, rotors' lag and a disturbance included. l2f (Eschmann et
al., PyPI) steps the same kind of model in C++; it also shifts a history of 16 actions, so that the ratio is a
little in our favour. It is measured where it is installed, with OMP_NUM_THREADS=1; its source takes ten
minutes and 4 GB to build, so that it is in no list of what to install. Elsewhere the figure stands in that it
reached on one core of an AVX-512 EPYC.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import report

from sim.quadrotor.dynamics import Model, State, Vector, Wrench, rest, step
from sim.quadrotor.native import NativeStepper, build
from sim.quadrotor.parameters import L2F_PAPER
from sim.xla import simulation_options

FLOPS = 649
"""Additions, multiplications, divisions and roots of one step in stepper.c, those of clipping not counted."""

L2F = 7.13
"""l2f 2.0.18 with 1024 and 2048 drones, on one core of an AVX-512 EPYC [M steps / CPU-s]."""

HOVER = 0.334
STEPS_A_CALL = 16
"""Steps of a call of the C backend, each with actions of its own. Of few drones a single one takes longer to
call than to fly; of many, the actions of hundreds do not fit the caches."""


def fma_peak(rounds: int = 1_000_000) -> float:
    """Floating-point operations of the core in multiply-adds [GFLOP/CPU-s]."""
    kernel = ctypes.CDLL(str(build(Path(__file__).with_name("fma_peak.c")))).fma_rounds
    kernel.argtypes, kernel.restype = [ctypes.c_size_t, ctypes.c_float, ctypes.c_float], ctypes.c_float
    began = time.process_time()
    kernel(rounds, 0.9, 0.1)
    return 2 * 16 * 12 * rounds / (time.process_time() - began) / 1e9


def jax_case(n: int, steps: int) -> Callable[[], float]:
    """M steps per CPU-second of so many drones in JAX, compiled beforehand."""
    model = Model.of(L2F_PAPER)
    push = jnp.full(n, 1e-4)
    wrench = Wrench(Vector(push, push, push), Vector(0.0, 0.0, 0.0))

    def fly(state: State, action: jax.Array) -> State:
        held = (action, action, action, action)
        return jax.lax.fori_loop(0, steps, lambda _, s: step(model, s, held, wrench), state)

    start = rest((n,), L2F_PAPER.hover_speed), jnp.full(n, HOVER)
    program = jax.jit(fly).lower(*start).compile(compiler_options=simulation_options())
    jax.block_until_ready(program(*start))

    def measure() -> float:
        began = time.process_time()
        jax.block_until_ready(program(*start))
        return n * steps / (time.process_time() - began) / 1e6

    return measure


def native_case(n: int, steps: int, length: int = STEPS_A_CALL) -> Callable[[], float]:
    """M steps per CPU-second of so many drones in C, `length` steps a call."""
    stepper = NativeStepper(L2F_PAPER)
    calls = max(1, steps // length)
    actions = np.full((length, 4, n), HOVER, np.float32)
    wrench = np.full((6, n), 1e-4, np.float32)
    wrench[3:] = 0.0
    start = np.zeros((17, n), np.float32)
    start[6], start[13:] = 1.0, L2F_PAPER.hover_speed

    def measure() -> float:
        state = start.copy()
        began = time.process_time()
        for _ in range(calls):
            stepper.advance(state, actions, wrench)
        return n * length * calls / (time.process_time() - began) / 1e6

    return measure


def l2f_case(n: int, steps: int) -> Callable[[], float]:
    """M steps per CPU-second of so many drones in l2f, which knows powers of two up to 8192."""
    l2f = importlib.import_module("l2f")
    vector = getattr(l2f, f"vector{n}")
    device, rng = l2f.Device(), vector.VectorRng()
    env, parameters = vector.VectorEnvironment(), vector.VectorParameters()
    state, after = vector.VectorState(), vector.VectorState()
    vector.initialize_rng(device, rng, 0)
    vector.initialize_environment(device, env)
    vector.sample_initial_parameters(device, env, parameters, rng)
    vector.sample_initial_state(device, env, parameters, state, rng)
    action = np.full((n, 4), HOVER, np.float32)

    def measure() -> float:
        began = time.process_time()
        for _ in range(steps):
            vector.step(device, env, parameters, state, action, after, rng)
        return n * steps / (time.process_time() - began) / 1e6

    return measure


def simulator(quick: bool) -> list[report.Result]:
    """The throughput of both backends, and what it is compared with."""
    sizes = (1, 256, 4096, 65_536) if quick else (1, 16, 256, 1024, 4096, 16_384, 65_536, 1_048_576)
    work, rounds = (500_000, 3) if quick else (2_000_000, 7)
    cases: dict[str, Callable[[], float]] = {"peak": fma_peak}
    for n in sizes:
        steps = max(work // max(n, 64), 4)
        cases[f"jax {n}"] = jax_case(n, steps)
        cases[f"c {n}"] = native_case(n, 4 * steps)
    cases["c one by one"] = native_case(4096, work // 1024, 1)
    has_peer = importlib.util.find_spec("l2f") is not None
    if has_peer:
        cases["l2f"] = l2f_case(4096, work // 16_384)
    turns: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            turns[name].append(case())
    value = {name: statistics.median(figures) for name, figures in turns.items()}
    spread = {name: [round(min(f), 2), round(max(f), 2)] for name, f in turns.items()}
    peer, speed = ("l2f", round(value["l2f"], 2)) if has_peer else ("l2f 2.0.18, measured before", L2F)
    rows = [
        report.result(
            f"{label}, {n} drones",
            round(value[f"{key} {n}"], 2),
            "M steps/CPU-s",
            spread=spread[f"{key} {n}"],
        )
        for key, label in (("jax", "JAX"), ("c", "C99"))
        for n in sizes
    ]
    share = 1e6 * FLOPS * value["c 4096"] / (1e9 * value["peak"])
    return [
        report.result(
            "JAX simulator, 4096 drones",
            round(value["jax 4096"], 1),
            "M steps/CPU-s",
            target=max(60.0 if wide() else 0.0, 5 * speed),
            peer=peer,
            peer_value=speed,
            spread=spread["jax 4096"],
        ),
        report.result(
            "C99 simulator, 4096 drones",
            round(value["c 4096"], 1),
            "M steps/CPU-s",
            target=25 * speed,
            peer=peer,
            peer_value=speed,
            spread=spread["c 4096"],
        ),
        report.result("C99 simulator, share of the core's FMA peak", round(share, 3), "1", target=0.5),
        report.result("FMA peak of the core", round(value["peak"], 1), "GFLOP/CPU-s", spread=spread["peak"]),
        report.result(
            "C99 simulator, 4096 drones, one step a call",
            round(value["c one by one"], 1),
            "M steps/CPU-s",
            spread=spread["c one by one"],
        ),
        *rows,
    ]


def wide() -> bool:
    """Whether the processor has vectors of 512 bits."""
    info = Path("/proc/cpuinfo")
    return info.exists() and "avx512f" in info.read_text()
