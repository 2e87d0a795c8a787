"""A picture of flights: their paths in space, and how far they are from their references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.show.flights import Flights


def draw_flights(path: Path, title: str, flights: Flights) -> None:
    """Write a PNG file.

    Args:
        path: Of the file.
        title: Above the picture.
        flights: What it shows; a cross marks where a flight ended early.
    """
    import matplotlib  # heavy, and needed only here

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(10, 4.5), layout="constrained")
    space: Any = figure.add_subplot(1, 2, 1, projection="3d")
    beside = figure.add_subplot(1, 2, 2)
    wanted, distance = flights.reference, 100.0 * flights.distance
    if np.ptp(wanted, axis=0).max() > 0.0:
        space.plot(*wanted[:, 0].T, color="black", linewidth=1, linestyle="--", label="reference")
        space.legend(loc="upper right")
    for i, rows in enumerate(flights.rows):
        if rows == 0:
            continue
        flown = flights.position[:rows, i]
        space.plot(*flown.T, linewidth=1)
        beside.semilogy(flights.time[:rows], distance[:rows, i], linewidth=1)
        if not flights.completed[i]:
            space.plot(*flown[-1:].T, "rx")
            beside.semilogy(flights.time[rows - 1], distance[rows - 1, i], "rx")
    space.set(xlabel="x [m]", ylabel="y [m]", zlabel="z [m]", title=title)
    beside.set(xlabel="time [s]", ylabel="distance from the reference [cm]")
    beside.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)
