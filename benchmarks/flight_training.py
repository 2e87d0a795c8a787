"""How fast and how well quadrotors learn to fly by gradients through the simulator.

    python benchmarks/flight_training.py [--only quadrotor_hover:fast ...] [--seeds 10]

Trains each preset with each seed, judges every policy by the same flights, and keeps the figures by seed in
`benchmarks/results/quadrotor/`: a run that was interrupted goes on where it stopped, and one after a change
of settings starts anew. Times are processor times of one thread, without compilation, which serves all seeds.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import report

from robot_rl.core.config import to_dict
from robot_rl.data.run_directory import machine, write_json
from robot_rl.learn.compile import use_disk_cache, use_one_thread
from robot_rl.tasks import FLIGHTS
from robot_rl.tasks.flight import FlightTask

RESULTS = Path(__file__).parent / "results" / "quadrotor"
"""Where the figures are kept, one file a preset."""

TARGETS: dict[str, dict[str, float]] = {
    "quadrotor_hover:fast": {"cpu_s": 1.5, "length": 490.0, "alive": 0.98, "error": 0.035},
    "quadrotor_hover:quality": {"cpu_s": 40.0, "length": 499.0, "alive": 0.998, "error": 0.012},
    "quadrotor_hover:multi": {"length:l2f-paper": 495.0, "length:gpd-cf2x": 495.0},
    "quadrotor_figure_eight:fast": {"cpu_s": 5.0, "alive": 1.0, "rms": 0.03},
}
"""What the worst seed should reach; times and errors [s, m] from above, the others from below."""

HIGHER = ("length", "alive", "reward")
"""Figures of which more is better."""

UNITS = {"cpu_s": "s", "length": "steps", "alive": "", "error": "m", "rms": "m"}


def flights() -> dict[str, FlightTask]:
    """Every preset that is trained by gradients: TASK:PRESET and its settings."""
    found = {}
    for task in FLIGHTS:
        presets = importlib.import_module(f"robot_rl.tasks.{task}").PRESETS
        found |= {f"{task}:{n}": p for n, p in presets.items() if isinstance(p, FlightTask)}
    return found


def train(name: str, task: FlightTask, seeds: range) -> dict[str, Any]:
    """The figures of these seeds; what is in the file already is not trained again."""
    path = RESULTS / f"{name.replace(':', '-')}.json"
    digest = hashlib.sha256(json.dumps(to_dict(task), sort_keys=True).encode()).hexdigest()[:16]
    kept = json.loads(path.read_text()) if path.exists() else {}
    if kept.get("settings") != digest:
        kept = {"preset": name, "settings": digest, "machine": machine(), "seeds": {}}
    todo = [seed for seed in seeds if str(seed) not in kept["seeds"]]
    if not todo:
        return kept
    from robot_rl.learn.flight.judge import Judge
    from robot_rl.learn.flight.trainer import Trainer

    trainer = Trainer(task.gradient, task.training, task.spec)
    kept["compile_cpu_s"] = round(trainer.compile_cpu_s, 2)
    judges = {
        vehicle: Judge(task.spec, flown, task.episodes) for vehicle, flown in task.evaluations().items()
    }
    for seed in todo:
        trained = trainer.train(task.gradient, seed)
        row: dict[str, Any] = {"cpu_s": round(trained.cpu_s, 3), "invalid_updates": trained.invalid}
        for vehicle, judge in judges.items():
            figures = dataclasses.asdict(judge(trained.weights))
            row[vehicle] = {key: round(value, 5) for key, value in figures.items()}
        kept["seeds"][str(seed)] = row
        RESULTS.mkdir(parents=True, exist_ok=True)
        write_json(path, kept)
        print(f"{name} seed {seed}: {json.dumps(row)}", file=sys.stderr, flush=True)
    return kept


def rows(name: str, kept: dict[str, Any]) -> list[report.Result]:
    """The worst seed of each figure, with the median."""
    seeds = list(kept["seeds"].values())
    vehicles = [key for key, value in seeds[0].items() if isinstance(value, dict)]
    series = {"cpu_s": [row["cpu_s"] for row in seeds]}
    shown = ("length", "alive", "rms") if "figure_eight" in name else ("length", "alive", "error")
    for vehicle in vehicles:
        end = f":{vehicle}" if len(vehicles) > 1 else ""
        for figure in shown:
            series[figure + end] = [row[vehicle][figure] for row in seeds]
    results = []
    for figure, values in series.items():
        more = figure.split(":")[0] in HIGHER
        results.append(
            report.result(
                f"{name} {figure}, worst of {len(values)} seeds",
                min(values) if more else max(values),
                UNITS[figure.split(":")[0]],
                "higher" if more else "lower",
                TARGETS.get(name, {}).get(figure),
                median=statistics.median(values),
            )
        )
    return results


def until_it_flies() -> list[report.Result]:
    """From the command to a policy that flies, without and with the compiler's cache."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        surroundings = os.environ | {"XDG_CACHE_HOME": folder}
        for cache, target in (("cold", 20.0), ("warm", 5.0)):
            out = Path(folder) / cache
            words = ["train", "quadrotor_hover", "--out", str(out), "--no-evaluate", "--json"]
            began = time.monotonic()
            subprocess.run(
                [sys.executable, "-m", "robot_rl", *words],
                env=surroundings,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            wall = time.monotonic() - began
            used = json.loads((out / "summary.json").read_text())["flying_cpu_s"]
            metric = f"robot-rl train quadrotor_hover until it flies, processor time, {cache} cache"
            results.append(report.result(metric, used, "s", "lower", target, wall_s=round(wall, 2)))
    return results


def presets(seeds: range, only: Sequence[str] | None = None) -> list[report.Result]:
    """The figures of these presets, or of all; what was trained already is not trained again."""
    known = flights()
    chosen = known if only is None else only
    return [row for name in chosen for row in rows(name, train(name, known[name], seeds))]


def main() -> int:
    known = flights()
    parser = report.options(__doc__)
    parser.add_argument("--only", nargs="*", choices=[*known, "start"], default=[*known, "start"])
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    use_one_thread()
    results = until_it_flies() if arguments.quick or "start" in arguments.only else []
    if not arguments.quick:
        use_disk_cache()
        results += presets(range(arguments.seeds), [name for name in arguments.only if name in known])
    return report.finish("flight_training", results, arguments)


if __name__ == "__main__":
    sys.exit(main())
