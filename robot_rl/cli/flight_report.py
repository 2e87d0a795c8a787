"""What a training or an evaluation of a flying policy shows: a table, and a picture of some flights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robot_rl.cli.report import percent

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
            rows.append((f"{name}: RMS error, 95th percentile", f"{_cm(e['rms'])}, {_cm(e['rms_95'])}"))
        else:
            rows.append((f"{name}: error in the last second", _cm(e["error"])))
            rows.append((f"{name}: return", f"{e['reward']:.0f}"))
    return rows


def draw_flights(path: Path, title: str, flown: np.ndarray, wanted: np.ndarray, period: float) -> None:
    """Write a picture: paths in space, and the distance from the reference over time.

    Args:
        path: Of the PNG file.
        title: Above it.
        flown: Positions (steps, flights, 3) [m].
        wanted: Those of the reference [m].
        period: Time of a step [s].
    """
    import matplotlib  # heavy, and needed only here

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(10, 4.5), layout="constrained")
    space: Any = figure.add_subplot(1, 2, 1, projection="3d")
    below = figure.add_subplot(1, 2, 2)
    time = period * np.arange(1, len(flown) + 1)
    if np.ptp(wanted, axis=0).max() > 0.0:
        space.plot(*wanted[:, 0].T, color="black", linewidth=1, linestyle="--", label="reference")
        space.legend(loc="upper right")
    for flight in range(flown.shape[1]):
        space.plot(*flown[:, flight].T, linewidth=1)
        distance = np.linalg.norm(flown[:, flight] - wanted[:, flight], axis=-1)
        below.semilogy(time, 100 * distance, linewidth=1)
    space.set(xlabel="x [m]", ylabel="y [m]", zlabel="z [m]", title=title)
    below.set(xlabel="time [s]", ylabel="distance from the reference [cm]")
    below.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _cm(metres: float | None) -> str:
    return "-" if metres is None else f"{100 * metres:.2f} cm"


def _number(value: float) -> float | None:
    return round(value, 5) if value == value else None
