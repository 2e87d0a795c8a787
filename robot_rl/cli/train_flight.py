"""`robot-rl train quadrotor_hover`: a policy learns to fly in seconds, in this process."""

from __future__ import annotations

import dataclasses
import importlib
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from policies.bundle import Bundle, save_bundle
from robot_rl.cli.flight_report import draw_flights, figures, rows_of
from robot_rl.cli.report import print_json, print_table
from robot_rl.core.config import load_yaml
from robot_rl.core.errors import ConfigError
from robot_rl.data.run_directory import RunDirectory, check_vacant, provenance, versions
from robot_rl.tasks.flight import FlightTask, preset
from sim.quadrotor.settings import PERIOD


@dataclass(frozen=True)
class TrainFlightOptions:
    """Options of `robot-rl train` for a quadrotor."""

    seed: int = 0
    """Seeds everything: weights, starts, disturbances, noise."""
    out: Path | None = None
    """Run directory; by default a new one below runs/."""
    evaluate: bool = True
    """Judge the policy by flights, and draw some of them."""
    json: bool = False
    """Print the summary as one JSON object instead of a table."""


def main(argv: list[str]) -> int:
    """Run the command; `argv` begins with the name of the task."""
    name, options, task = parse(argv)
    out = options.out or Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    summary = run(task, options.seed, out, options.evaluate, quiet=options.json)
    if options.json:
        print_json(summary)
        return 0
    rows = [
        ("training", f"{summary['train_s']:.1f} s, {summary['train_cpu_s']:.1f} s of processor time"),
        ("compilation", f"{summary['compile_s']:.1f} s, {summary['compile_cpu_s']:.1f} s of processor time"),
        ("updates", f"{summary['updates']}, {summary['env_steps'] / 1e6:.2f} M steps"),
    ]
    if summary["evaluation"]:
        moving = task.flight.reference.kind != "hover"
        steps = next(iter(task.evaluations().values())).steps
        rows += rows_of(summary["evaluation"], steps, moving)
    print_table(f"{name}, seed {options.seed}", rows)
    print(f"summary  {out / 'summary.json'}")
    print(f"policy   {out / 'policy'}")
    if summary["evaluation"]:
        print(f"flights  {out / 'flights.png'}")
    return 0


def parse(argv: list[str]) -> tuple[str, TrainFlightOptions, FlightTask]:
    """Parse `TASK [--preset NAME] [--config FILE] [options] [--section.setting value]`."""
    name, *rest = argv
    presets = importlib.import_module(f"robot_rl.tasks.{name}").PRESETS
    rest, chosen = _take(rest, "--preset")
    rest, file = _take(rest, "--config")
    task = preset(presets, chosen or next(iter(presets)))
    if file is not None:
        task = load_yaml(type(task), Path(file), task)
    arguments: Any = dataclasses.make_dataclass(
        "Arguments",
        [
            ("options", Annotated[TrainFlightOptions, tyro.conf.arg(name="")]),
            ("settings", Annotated[type(task), tyro.conf.arg(name="")], dataclasses.field(default=task)),
        ],
    )
    parsed = tyro.cli(
        arguments,
        args=rest,
        prog=f"robot-rl train {name}",
        description=f"Learn to fly. --preset {'|'.join(presets)} chooses the settings that the others "
        "change; --config FILE reads them from a YAML file.",
    )
    return name, parsed.options, parsed.settings


def _take(argv: list[str], name: str) -> tuple[list[str], str | None]:
    for i, word in enumerate(argv):
        if word == name:
            if i + 1 == len(argv):
                raise ConfigError(f"{name} needs a value")
            return argv[:i] + argv[i + 2 :], argv[i + 1]
        if word.startswith(name + "="):
            return argv[:i] + argv[i + 1 :], word.partition("=")[2]
    return argv, None


def run(task: FlightTask, seed: int, out: Path, evaluate: bool = True, quiet: bool = False) -> dict[str, Any]:
    """Train, write the run directory, and return its summary."""
    began = time.monotonic()
    check_vacant(out)
    from robot_rl.learn.compile import use_disk_cache, use_one_thread

    use_one_thread()
    use_disk_cache()
    from robot_rl.learn.flight.trainer import Trainer

    directory = RunDirectory.create(out, task, task.name, seed)
    spec = task.spec
    _say("compiling", quiet)
    trainer = Trainer(task.gradient, task.training, spec, task.rotor_lag)
    per_update = task.gradient.worlds * task.gradient.window

    curve: list[tuple[int, Mapping[str, float]]] = []

    def on_block(updates: int, metrics: Mapping[str, float]) -> None:
        curve.append((updates * per_update, metrics))
        _say(
            f"{updates:>5} of {task.gradient.updates} updates, cost {metrics['cost']:.2f}, "
            f"distance {100 * metrics['distance']:.1f} cm",
            quiet,
        )

    trained = trainer.train(task.gradient, seed, on_block)
    source = provenance(task.name, seed) | {"env_steps": trained.env_steps}
    save_bundle(directory.policy, Bundle(spec, trained.weights, trained.updates, source, "tanh-mlp"))
    flying = time.monotonic() - began
    for steps, metrics in curve:  # not before: loading what writes them takes as long as a training
        directory.log(steps, {f"training/{name}": value for name, value in metrics.items()})
    judged = {}
    if evaluate:
        from robot_rl.learn.flight.judge import judge, show

        for vehicle, flights in task.evaluations().items():
            _say(f"judging on {vehicle}", quiet)
            judged[vehicle] = judge(spec, trained.weights, flights, task.episodes)
        flown, wanted = show(spec, trained.weights, next(iter(task.evaluations().values())))
        draw_flights(out / "flights.png", f"{task.name}, seed {seed}", flown, wanted, PERIOD)
    summary = {
        "task": task.name,
        "seed": seed,
        "env_steps": trained.env_steps,
        "updates": trained.updates,
        "invalid_updates": trained.invalid,
        "wall_s": round(time.monotonic() - began, 2),
        "flying_s": round(flying, 2),
        "train_s": round(trained.wall_s, 3),
        "train_cpu_s": round(trained.cpu_s, 3),
        "compile_s": round(trainer.compile_wall_s, 2),
        "compile_cpu_s": round(trainer.compile_cpu_s, 2),
        "cpu_s": round(time.process_time(), 2),
        "success_rate": min((e.alive for e in judged.values()), default=None),
        "episodes": sum(e.episodes for e in judged.values()),
        "interventions": 0,
        "evaluation": figures(judged),
        "versions": versions(),
    }
    directory.write_summary(summary)
    directory.close()
    return summary


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        print(text, file=sys.stderr, flush=True)
