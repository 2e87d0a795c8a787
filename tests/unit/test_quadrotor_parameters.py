from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from robot_rl.core.errors import ConfigError
from sim.quadrotor.native import NativeStepper
from sim.quadrotor.parameters import L2F_PAPER, SETS, load_parameters, save_parameters
from sim.quadrotor.settings import RandomisationSettings


def test_the_paper_s_crazyflie_hovers_where_the_paper_says() -> None:
    assert math.isclose(L2F_PAPER.thrust_to_weight, 2.2476, rel_tol=1e-4)
    assert math.isclose(L2F_PAPER.hover_speed * L2F_PAPER.max_rpm, 14475.8, rel_tol=1e-5)
    assert math.isclose(L2F_PAPER.hover_action, 0.33405, abs_tol=1e-5)


@pytest.mark.parametrize("name", SETS)
def test_rotors_at_hover_speed_carry_the_weight(name: str) -> None:
    quadrotor = load_parameters(name)
    c0, c1, c2 = quadrotor.thrust
    s = quadrotor.hover_speed
    assert math.isclose(4 * (c0 + c1 * s + c2 * s * s), quadrotor.mass * quadrotor.gravity, rel_tol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mass": -0.027}, "mass must be more than 0, not -0.027"),
        ({"mass": math.nan}, "mass must be more than 0, not nan"),
        ({"spin_up_time": 0.0}, "spin_up_time must be more than 0"),
        ({"inertia": (1e-5, 1e-5, 3e-5)}, "is of no body"),
        ({"inertia": (1e-5, -1e-5, 1e-5)}, "is of no body"),
        ({"thrust": (0.0, 0.0, 0.05)}, "it cannot fly: the rotors lift 0.2 N of 0.2649 N"),
        ({"thrust": (0.12, 0.0, 0.0)}, "is of no rotor: standing still it must lift less than"),
        ({"thrust": (0.08, -0.1, 0.18)}, "is of no rotor"),
        ({"thrust": (0.0, 0.4, -0.3)}, "at full speed it must rise"),
        ({"spin": (1.0, 1.0, 1.0, -1.0)}, "spin must be two times -1 and two times 1"),
        ({"rotor_x": (0.1, math.inf, 0.0, 0.0)}, "rotor_x must be finite"),
    ],
)
def test_what_no_quadrotor_is_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(L2F_PAPER, **change)


def test_rotors_faster_than_the_time_step_are_refused() -> None:
    """The Runge-Kutta method would diverge, and the rotors jump between standstill and full speed."""
    quick = dataclasses.replace(L2F_PAPER, name="quick", spin_up_time=0.004)
    with pytest.raises(
        ConfigError, match=r"quick: spin_up_time .* at least 0.005 s .* steps of 0.01 s, not 0.004"
    ):
        NativeStepper(quick)
    NativeStepper(quick, 0.005)


def test_rotors_that_scatter_below_the_time_step_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "quick.yaml"
    save_parameters(dataclasses.replace(L2F_PAPER, spin_down_time=0.006), path)
    RandomisationSettings(sets=(str(path),), lag=0.1)
    with pytest.raises(ConfigError, match=r"spin_down_time must be at least 0\.0065 s"):
        RandomisationSettings(sets=(str(path),), lag=0.3)


def test_a_file_holds_a_set(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    save_parameters(L2F_PAPER, path)
    assert load_parameters(str(path)) == L2F_PAPER
    path.write_text(path.read_text().replace("mass: 0.027", "mass: -1.0"))
    with pytest.raises(ConfigError, match="mass must be more than 0"):
        load_parameters(str(path))


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'l2f-paper'"):
        load_parameters("l2f-papers")
