"""All figures of benchmarks/operator.py, in the order in which they are measured."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from operating.endurance import cost, soak
from operating.graph import graph
from operating.hands import Ball
from operating.holds import ends, stops
from operating.latency import TICK, device_latencies, jumps, key_latencies
from report import Result, result

from robot_rl import tasks
from robot_rl.core.config import replace
from robot_rl.tasks.arm import ArmTaskConfig

LIMITS = ("joint ", "external force ", "external torque ")
"""How reasons begin that a policy gives while it learns: it pressed too hard, or went too far."""


def measure(arguments: argparse.Namespace) -> list[Result]:
    """All figures."""
    quick = arguments.quick
    minutes = min(arguments.soak, 0.1) if quick else arguments.soak
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = _reactions(folder, *((8, 3, 5, 1) if quick else (200, 30, 50, 5)))
        rows += _costs(folder, 10.0 if quick else 120.0)
        if minutes > 0:
            rows += _stops(folder, minutes)
    return rows


def _reactions(folder: Path, keys: int, handovers: int, halts: int, kills: int) -> list[Result]:
    """How soon the robot moves and holds, after so many keys, changes of control, stops and ends each."""
    device = Ball(folder / "spnav.sock")
    os.environ["SPNAV_SOCKET"] = str(folder / "spnav.sock")
    config = practising(**{"teleop.devices": ["console", "spacenav"]})
    with graph(folder, "operator", config, console=True, person="operator") as running:
        page = running.open_page()
        running.get_going(page)
        rows = _latencies("key to command that moves", key_latencies(running, page, keys))
        shares = jumps(running, page, handovers, config)
        page.hands()
        rows += _latencies("device to command that moves", device_latencies(running, device, keys))
        what = "largest jump at a change of control"
        rows.append(result(what, max(shares), "of one action", "lower", 1.001, trials=len(shares)))
        delays = [1e3 * delay for delay in stops(running, page, halts)]
        rows.append(result("e-stop to held, median", float(np.median(delays)), "ms", "lower"))
        rows.append(_worst("e-stop to held", delays, 50.0))
        page.close()
        for victim in ("actor", "safety", "intervention", "console"):
            delays = [1e3 * delay for delay in ends(running, victim, kills)]
            rows.append(_worst(f"end of {victim} to held", delays, 200.0))
    device.close()
    del os.environ["SPNAV_SOCKET"]
    return rows


def _costs(folder: Path, seconds: float) -> list[Result]:
    """What the console takes from the computer, and from the ticks of the graph beside it."""
    without, beside = cost(folder, seconds, console=False), cost(folder, seconds, console=True)
    share, pictures = 100 * beside["share"], beside["pictures"]
    what = "console, two cameras, one page"
    rows = [result(what, share, "% of a core", "lower", 35.0, pictures_per_second=pictures)]
    for figure, what, unit in (
        ("late_ticks", "ticks over 20 ms late", "ticks"),
        ("latency_p99_ms", "tick to command, 99 %", "ms"),
    ):
        rows.append(result(f"{what}, with the console", beside[figure], unit, "lower", of=beside["ticks"]))
        rows.append(result(f"{what}, without", without[figure], unit, "lower", of=without["ticks"]))
    return rows


def _stops(folder: Path, minutes: float) -> list[Result]:
    """What stops a training that nobody touches: the arm at a limit of its own, or no good reason."""
    faults, denied = soak(folder, minutes)
    good = [fault for fault in faults if fault.startswith(LIMITS)]
    false = [fault for fault in faults if not fault.startswith(LIMITS)]
    return [
        result("false stops", len(false), "faults", "lower", 0, minutes=minutes, reasons=false),
        result("stops at the arm's limits", len(good), "faults", "lower", minutes=minutes, reasons=good),
        result("holds for want of a permit", denied, "holds", "lower", minutes=minutes),
    ]


def _latencies(what: str, delays: list[float]) -> list[Result]:
    p50, p99 = np.percentile(1e3 * np.array(delays), [50, 99])
    tick = 1e3 * TICK
    return [
        result(f"{what}, median", float(p50), "ms", "lower", tick + 10, trials=len(delays)),
        result(f"{what}, 99 %", float(p99), "ms", "lower", tick + 30, trials=len(delays)),
    ]


def _worst(what: str, delays: list[float], target: float) -> Result:
    """At the 99th percentile, which of less than a hundred is the longest."""
    p99 = float(np.percentile(delays, 99, method="higher"))
    return result(f"{what}, 99 %", p99, "ms", "lower", target, trials=len(delays))


def practising(**changes: Any) -> ArmTaskConfig:
    """Picking, practised at once and for long, with nothing in between."""
    quiet = {
        "learner.demonstrations": 0,
        "session.max_steps": 10_000_000,
        "session.evaluate_every": 10_000_000,
        "session.final_episodes": 0,
    }
    return replace(tasks.load("franka_pick_cube"), quiet | changes)
