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
    figure.suptitle(title)
    limits = np.array([space.get_xlim(), space.get_ylim(), space.get_zlim()])
    widest = np.ptp(limits, axis=1).max()
    # A flat course still has room for the numbers at its axes.
    extent = np.maximum(np.ptp(limits, axis=1), 0.4 * widest)
    low, high = limits.mean(axis=1) - extent / 2.0, limits.mean(axis=1) + extent / 2.0
    space.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    space.set(xlabel="x [m]", ylabel="y [m]", zlabel="z [m]")
    space.set_box_aspect(extent, zoom=0.8)
    space.locator_params(nbins=4)
    beside.set(xlabel="time [s]", ylabel="distance from the reference [cm]")
    lowest, highest = beside.get_ylim()
    beside.set_ylim(max(0.1, lowest), max(10.0, highest))
    beside.yaxis.set_major_formatter("{x:g}")
    beside.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)
