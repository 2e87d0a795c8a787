"""Measure the preset `l2f-paper`: quality over seeds, and CPU time, against the published program's.

    python benchmarks/flight_paper.py [--seeds 10] [--json] [--check] [--quick]
    python benchmarks/flight_paper.py --ablations [--seeds 3] [--json]

Each finished training is kept in benchmarks/results/quadrotor/l2f_paper.json, or l2f_paper_ablations.json,
and not repeated, so that a long measurement can be stopped and gone on with. All policies fly the same 1000
episodes of 500 steps under the target weights. The published program's figures were measured apart, on the
same kind of machine: its finals over four seeds (lengths 420, 453, 455, 453; returns -1161, -129, 40, 38) and
the CPU time of a run. `--ablations` leaves out one part of the recipe after the other.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import report

from robot_rl.core.config import to_dict
from robot_rl.data.run_directory import write_json
from robot_rl.learn.compile import use_disk_cache, use_one_thread
from robot_rl.learn.flight.paper import PaperResult, PaperTrainer, Progress
from robot_rl.learn.flight.paper_settings import AblationConfig, PaperConfig

RESULTS = Path(__file__).parent / "results" / "quadrotor" / "l2f_paper.json"
ABLATIONS = RESULTS.with_name("l2f_paper_ablations.json")
PEER = "learning-to-fly d07592d"


def record(seed: int, result: PaperResult) -> dict[str, Any]:
    """What is kept of a training."""
    final, best = result.final.progress.evaluation, result.best.progress.evaluation
    validations = [[p.step, p.validation.figures()] for p in result.curve if p.validation is not None]
    return {
        "seed": seed,
        "train_cpu_s": result.train_s,
        "final": {
            "length": final.length,
            "alive": final.alive,
            "return": final.reward,
            "error_m": final.error,
        },
        "best": {"step": result.best.progress.step, "length": best.length, "return": best.reward},
        "curve": [[p.step, p.evaluation.length, p.evaluation.reward] for p in result.curve],
        "validations": validations,
    }


def tell(progress: Progress) -> None:
    """Print an evaluation."""
    e = progress.evaluation
    line = f"step {progress.step}: length {e.length:.1f}, return {e.reward:.0f}, {progress.train_s:.1f} s"
    print(line, file=sys.stderr, flush=True)


def train(config: PaperConfig, seeds: int, path: Path | None, part: str = "full") -> list[dict[str, Any]]:
    """Train the seeds that the file at `path` lacks under `part`; and return all of that."""
    settings = json.loads(json.dumps(to_dict(config)))
    stored: dict[str, Any] = json.loads(path.read_text()) if path is not None and path.exists() else {}
    done: list[dict[str, Any]] = []
    if part in stored and stored[part]["settings"] == settings:
        done = stored[part]["seeds"]
    trainer: PaperTrainer | None = None
    for seed in range(seeds):
        if any(run["seed"] == seed for run in done):
            continue
        trainer = trainer or PaperTrainer(config)
        print(f"{part}, seed {seed}", file=sys.stderr)
        done.append(record(seed, trainer.train(seed, tell)))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, stored | {part: {"settings": settings, "seeds": done}})
    return [run for run in done if run["seed"] < seeds]


def ablate(seeds: int) -> list[report.Result]:
    """Train without each of the recipe's parts; final lengths, with the returns, beside those with all."""
    # The decay of exploration starts behind the last step: leaving it out changes nothing.
    parts = [field.name for field in dataclasses.fields(AblationConfig) if field.name != "exploration_decay"]
    runs: dict[str, list[dict[str, Any]]] = {}
    for some in range(1, seeds + 1):  # one seed of all parts before the next: a table can be had early
        for part in parts:
            config = PaperConfig(evaluate_every=100_000, ablation=AblationConfig(**{part: False}))
            runs[f"no {part}"] = train(config, some, ABLATIONS, part)
    runs = {"full": train(PaperConfig(), seeds, RESULTS)} | runs
    results = []
    for name, found in runs.items():
        lengths = [run["final"]["length"] for run in found]
        results.append(
            report.result(
                f"final length, {name}",
                statistics.median(lengths),
                "steps",
                "higher",
                seeds=[round(value, 1) for value in lengths],
                returns=[round(run["final"]["return"]) for run in found],
            )
        )
    return results


def measure(arguments: argparse.Namespace) -> list[report.Result]:
    """The figures of all seeds, with their targets."""
    if arguments.quick:
        runs = train(PaperConfig(steps=40_001, evaluate_every=40_000), 1, None)
    else:
        runs = train(PaperConfig(), arguments.seeds or 10, RESULTS)

    def spread(values: list[float]) -> dict[str, Any]:
        return {"seeds": [round(value, 2) for value in values]}

    lengths = [run["final"]["length"] for run in runs]
    returns = [run["final"]["return"] for run in runs]
    longest = [run["best"]["length"] for run in runs]
    seconds = [run["train_cpu_s"] for run in runs]
    median = statistics.median
    return [
        report.result(
            "final length, median", median(lengths), "steps", "higher", 450.0, PEER, 453.0, **spread(lengths)
        ),
        report.result("final return, median", median(returns), "reward", "higher", 0.0, **spread(returns)),
        report.result("best length, median", median(longest), "steps", "higher", 456.0, **spread(longest)),
        report.result(
            "CPU time of training, median", median(seconds), "s", "lower", 20.0, PEER, 26.0, **spread(seconds)
        ),
    ]


def main() -> int:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--seeds", type=int, help="seeds 0 to N - 1; 10, or 3 for each ablation")
    parser.add_argument("--ablations", action="store_true", help="leave out one part after the other")
    arguments = parser.parse_args()
    use_one_thread()
    use_disk_cache()
    if arguments.ablations:
        return report.finish("flight_paper_ablations", ablate(arguments.seeds or 3), arguments)
    return report.finish("flight_paper", measure(arguments), arguments)


if __name__ == "__main__":
    sys.exit(main())
