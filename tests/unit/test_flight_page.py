"""Recorded flights, and what a page embeds of them."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rl.core.errors import ConfigError, SpecError
from robot_rl.show.flight_page import MODULES, OVER, RATE, encoded, program, write_page
from robot_rl.show.flight_plot import draw_flights
from tests.unit.show_samples import flights_of


def decoded(packed: dict[str, Any]) -> np.ndarray:
    """What `page/recording.js` makes of an array."""
    numbers = np.frombuffer(base64.b64decode(packed["data"]), "<i2").reshape(packed["shape"])
    return np.where(numbers == OVER, np.nan, packed["scale"] * numbers)


def embedded(page: Path) -> dict[str, Any]:
    found = re.search(
        r'<script id="data" type="application/json">(.*?)</script>', page.read_text(), re.DOTALL
    )
    assert found is not None
    return json.loads(found.group(1))


def test_a_page_holds_the_flights(tmp_path: Path) -> None:
    flights = flights_of(steps=301, count=4)
    write_page(tmp_path / "a.html", "title", [flights], [("seed", "3")])
    data = embedded(tmp_path / "a.html")
    assert data["title"] == "title"
    assert data["facts"] == [["seed", "3"]]
    (group,) = data["groups"]
    assert group["name"] == flights.name
    assert group["period"] == pytest.approx(1.0 / RATE)
    assert (group["steps"], group["count"]) == (151, 4)
    assert group["rows"] == [151] * 4
    for name in ("position", "attitude", "rotors", "reference", "push"):
        array = getattr(flights, name)
        found = np.broadcast_to(decoded(group["arrays"][name]), (151, 4, array.shape[-1]))
        np.testing.assert_allclose(found, array[::2], atol=0.51 * np.abs(array).max() / 32767)


def test_what_does_not_change_is_embedded_once() -> None:
    flights = flights_of(steps=50, count=3)
    shared = np.broadcast_to(flights.reference[:, :1], flights.reference.shape)
    still = np.broadcast_to(flights.push[:1], flights.push.shape)
    arrays = encoded(dataclasses.replace(flights, reference=shared, push=still))["arrays"]
    assert arrays["position"]["shape"] == [25, 3, 3]
    assert arrays["reference"]["shape"] == [25, 1, 3]
    assert arrays["push"]["shape"] == [1, 3, 3]


def test_a_flight_that_ended_is_embedded_up_to_there() -> None:
    flights = flights_of(steps=100, count=2)
    flights.position[60:, 1] = 1e30  # what comes after must not cost the rest its precision
    flights = dataclasses.replace(flights, length=np.array([100, 60]))
    group = encoded(flights)
    assert group["rows"] == [50, 30]
    assert group["completed"] == [True, False]
    position = decoded(group["arrays"]["position"])
    assert np.isnan(position[30:, 1]).all()
    np.testing.assert_allclose(position[:30, 1], flights.position[:60:2, 1], atol=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["position", "attitude", "rotors", "reference", "push"])
def test_a_number_that_is_none_ends_a_flight(part: str, value: float) -> None:
    flights = flights_of(steps=100, count=3)
    getattr(flights, part)[40, 1] = value
    np.testing.assert_array_equal(flights.rows, [100, 40, 100])
    np.testing.assert_array_equal(flights.completed, [True, False, True])
    assert np.isfinite(flights.distance[:, 0]).all()
    assert np.isnan(flights.distance[40:, 1]).all()
    assert encoded(flights)["rows"] == [50, 20, 50]
    json.dumps(encoded(flights), allow_nan=False)


def test_flights_without_a_single_sound_row_are_shown_as_such(tmp_path: Path) -> None:
    flights = flights_of(steps=20, count=2)
    flights.position[:] = np.nan
    write_page(tmp_path / "a.html", "none", [flights])
    draw_flights(tmp_path / "a.png", "none", flights)
    (group,) = embedded(tmp_path / "a.html")["groups"]
    assert group["rows"] == [0, 0]
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_a_page_without_flights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one group"):
        write_page(tmp_path / "a.html", "none", [])
    with pytest.raises(SpecError, match="at least one row and one flight, not 20 and 0"):
        flights_of(steps=20, count=0)
    with pytest.raises(SpecError, match=r"rotors must have the shape \(20, 2, 4\), not \(20, 2, 3\)"):
        dataclasses.replace(flights_of(steps=20, count=2), rotors=np.zeros((20, 2, 3)))


def test_words_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    evil = "</script><b>&"
    write_page(tmp_path / "a.html", evil, [flights_of(steps=20, count=1)], [(evil, evil)])
    text = (tmp_path / "a.html").read_text()
    assert evil not in text
    assert embedded(tmp_path / "a.html")["facts"] == [[evil, evil]]


def test_a_page_needs_nothing_else(tmp_path: Path) -> None:
    write_page(tmp_path / "a.html", "alone", [flights_of(steps=1301, count=16)])
    text = (tmp_path / "a.html").read_text()
    assert not re.search(r"https?://|\bsrc=|<link rel=\"stylesheet\"|\bimport\b.*\bfrom\b|\bfetch\(", text)
    assert len(text) < 1_000_000
    assert all(f"// ---- {name} ----" in text for name in MODULES)


def test_modules_become_one_program() -> None:
    text = program({"a.js": "export const A = 1;\n", "b.js": 'import { A } from "./a.js";\n\nconst B = A;\n'})
    assert text == "// ---- a.js ----\nconst A = 1;\n\n// ---- b.js ----\n\nconst B = A;"


def test_a_picture_shows_where_a_flight_ended(tmp_path: Path) -> None:
    flights = flights_of(steps=100, count=2)
    draw_flights(tmp_path / "all.png", "flights", flights)
    draw_flights(tmp_path / "one.png", "flights", dataclasses.replace(flights, length=np.array([100, 60])))
    assert (tmp_path / "all.png").read_bytes() != (tmp_path / "one.png").read_bytes()
