"""`robot-rl eval --policy DIR` for a policy that flies a quadrotor."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies.bundle import load_bundle
from robot_rl.cli.arguments import parse
from robot_rl.cli.flight_report import figures, rows_of
from robot_rl.cli.report import print_json, print_table
from robot_rl.core.config import load_yaml
from robot_rl.core.errors import ConfigError
from robot_rl.show.flight_page import write_page
from robot_rl.show.flight_plot import draw_flights
from robot_rl.tasks.flight import Flying, judged_by, preset, spec_of
from sim.quadrotor.settings import RandomisationSettings


@dataclass(frozen=True)
class EvalFlightOptions:
    """Options of `robot-rl eval` for a quadrotor."""

    policy: Path
    """Policy bundle, such as runs/a/policy."""
    episodes: int = 1000
    """Flights with each quadrotor."""
    seed: int = 20_240_101
    """Seeds the flights; all trainings are judged with the default."""
    vehicle: tuple[str, ...] = ()
    """Quadrotors to fly, by name or as YAML files; by default those of the training."""
    config: Path | None = None
    """Settings; by default config.yaml beside the policy, else those of the task's first preset."""
    picture: Path | None = None
    """Draw some of the flights into this PNG file."""
    page: Path | None = None
    """Write this HTML file, which plays some of the flights in 3-D."""
    json: bool = False
    """Print one JSON object instead of a table."""


def main(argv: list[str]) -> int:
    """Run the command."""
    options = parse(EvalFlightOptions, argv, "eval", "Evaluate a policy that flies.")
    if options.episodes < 1:
        raise ConfigError(f"--episodes must be at least 1, not {options.episodes}")
    for name, file, suffix in (("picture", options.picture, ".png"), ("page", options.page, ".html")):
        if file is not None:
            if file.suffix != suffix:
                raise ConfigError(f"--{name} must be the path of a {suffix} file, not {file}")
            file.parent.mkdir(parents=True, exist_ok=True)  # before anything is flown
    report = run(options)
    if options.json:
        print_json(report)
        return 0
    rows = rows_of(report["evaluation"], report["steps"], report["moving"])
    print_table(f"{report['task']}, {report['episodes']} flights each", rows)
    for file in (options.picture, options.page):
        if file is not None:
            print(f"flights  {file}")
    return 0


def run(options: EvalFlightOptions) -> dict[str, Any]:
    """Fly, and return the report."""
    bundle = load_bundle(options.policy)
    name = bundle.spec.name
    task = settings_of(name, bundle.provenance.get("preset"), options)
    bundle.spec.check_same(spec_of(name, task), f"the policy {options.policy}", "the task")
    judged = judged_by(task)
    first = next(iter(judged.values()))
    if options.vehicle:
        judged = {
            vehicle: dataclasses.replace(first, vehicle=RandomisationSettings(sets=(vehicle,)))
            for vehicle in options.vehicle
        }
    from robot_rl.learn.compile import use_disk_cache, use_one_thread

    use_one_thread()
    use_disk_cache()
    from robot_rl.learn.flight.judge import Judge, show

    found = {
        vehicle: Judge(bundle.spec, flights, options.episodes, options.seed)(bundle.weights)
        for vehicle, flights in judged.items()
    }
    report = {
        "task": name,
        "policy": str(options.policy),
        "policy_version": bundle.version,
        "seed": options.seed,
        "episodes": options.episodes,
        "steps": first.steps,
        "moving": first.reference.kind != "hover",
        "success_rate": min(e.alive for e in found.values()),
        "evaluation": figures(found),
    }
    if options.picture or options.page:
        groups = [show(bundle.spec, bundle.weights, flights, options.seed) for flights in judged.values()]
        title = f"{name}, version {bundle.version}, flights of seed {options.seed}"
        if options.picture:
            draw_flights(options.picture, title, groups[0])
        if options.page:
            write_page(options.page, title, groups, rows_of(figures(found), first.steps, report["moving"]))
    return report


def settings_of(name: str, trained_by: str | None, options: EvalFlightOptions) -> Flying:
    """The settings that a policy was trained with: those given, or beside it, or those of its preset."""
    _, task = preset(name, trained_by)
    beside = options.policy.resolve().parent / "config.yaml"
    file = options.config or (beside if beside.exists() else None)
    return task if file is None else load_yaml(type(task), file, task)
