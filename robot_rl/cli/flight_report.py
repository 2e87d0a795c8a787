"""What a training or an evaluation of a flying policy shows: a table, a picture and a page of flights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies.bundle import load_bundle
from robot_rl.cli.report import percent
from robot_rl.show.flight_page import write_page
from robot_rl.show.flight_plot import draw_flights
from robot_rl.tasks.flight import Flying, judged_by

if TYPE_CHECKING:
    from sim.quadrotor.evaluation import Evaluation


def figures(judged: Mapping[str, Evaluation]) -> dict[str, dict[str, float | None]]:
    """The evaluations by quadrotor, for JSON: which has no NaN."""
    return {name: {k: _number(v) for k, v in dataclasses.asdict(e).items()} for name, e in judged.items()}


def rows_of(judged: Mapping[str, dict[str, Any]], steps: int, moving: bool) -> list[tuple[str, str]]:
    """Lines of a table: one evaluation, or one a quadrotor."""
    rows = []
    for name, e in judged.items():
        rows += [
            (f"{name}: mean length", f"{e['length']:.1f} of {steps} steps"),
            (f"{name}: flies to the end", percent(e["alive"])),
        ]
        if moving:
            errors = f"{centimetres(e['rms'])}, {centimetres(e['rms_95'])}"
            rows.append((f"{name}: RMS error, 95th percentile", errors))
        else:
            rows.append((f"{name}: error in the last second", centimetres(e["error"])))
            rows.append((f"{name}: return", f"{e['reward']:.0f}"))
    return rows


def heading(summary: Mapping[str, Any]) -> str:
    """What a training was, in words."""
    return f"{summary['task']}, preset {summary['preset']}, seed {summary['seed']}"


def training_rows(summary: Mapping[str, Any], task: Flying) -> list[tuple[str, str]]:
    """Lines of a table: one training, and its evaluation if it had one."""
    rows = [
        ("training", f"{summary['train_s']:.1f} s, {summary['train_cpu_s']:.1f} s of processor time"),
        ("compilation", f"{summary['compile_cpu_s']:.1f} s of processor time"),
        ("updates", f"{summary['updates']}, {summary['env_steps'] / 1e6:.2f} M steps"),
    ]
    if summary["evaluation"]:
        flights = next(iter(judged_by(task).values()))
        rows += rows_of(summary["evaluation"], flights.steps, flights.reference.kind != "hover")
    return rows


def draw_training(out: Path, summary: Mapping[str, Any], task: Flying) -> None:
    """Write flights.png and flights.html, which plays them, beside the policy of a run."""
    from robot_rl.learn.flight.judge import show

    bundle = load_bundle(out / "policy")
    groups = [show(bundle.spec, bundle.weights, flights) for flights in judged_by(task).values()]
    draw_flights(out / "flights.png", heading(summary), groups[0])
    write_page(out / "flights.html", heading(summary), groups, training_rows(summary, task))


def centimetres(metres: float | None) -> str:
    """A length as text; none where nobody survived to be measured."""
    return "-" if metres is None else f"{100 * metres:.2f} cm"


def _number(value: float) -> float | None:
    return round(value, 5) if value == value else None
