"""`robot-rl fly`: from nothing to a policy that flies as a microcontroller would run it."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies.bundle import load_bundle
from policies.export_c import export_c
from policies.firmware import CORTEX_M4, HOST, build, error_of, install_hint, missing_tools
from policies.flight_process import Status
from robot_rl.cli.arguments import parse
from robot_rl.cli.firmware_flights import fly_often, recorded
from robot_rl.cli.flight_report import centimetres, heading
from robot_rl.cli.report import percent, print_json, print_table
from robot_rl.cli.train_flight import train
from robot_rl.cli.words import default_out
from robot_rl.core.errors import MissingDependencyError, RobotRlError
from robot_rl.data.run_directory import write_json
from robot_rl.show.flight_page import write_page
from robot_rl.tasks.flight import judged_by, preset
from sim.quadrotor.parameters import L2F_PAPER

TASK = "quadrotor_hover"
TICK_US = 2000
"""The policy was trained at 100 Hz and runs at 500 Hz on board [us]."""
FLIGHTS = 5
SECONDS = 10.0
NAMES = {HOST: "Firmware on this machine", CORTEX_M4: "Firmware on a Cortex-M4"}


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
    targets = buildable()
    out = options.out or default_out("fly")
    chosen, task = preset(TASK, "fast")
    summary = train(TASK, chosen, task, options.seed, out, quiet=options.json)
    bundle = load_bundle(out / "policy")
    (judged,) = judged_by(task).values()
    exported = export_c(bundle, out / "policy.h")
    error = error_of(bundle, out / "firmware" / "rows")
    firmware: dict[str, Any] = {"header_bytes": exported.weight_bytes, "worst_error": error}
    groups, stopped = [], []
    for target in targets:
        began = time.monotonic()
        image = build(bundle, out / "firmware" / target, target, tick_us=TICK_US)
        flights, wrenches = fly_often(image, L2F_PAPER, judged, FLIGHTS, SECONDS, TICK_US)
        group = recorded(NAMES[target], L2F_PAPER, flights, wrenches, judged.bound, TICK_US)
        groups.append(group)
        stopped += [target for flight in flights if flight.status is not Status.FLYING]
        firmware[target] = {
            "flights": FLIGHTS,
            "completed": int(group.completed.sum()),
            "error_m": max(float(flight.errors[-round(1e6 / TICK_US) :].mean()) for flight in flights),
            "self_test": flights[0].report,
            "memory": image.memory() if target == CORTEX_M4 else {},
            "wall_s": round(time.monotonic() - began, 2),
        }
    summary["firmware"] = firmware
    write_json(out / "summary.json", summary)
    from robot_rl.learn.flight.judge import show

    groups.insert(0, show(bundle.spec, bundle.weights, judged))
    write_page(out / "flights.html", heading(summary), groups, rows(summary))
    if options.json:
        print_json(summary)
    else:
        print_table(f"flying, seed {options.seed}", rows(summary))
        for what in ("summary.json", "policy", "policy.h", "flights.png", "flights.html"):
            print(f"{what:<12} {out / what}")
    if stopped:
        raise RobotRlError(f"the firmware stopped its rotors in flight: {', '.join(stopped)}")
    return 0


def buildable() -> list[str]:
    """Targets that this machine has the tools for; those of the microcontroller may be missing.

    Raises:
        MissingDependencyError: There is no compiler for this machine, which is said before the training.
    """
    if missing := missing_tools([HOST]):
        raise MissingDependencyError(", ".join(missing), "building the firmware", install_hint(missing))
    if missing := missing_tools([CORTEX_M4]):
        sys.stderr.write(
            f"{', '.join(missing)} not found: the firmware flies on this machine only. Get it with: "
            f"{install_hint(missing)}\n"
        )
        return [HOST]
    return [HOST, CORTEX_M4]


def rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Lines of the table."""
    judged = next(iter(summary["evaluation"].values()))
    firmware = summary["firmware"]
    lines = [
        ("training", f"{summary['train_cpu_s']:.1f} s of processor time, {summary['train_s']:.1f} s"),
        ("compilation", f"{summary['compile_cpu_s']:.1f} s of processor time"),
        ("flies to the end", f"{percent(judged['alive'])} of {judged['episodes']} flights of 5 s"),
        ("error in the last second", centimetres(judged["error"])),
        ("C against NumPy", f"{firmware['worst_error']:.1e} at most"),
        ("on this machine, 500 Hz", _outcome(firmware[HOST])),
    ]
    test = firmware[HOST]["self_test"]
    if chip := firmware.get(CORTEX_M4):
        test, memory = chip["self_test"], chip["memory"]
        lines += [
            ("Cortex-M4 under QEMU, 500 Hz", _outcome(chip)),
            (
                "instructions of a tick",
                f"{test['tick_instructions']}, of inference {test['inference_instructions']}",
            ),
            ("flash and RAM", f"{memory['flash'] / 1e3:.1f} kB, {memory['ram'] / 1e3:.1f} kB"),
        ]
    return [
        *lines,
        ("self-test at boot", f"golden action repeated within {test['golden_error_1e9'] / 1e9:.1e}"),
    ]


def _outcome(flights: dict[str, Any]) -> str:
    return (
        f"{flights['completed']} of {flights['flights']} flights of {SECONDS:g} s, "
        f"at worst {100 * flights['error_m']:.1f} cm off in the end"
    )
