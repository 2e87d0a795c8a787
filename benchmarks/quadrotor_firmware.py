"""What a policy costs on a microcontroller, and how exact it is there.

Instructions are counted by QEMU on an emulated STM32F405 (Cortex-M4F) at -O2; it has no model of cycles, and
neither is there a figure of a peer's that was counted so. Errors are those of C against NumPy.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import report

from policies.bundle import MLP, Bundle
from policies.export_c import c_export
from policies.firmware import CORTEX_M4, HOST, SANITIZED, actions, build, build_rows
from policies.flight_process import FlightProcess
from policies.mlp_policy import MlpPolicy
from policies.quantise import FORMATS
from robot_rl.core.spec import ArraySpec, EnvSpec, Spec
from robot_rl.tasks.quadrotor_firmware import fly, level_start
from sim.quadrotor.layout import flight_spec
from sim.quadrotor.parameters import L2F_PAPER

INPUTS = 10_000
NETWORKS = ((32, (64, 64)), (8, (64, 64)), (0, (64, 64)))
"""Past actions that the policy sees, and its hidden layers; the paper's network first."""
INSTRUCTIONS = 40_000
"""What an inference of the paper's network may take."""
SECONDS = 10.0
"""Length of the flight with the microcontroller in the loop."""
PLACES = {HOST: "this machine", SANITIZED: "this machine with sanitizers", CORTEX_M4: "Cortex-M4"}


def sample(history: int, hidden: tuple[int, ...], gain: float = 1.0) -> Bundle:
    """A policy with random weights; a gain of 8 saturates most units."""
    spec, rng, weights = flight_spec(history), np.random.default_rng(7), {}
    sizes = [spec.observation.vector_size, *hidden, spec.action.size]
    for n, (inputs, outputs) in enumerate(pairwise(sizes)):
        spread = gain / np.sqrt(inputs)
        weights[f"layers.{n}.weight"] = rng.normal(0.0, spread, (inputs, outputs)).astype(np.float32)
        weights[f"layers.{n}.bias"] = rng.normal(0.0, 0.1, outputs).astype(np.float32)
    return Bundle(spec, weights, 0, {"weights": "random"}, MLP)


def errors(folder: Path, quick: bool) -> list[report.Result]:
    """Of C against NumPy, anywhere within the bounds of the observation, and of tanh."""
    results, rng = [], np.random.default_rng(1)
    for name, gain, target in (("within the bounds", 1.0, 1e-5), ("saturated", 8.0, 1e-4)):
        bundle = sample(32, (64, 64), gain)
        bounds = [(a.low, a.high) for _, a in bundle.spec.observation.entries for _ in range(a.size)]
        low, high = np.array(bounds).T
        vectors = rng.uniform(low, high, (INPUTS, len(low))).astype(np.float32)
        expected = MlpPolicy(bundle.spec, bundle.weights).act(vectors)
        for place in (HOST,) if quick else PLACES:
            image = build_rows(bundle, folder / f"rows{gain:g}" / place, place)
            error = float(np.abs(actions(image, vectors, 4) - expected).max())
            metric = f"C against NumPy, 146-64-64-4, {INPUTS} inputs, {name}, {PLACES[place]}"
            results.append(report.result(metric, error, "1", "lower", target))
    return [*results, error_of_tanh(folder)]


def error_of_tanh(folder: Path) -> report.Result:
    """Of the network that is nothing but a tanh."""
    spec = EnvSpec(Spec.of({"x": ArraySpec((1,))}), ArraySpec((1,), low=-1.0, high=1.0), 100.0)
    weights = {"layers.0.weight": np.ones((1, 1), np.float32), "layers.0.bias": np.zeros(1, np.float32)}
    image = build_rows(Bundle(spec, weights, 0, {}, MLP), folder / "tanh")
    x = np.linspace(-12.0, 12.0, 1_000_001, dtype=np.float32)[:, None]
    error = float(np.abs(actions(image, x, 1) - np.tanh(x.astype(np.float64))).max())
    return report.result("tanh in C, largest error", error, "1", "lower", 1e-6)


def on_microcontroller(folder: Path, quick: bool) -> list[report.Result]:
    """Instructions and memory, for each network and format of weights."""
    results = []
    for history, hidden in NETWORKS[:1] if quick else NETWORKS:
        bundle = sample(history, hidden)
        for weights in FORMATS[:1] if quick or history != NETWORKS[0][0] else FORMATS:
            image = build(bundle, folder / f"{history}-{weights}", CORTEX_M4, weights)
            with FlightProcess(image) as process:
                found = process.report
            shape = "-".join(map(str, (bundle.spec.observation.vector_size, *hidden, 4)))
            name, memory = f"{shape}, {weights}", image.memory()
            asked = INSTRUCTIONS if (history, weights) == (32, "float32") else None
            inference, tick = found["inference_instructions"], found["tick_instructions"]
            results += [
                report.result(f"inference of {name}", inference, "instructions", "lower", asked),
                report.result(f"a whole tick of {name}", tick, "instructions", "lower"),
                report.result(f"flash of {name}", memory["flash"], "bytes", "lower"),
                report.result(f"static RAM of {name}", memory["ram"], "bytes", "lower"),
            ]
            if weights != "float32":
                worst = c_export(bundle, weights).worst_error
                results.append(report.result(f"largest error of {name} weights", worst, "1", "lower"))
    return results


def in_the_loop(folder: Path) -> report.Result:
    """Wall time of a flight at 500 Hz that the emulated microcontroller flies."""
    image = build(sample(*NETWORKS[0]), folder / "loop", CORTEX_M4)
    began = time.perf_counter()
    ticks = len(fly(image, L2F_PAPER, level_start((0.0, 0.0, 0.0)), SECONDS).time)
    taken = time.perf_counter() - began
    return report.result(f"{SECONDS:g} s of flight, QEMU in the loop", taken, "s", "lower", ticks=ticks)


def firmware(quick: bool) -> list[report.Result]:
    """All figures; they need the compilers for this machine and the microcontroller, and QEMU."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        return [*errors(folder, quick), *on_microcontroller(folder, quick), in_the_loop(folder)]


def run(arguments: argparse.Namespace) -> list[report.Result]:
    """What `report.main` asks for."""
    return firmware(arguments.quick)


if __name__ == "__main__":
    sys.exit(report.main("quadrotor_firmware", __doc__, run))
