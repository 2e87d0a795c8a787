"""What a policy costs on a microcontroller, and how exact it is there.

Instructions are counted by QEMU on an emulated STM32F405 (Cortex-M4F) at -O2; it has no model of cycles, and
neither is there a figure of a peer's that was counted so. Errors are those of C against NumPy.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import report

from policies.bundle import MLP, Bundle
from policies.export_c import c_export, export_c
from policies.firmware import CORTEX_M4, FOLDER, build
from policies.flight_process import FlightProcess
from policies.mlp_policy import MlpPolicy
from policies.quantise import FORMATS
from sim.quadrotor.layout import flight_spec

INPUTS = 10_000
NETWORKS = ((32, (64, 64)), (8, (64, 64)), (0, (64, 64)))
"""Past actions that the policy sees, and its hidden layers; the paper's network first."""
INSTRUCTIONS = 40_000
"""What an inference of the paper's network may take."""
ROWS = """
#include "policy.h"
void run(const float *x, float *y, int rows)
{
    for (int i = 0; i < rows; i++) {
        policy_act(x + i * POLICY_INPUTS, y + i * POLICY_OUTPUTS);
    }
}
void squash(float *x, int count) { mlp_tanh(x, count); }
"""


def sample(history: int, hidden: tuple[int, ...], gain: float = 1.0) -> Bundle:
    """A policy with random weights; a gain of 8 saturates most units."""
    spec, rng, weights = flight_spec(history), np.random.default_rng(7), {}
    sizes = [spec.observation.vector_size, *hidden, spec.action.size]
    for n, (inputs, outputs) in enumerate(pairwise(sizes)):
        spread = gain / np.sqrt(inputs)
        weights[f"layers.{n}.weight"] = rng.normal(0.0, spread, (inputs, outputs)).astype(np.float32)
        weights[f"layers.{n}.bias"] = rng.normal(0.0, 0.1, outputs).astype(np.float32)
    return Bundle(spec, weights, 0, {"weights": "random"}, MLP)


def errors_on_host(folder: Path) -> list[report.Result]:
    """Of C against NumPy, anywhere within the bounds of the observation, and of tanh."""
    (folder / "rows.c").write_text(ROWS)
    rows, results = folder / "rows.c", []
    rng = np.random.default_rng(1)
    library = None
    for name, gain, target in (("within the bounds", 1.0, 1e-5), ("saturated", 8.0, 1e-4)):
        bundle = sample(32, (64, 64), gain)
        export_c(bundle, folder / "policy.h")
        built = folder / f"rows{gain:g}.so"
        command = ["cc", "-std=c99", "-O2", "-ffp-contract=fast", "-shared", "-fPIC"]
        includes = [f"-I{folder}", f"-I{FOLDER / 'include'}"]
        subprocess.run([*command, *includes, str(rows), "-o", str(built)], check=True)
        library = ctypes.CDLL(str(built))
        bounds = [(a.low, a.high) for _, a in bundle.spec.observation.entries for _ in range(a.size)]
        low, high = np.array(bounds).T
        vectors = rng.uniform(low, high, (INPUTS, len(low))).astype(np.float32)
        actions = np.empty((INPUTS, 4), np.float32)
        library.run(ctypes.c_void_p(vectors.ctypes.data), ctypes.c_void_p(actions.ctypes.data), INPUTS)
        error = float(np.abs(actions - MlpPolicy(bundle.spec, bundle.weights).act(vectors)).max())
        metric = f"C against NumPy, 146-64-64-4, {INPUTS} inputs, {name}"
        results.append(report.result(metric, error, "1", "lower", target))
    assert library is not None
    x = np.linspace(-12.0, 12.0, 2_000_001, dtype=np.float32)
    y = x.copy()
    library.squash(ctypes.c_void_p(y.ctypes.data), y.size)
    error = float(np.abs(y - np.tanh(x.astype(np.float64))).max())
    return [*results, report.result("tanh in C, largest error", error, "1", "lower", 1e-6)]


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


def run(arguments: argparse.Namespace) -> list[report.Result]:
    """All figures; those of the microcontroller need its compiler and QEMU."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        return [*errors_on_host(folder), *on_microcontroller(folder, arguments.quick)]


if __name__ == "__main__":
    sys.exit(report.main("quadrotor_firmware", __doc__, run))
