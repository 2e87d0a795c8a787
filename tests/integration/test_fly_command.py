"""`robot-rl fly`, as a user calls it, and how its flights are recorded."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from policies.firmware import CORTEX_M4, HOST
from policies.flight_process import Status
from robot_rl.cli import main
from robot_rl.cli.firmware_flights import ROTORS, recorded
from robot_rl.cli.fly import FLIGHTS, NAMES
from robot_rl.learn.flight.judge import thrown
from robot_rl.tasks.quadrotor_firmware import FirmwareFlight
from sim.quadrotor.parameters import L2F_PAPER
from sim.quadrotor.settings import FlightSettings

NEEDED = ("cmake", "arm-none-eabi-gcc", "qemu-system-arm")


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(shutil.which, NEEDED)) and not os.environ.get("CI"),
    reason=f"needs {', '.join(NEEDED)}: make system-deps",
)
def test_from_nothing_to_a_flying_microcontroller(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fly", "--out", str(tmp_path / "a"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["evaluation"]["l2f-paper"]["alive"] > 0.95
    for target in (HOST, CORTEX_M4):
        assert summary["firmware"][target]["completed"] == FLIGHTS
        assert summary["firmware"][target]["error_m"] < 0.1
    page = (tmp_path / "a" / "flights.html").read_text()
    assert all(f'"name": "{name}"' in page for name in ("Simulator, l2f-paper", *NAMES.values()))


def flight_of(ticks: int) -> FirmwareFlight:
    states = np.zeros((ticks, ROTORS.stop))
    states[:, 0] = 0.01 * np.arange(ticks)
    return FirmwareFlight(
        0.002 * np.arange(ticks), states, np.zeros((ticks, 6)), np.zeros((ticks, 4)), Status.FLYING, {}
    )


def test_a_flight_counts_until_it_was_stopped_or_has_left_its_box() -> None:
    flights = [flight_of(50), flight_of(30), flight_of(100)]
    wrenches = np.tile([0.1 * L2F_PAPER.mass * L2F_PAPER.gravity, 0.0, 0.0, 0.0, 0.0, 0.0], (3, 1))
    found = recorded("three", L2F_PAPER, flights, wrenches, 0.6, 2000)
    assert found.period == 0.002
    np.testing.assert_array_equal(found.rows, [50, 30, 61])
    assert not found.completed.any()
    np.testing.assert_allclose(found.push[..., 0], 0.1)
    np.testing.assert_array_equal(
        recorded("one", L2F_PAPER, flights[:1], wrenches[:1], 0.6, 2000).completed, [True]
    )


def test_flights_start_and_are_pushed_as_in_an_evaluation() -> None:
    task = FlightSettings()
    starts, wrenches = thrown(L2F_PAPER, task, 3000)
    assert starts.shape == (3000, 17)
    np.testing.assert_allclose(np.linalg.norm(starts[:, 3:7], axis=1), 1.0, atol=1e-6)
    turned = 2.0 * np.arccos(np.abs(starts[:, 6]))
    for found, largest in (
        (turned, task.start.angle),
        (np.abs(starts[:, :3]), task.start.position),
        (np.abs(starts[:, 7:10]), task.start.velocity),
        (np.abs(starts[:, 10:13]), task.start.rates),
    ):
        assert 0.95 * largest < found.max() <= largest * (1 + 1e-3)
    assert turned.min() > 0.0
    weight = L2F_PAPER.mass * L2F_PAPER.gravity
    np.testing.assert_allclose(wrenches[:, :3].std(axis=0), weight / 20, rtol=0.05)
    np.testing.assert_allclose(wrenches[:, 3:].std(axis=0), weight / 10_000, rtol=0.05)
