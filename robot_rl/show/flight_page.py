"""A page of flights: one HTML file with everything in it, to be opened from the disk.

The recordings are embedded at 50 rows a second as 16-bit numbers, base64:

    value = scale * number,   scale = largest magnitude / 32767,   -32768 where a flight is over

An axis along which an array does not change has the length 1: a reference that all flights share, a push that
is constant. `page/recording.js` reads it.
"""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from robot_rl.core.errors import ConfigError
from robot_rl.show.flights import Flights

RATE = 50.0
"""Rows a second on the page, at most."""

OVER = -32768
"""Stands for what a flight that is over has no value of."""

MODULES = (
    "vectors.js",
    "recording.js",
    "camera.js",
    "theme.js",
    "drone.js",
    "scene.js",
    "chart.js",
    "charts.js",
    "player.js",
    "pointers.js",
    "words.js",
    "main.js",
)
"""The page's program; each module imports only from those before it."""


def write_page(
    path: Path, title: str, groups: Sequence[Flights], facts: Sequence[tuple[str, str]] = ()
) -> None:
    """Write a page that plays flights in 3-D.

    Args:
        path: Of the HTML file.
        title: Its heading.
        groups: Flights to choose from, such as those in the simulator and those of the firmware.
        facts: What else is to be said, as rows of a table.

    Raises:
        ConfigError: There are no flights.
    """
    if not groups:
        raise ConfigError("a page needs at least one group of flights")
    data = {"title": title, "facts": [list(row) for row in facts], "groups": [encoded(g) for g in groups]}
    files = resources.files("robot_rl.show") / "page"
    text = Template((files / "index.html").read_text()).substitute(
        title=html.escape(title),
        style=(files / "style.css").read_text(),
        # A text may hold "</script>", which would end the element.
        data=json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
        program=program({name: (files / name).read_text() for name in MODULES}),
    )
    path.write_text(text)


def program(modules: dict[str, str]) -> str:
    """Modules as one: a browser lets no module of a file import another file."""
    parts = []
    for name, text in modules.items():
        lines = [line.removeprefix("export ") for line in text.splitlines() if not line.startswith("import ")]
        parts.append("\n".join([f"// ---- {name} ----", *lines]))
    return "\n\n".join(parts)


def encoded(flights: Flights) -> dict[str, Any]:
    """Flights as JSON."""
    stride = max(1, round(1.0 / (RATE * flights.period)))
    kept = np.arange(0, len(flights.position), stride)
    rows = np.searchsorted(kept, flights.rows)
    over = np.arange(len(kept))[:, None] >= rows
    arrays = {
        "position": flights.position,
        "attitude": flights.attitude,
        "rotors": flights.rotors,
        "reference": flights.reference,
        "push": flights.push,
    }
    return {
        "name": flights.name,
        "period": stride * flights.period,
        "steps": len(kept),
        "count": flights.count,
        "rows": rows.tolist(),
        "completed": flights.completed.tolist(),
        "places": flights.places.tolist(),
        "arrays": {name: packed(array[kept], over) for name, array in arrays.items()},
    }


def packed(array: np.ndarray, over: np.ndarray) -> dict[str, Any]:
    """An array (n, k, c) as 16-bit numbers, without the axes n and k where it does not change."""
    known = np.where(over[..., None], np.nan, array.astype(np.float64))
    for axis in (0, 1):
        first = _first_known(known, axis)
        if np.all(np.isnan(known) | (known == first)):
            known = first
    largest = float(np.abs(known).max(initial=0.0, where=np.isfinite(known)))
    scale = largest / 32767.0 if largest > 0.0 and math.isfinite(largest) else 1.0
    whole = np.where(np.isfinite(known), np.rint(np.nan_to_num(known) / scale), OVER)
    return {
        "shape": list(known.shape),
        "scale": scale,
        "data": base64.b64encode(whole.astype("<i2").tobytes()).decode("ascii"),
    }


def _first_known(array: np.ndarray, axis: int) -> np.ndarray:
    index = np.argmax(~np.isnan(array), axis=axis, keepdims=True)
    return np.take_along_axis(array, index, axis)
