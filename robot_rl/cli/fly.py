"""`robot-rl fly`: from nothing to a policy that flies as a microcontroller would run it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from policies.bundle import load_bundle
from policies.export_c import export_c
from policies.firmware import CORTEX_M4, HOST, build
from policies.flight_process import Status
from robot_rl.cli.arguments import parse
from robot_rl.cli.report import percent, print_json, print_table
from robot_rl.cli.train_flight import train
from robot_rl.cli.words import default_out
from robot_rl.core.errors import RobotRlError
from robot_rl.data.run_directory import write_json
from robot_rl.tasks.flight import preset
from robot_rl.tasks.quadrotor_firmware import FirmwareFlight, fly, level_start
from sim.quadrotor.parameters import L2F_PAPER

TASK = "quadrotor_hover"
TICK_US = 2000
"""The policy was trained at 100 Hz and runs at 500 Hz on board [us]."""
FLIGHTS = 5
SECONDS = 10.0
NOISE = 0.001
"""Standard deviation of the measured position [m]."""


@dataclass(frozen=True)
class FlyOptions:
    """Options of `robot-rl fly`."""

    seed: int = 0
    """Seeds everything: weights, starts, disturbances, noise."""
    out: Path | None = None
    """Run directory; by default a new one below runs/."""
    json: bool = False
    """Print the summary as one JSON object instead of a table."""


def main(argv: list[str]) -> int:
    """Run the command."""
    options = parse(
        FlyOptions,
        argv,
        "fly",
        "Teach a quadrotor to hover in seconds, export the policy to C, build it for this machine and for a "
        "Cortex-M4, and let each fly the simulated Crazyflie; the second runs under QEMU.",
    )
    out = options.out or default_out("fly")
    chosen, task = preset(TASK, "fast")
    summary = train(TASK, chosen, task, options.seed, out, quiet=options.json)
    bundle = load_bundle(out / "policy")
    exported = export_c(bundle, out / "policy.h")
    firmware: dict[str, Any] = {"header_bytes": exported.weight_bytes, "worst_error": exported.worst_error}
    for target in (HOST, CORTEX_M4):
        began = time.monotonic()
        image = build(bundle, out / "firmware" / target, target, tick_us=TICK_US)
        flights = [flown(image, seed) for seed in range(FLIGHTS)]
        firmware[target] = {
            "flights": FLIGHTS,
            "completed": sum(flight.status is Status.FLYING for flight in flights),
            "error_m": max(float(flight.errors[-round(1e6 / TICK_US) :].mean()) for flight in flights),
            "self_test": flights[0].report,
            "memory": image.memory() if target == CORTEX_M4 else {},
            "wall_s": round(time.monotonic() - began, 2),
        }
    summary["firmware"] = firmware
    write_json(out / "summary.json", summary)
    if options.json:
        print_json(summary)
    else:
        print_table(f"flying, seed {options.seed}", rows(summary))
        for what in ("summary.json", "policy", "flights.png", "policy.h"):
            print(f"{what:<12} {out / what}")
    missed = [t for t in (HOST, CORTEX_M4) if firmware[t]["completed"] < FLIGHTS]
    if missed:
        raise RobotRlError(f"the compiled policy did not complete all flights on {' and '.join(missed)}")
    return 0


def flown(image: Any, seed: int) -> FirmwareFlight:
    """One flight of ten seconds from somewhere near the target, with a constant push and noise."""
    rng = np.random.default_rng([seed, 0xF17])
    x, y, z = rng.uniform(-0.2, 0.2, 3).tolist()
    weight = L2F_PAPER.mass * L2F_PAPER.gravity
    # The paper's disturbance, without its extremes.
    push = np.concatenate([rng.normal(0.0, weight / 20, 3), rng.normal(0.0, weight / 10_000, 3)])
    return fly(image, L2F_PAPER, level_start((x, y, z)), SECONDS, wrench=push, noise=NOISE, seed=seed)


def rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Lines of the table."""
    judged = next(iter(summary["evaluation"].values()))
    firmware = summary["firmware"]
    chip = firmware[CORTEX_M4]
    return [
        ("training", f"{summary['train_cpu_s']:.1f} s of processor time, {summary['train_s']:.1f} s"),
        ("compilation", f"{summary['compile_cpu_s']:.1f} s of processor time"),
        ("flies to the end", f"{percent(judged['alive'])} of {judged['episodes']} flights of 5 s"),
        ("error in the last second", f"{100 * judged['error']:.1f} cm"),
        ("C against NumPy", f"{firmware['worst_error']:.1e} at most"),
        ("on this machine, 500 Hz", _outcome(firmware[HOST])),
        ("Cortex-M4 under QEMU, 500 Hz", _outcome(chip)),
        ("self-test at boot", ", ".join(f"{name} {value}" for name, value in chip["self_test"].items())),
        ("flash and RAM", f"{chip['memory']['flash'] / 1e3:.1f} kB, {chip['memory']['ram'] / 1e3:.1f} kB"),
    ]


def _outcome(flights: dict[str, Any]) -> str:
    return (
        f"{flights['completed']} of {flights['flights']} flights of {SECONDS:g} s, "
        f"{100 * flights['error_m']:.1f} cm off at worst in the last second"
    )
