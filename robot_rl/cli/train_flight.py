"""`robot-rl train quadrotor_hover`: a policy learns to fly in seconds, in this process."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from policies.bundle import MLP, Bundle, save_bundle
from robot_rl.cli.arguments import parse_with_settings
from robot_rl.cli.flight_report import draw_training, figures, heading, training_rows
from robot_rl.cli.report import print_json, print_table
from robot_rl.cli.words import default_out, take_option
from robot_rl.core.errors import ConfigError, RobotRlError
from robot_rl.data.run_directory import RunDirectory, check_vacant, provenance, versions
from robot_rl.learn.flight.paper_settings import PaperConfig
from robot_rl.tasks.flight import FlightTask, Flying, preset, presets_of, spec_of
from sim.quadrotor.parameters import SETS, load_parameters


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


@dataclass(frozen=True)
class _Run:
    """What the two ways of training share."""

    name: str
    preset: str
    seed: int
    directory: RunDirectory
    quiet: bool

    def say(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def save(self, folder: Path, task: Flying, weights: Mapping[str, np.ndarray], version: int) -> None:
        source = provenance(self.name, self.seed) | {"preset": self.preset}
        save_bundle(folder, Bundle(spec_of(self.name, task), weights, version, source, MLP))


def main(argv: list[str]) -> int:
    """Run the command; `argv` begins with the name of the task."""
    name, chosen, options, task = parse(argv)
    out = options.out or default_out(name)
    summary = train(name, chosen, task, options.seed, out, options.evaluate, quiet=options.json)
    if options.json:
        print_json(summary)
        return 0
    print_table(heading(summary), training_rows(summary, task))
    for what in ("summary.json", "policy", "policy_best", "flights.png", "flights.html"):
        if (out / what).exists():
            print(f"{what:<12} {out / what}")
    return 0


def parse(argv: list[str]) -> tuple[str, str, TrainFlightOptions, Flying]:
    """Parse `TASK [--preset NAME] [--config FILE] [options] [--section.setting value]`."""
    name, *rest = argv
    rest, chosen = take_option(rest, "--preset")
    chosen, task = preset(name, chosen)
    description = f"Learn to fly. --preset {'|'.join(presets_of(name))} chooses the settings."
    return name, chosen, *parse_with_settings(TrainFlightOptions, task, rest, f"train {name}", description)


def train(
    name: str, chosen: str, task: Flying, seed: int, out: Path, evaluate: bool = True, quiet: bool = False
) -> dict[str, Any]:
    """Train, write the run directory, and return its summary."""
    began = time.monotonic()
    if isinstance(task, PaperConfig) and not evaluate:
        raise ConfigError(
            "the paper's training chooses its best checkpoint by flights: leave --no-evaluate out"
        )
    check_vacant(out, resumable=False)
    task = with_own_vehicles(task, out)
    from robot_rl.learn.compile import use_disk_cache, use_one_thread

    use_one_thread()
    use_disk_cache()
    run = _Run(name, chosen, seed, RunDirectory.create(out, task, name, seed), quiet)
    summary: dict[str, Any] = {"task": name, "preset": chosen, "seed": seed}
    if isinstance(task, PaperConfig):
        summary |= _by_the_paper(run, task)
    else:
        summary |= _by_gradients(run, task, evaluate)
    summary |= {
        "wall_s": round(time.monotonic() - began, 2),
        "cpu_s": round(time.process_time(), 2),
        "interventions": 0,
        "versions": versions(),
    }
    run.directory.write_summary(summary)
    run.directory.close()
    if summary["evaluation"]:
        draw_training(out, summary, task)
    return summary


def with_own_vehicles(task: Flying, out: Path) -> Flying:
    """The task with its files of quadrotors copied into the run, which then changes with them no more."""
    sets = (task.vehicle,) if isinstance(task, PaperConfig) else task.flight.vehicle.sets
    copies: dict[str, str] = {}
    for name in sets:
        load_parameters(name)  # says what is wrong with it
        if name in SETS:
            copies[name] = name
            continue
        file = Path(name)
        copy = (out / "vehicles" / file.name).resolve()
        if str(copy) in copies.values():
            raise ConfigError(f"two quadrotors are called {file.name}: rename one of the files")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        copies[name] = str(copy)
    if isinstance(task, PaperConfig):
        return dataclasses.replace(task, vehicle=copies[task.vehicle])
    vehicle = dataclasses.replace(task.flight.vehicle, sets=tuple(copies[name] for name in sets))
    return dataclasses.replace(task, flight=dataclasses.replace(task.flight, vehicle=vehicle))


def _by_gradients(run: _Run, task: FlightTask, evaluate: bool) -> dict[str, Any]:
    from robot_rl.learn.flight.trainer import Trainer

    run.say("compiling")
    settings = task.gradient
    trainer = Trainer(settings, task.training, task.spec)
    curve: list[tuple[int, Mapping[str, float]]] = []

    def on_block(updates: int, metrics: Mapping[str, float]) -> None:
        curve.append((updates * settings.worlds * settings.window, metrics))
        run.say(
            f"{updates:>5} of {settings.updates} updates, cost {metrics['cost']:.2f}, "
            f"distance {100 * metrics['distance']:.1f} cm"
        )

    trained = trainer.train(settings, run.seed, on_block)
    if 2 * trained.invalid > trained.updates:
        raise RobotRlError(
            f"{trained.invalid} of {trained.updates} gradients were not finite, so nothing was learned: make "
            "noise, disturbances, starts or gradient.window smaller"
        )
    run.save(run.directory.policy, task, trained.weights, trained.updates)
    flying = time.process_time()
    for steps, metrics in curve:  # not before: loading what writes them takes as long as a training
        run.directory.log(steps, {f"training/{name}": value for name, value in metrics.items()})
    judged = {}
    if evaluate:
        from robot_rl.learn.flight.judge import Judge

        for vehicle, flights in task.evaluations().items():
            run.say(f"judging on {vehicle}")
            judged[vehicle] = Judge(task.spec, flights, task.episodes)(trained.weights)
    return {
        "env_steps": trained.env_steps,
        "updates": trained.updates,
        "invalid_updates": trained.invalid,
        "train_s": round(trained.wall_s, 3),
        "train_cpu_s": round(trained.cpu_s, 3),
        "compile_cpu_s": round(trainer.compile_cpu_s, 2),
        "flying_cpu_s": round(flying, 2),
        "success_rate": min((e.alive for e in judged.values()), default=None),
        "episodes": sum(e.episodes for e in judged.values()),
        "evaluation": figures(judged),
    }


def _by_the_paper(run: _Run, task: PaperConfig) -> dict[str, Any]:
    from robot_rl.learn.flight.paper import Progress, train_paper

    run.say("compiling")
    began = time.monotonic()

    def on_progress(progress: Progress) -> None:
        e = progress.evaluation
        found = {"evaluation/length": e.length, "evaluation/alive": e.alive, "evaluation/reward": e.reward}
        if (validation := progress.validation) is not None:
            found |= {f"validation/{name}": value for name, value in validation.figures().items()}
        run.directory.log(progress.step, found)
        run.say(f"{progress.step:>6} of {task.steps} steps: length {e.length:.0f}, return {e.reward:.0f}")

    result = train_paper(task, run.seed, on_progress)
    final, best = result.final, result.best
    run.save(run.directory.policy, task, final.weights, final.progress.step)
    run.save(run.directory.path / "policy_best", task, best.weights, best.progress.step)
    judged = {"final": final.progress.evaluation, "best": best.progress.evaluation}
    return {
        "env_steps": task.steps,
        "updates": final.progress.critic_updates,
        "train_s": round(time.monotonic() - began, 2),
        "train_cpu_s": round(result.train_s, 2),
        "compile_cpu_s": round(result.compile_s, 2),
        "success_rate": final.progress.evaluation.alive,
        "episodes": final.progress.episodes,
        "best_step": best.progress.step,
        "validation": final.progress.validation.figures() if final.progress.validation else None,
        "evaluation": figures(judged),
    }
