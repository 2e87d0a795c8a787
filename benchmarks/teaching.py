"""What teaches the arm to pick up a cube: demonstrations, practice, corrections, and all of them together.

Every variant trains in one process for the same number of steps and is then evaluated over 100 fresh episodes
with nobody helping, for every seed. A finished seed is kept in benchmarks/results/teaching/ and not run again
(`--fresh` does), so that a long measurement can be stopped and gone on with. The variant `default` is
`robot-rl train franka_pick_cube` itself, which stops early by its own evaluations.
"""

from __future__ import annotations

import hashlib
import json
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import report

from robot_rl.cli.train import run
from robot_rl.core.config import replace, to_dict
from robot_rl.data.run_directory import write_json
from robot_rl.tasks import load

TASK = "franka_pick_cube"
RESULTS = Path(__file__).parent / "results" / "teaching"
STEPS = 4000
"""Practice of every variant [environment steps]; the person's own steps count."""
FIXED = {
    "session.max_steps": STEPS,
    "session.evaluation_episodes": 0,
    "session.good_evaluations": 0,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "all together, 5 demonstrations": FIXED,
    "all together, 20 demonstrations": FIXED | {"learner.demonstrations": 20},
    "cloning alone, 5 demonstrations": FIXED | {"session.max_steps": 0},
    "cloning alone, 20 demonstrations": FIXED | {"session.max_steps": 0, "learner.demonstrations": 20},
    "no corrections, 5 demonstrations": FIXED | {"person.corrects": False},
    "no corrections, 20 demonstrations": FIXED | {"person.corrects": False, "learner.demonstrations": 20},
    "no demonstrations, with corrections": FIXED | {"learner.demonstrations": 0},
    "no demonstrations, no corrections": FIXED | {"learner.demonstrations": 0, "person.corrects": False},
}
SUCCESS, WORST, LENGTH, TRAIN_S = 0.98, 0.95, 0.6, 120.0
"""Targets of the variant `default`: mean success, worst seed, length over a demonstration's, wall time."""


def measure_seed(variant: str, seed: int, fresh: bool) -> dict[str, Any]:
    """The summary of one seed of a variant, that of an earlier measurement if the settings are the same."""
    config = replace(load(TASK), VARIANTS[variant])
    digest = hashlib.sha256(json.dumps(to_dict(config), sort_keys=True).encode()).hexdigest()[:12]
    path = RESULTS / f"{variant.replace(', ', '_').replace(' ', '-')}_{seed}.json"
    if path.exists() and not fresh:
        stored = json.loads(path.read_text())
        if stored["settings"] == digest:
            return stored
    cpu, wall = time.process_time(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        summary = run(TASK, config, seed, Path(folder) / "run", quiet=True)
    summary |= {
        "variant": variant,
        "settings": digest,
        "cpu_s": round(time.process_time() - cpu, 1),
        "wall_s": round(time.monotonic() - wall, 1),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    write_json(path, summary)
    return summary


def measure(arguments: Any) -> list[report.Result]:
    """All variants over all seeds."""
    variants = list(VARIANTS)
    seeds = arguments.seeds
    if arguments.quick:
        variants, seeds = ["cloning alone, 5 demonstrations"], 1
    if arguments.variant:
        variants = [arguments.variant]
    results = []
    for variant in variants:
        runs = []
        for seed in range(seeds):
            runs.append(measure_seed(variant, seed, arguments.fresh))
            print(f"{variant}, seed {seed}: {runs[-1]['success_rate']:.2f}", file=sys.stderr, flush=True)
        results += figures(variant, runs)
    return results


def figures(variant: str, runs: list[dict[str, Any]]) -> list[report.Result]:
    """The figures of one variant."""
    rates = [run["success_rate"] for run in runs]
    main = variant == "default"
    rows = [
        report.result(
            f"success, {variant}",
            round(statistics.mean(rates), 4),
            "1",
            target=SUCCESS if main else None,
            seeds=rates,
        )
    ]
    ratios = [run["length_ratio"] for run in runs if run["length_ratio"]]
    if ratios:
        rows.append(
            report.result(
                f"length of a success over a demonstration's, {variant}",
                round(statistics.mean(ratios), 3),
                "1",
                "lower",
                LENGTH if main else None,
                seeds=ratios,
            )
        )
    if main:
        times = [run["train_s"] for run in runs]
        rows += [
            report.result("success of the worst seed, default", min(rates), "1", target=WORST),
            report.result(
                "wall time of a training, default",
                statistics.median(times),
                "s",
                "lower",
                TRAIN_S,
                seeds=times,
            ),
            report.result(
                "CPU time of a training, default",
                statistics.median([run["cpu_s"] for run in runs]),
                "s",
                "lower",
                seeds=[run["cpu_s"] for run in runs],
            ),
            report.result(
                "practice of a training, default",
                statistics.mean([run["env_steps"] for run in runs]),
                "steps",
                "lower",
                seeds=[run["env_steps"] for run in runs],
            ),
        ]
    return rows


def main() -> int:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 to SEEDS - 1 of every variant")
    parser.add_argument("--variant", choices=VARIANTS, help="only this one")
    parser.add_argument("--fresh", action="store_true", help="measure anew what was measured before")
    arguments = parser.parse_args()
    return report.finish("teaching", measure(arguments), arguments)


if __name__ == "__main__":
    sys.exit(main())
