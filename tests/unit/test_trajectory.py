"""Minimum-jerk trajectories."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rl.control.trajectory import PEAK_SPEED, CartesianTrajectory, JointTrajectory, minimum_jerk
from robot_rl.core.frames import conjugate, multiply, quaternion_from_rotation_vector, rotation_vector
from robot_rl.core.types import Pose


def test_starts_and_ends_at_rest_without_acceleration() -> None:
    assert minimum_jerk(0.0) == 0.0
    assert minimum_jerk(1.0) == pytest.approx(1.0, abs=1e-15)
    assert minimum_jerk(-3.0) == 0.0
    assert minimum_jerk(3.0) == pytest.approx(1.0, abs=1e-15)
    # Velocity and acceleration vanish at the ends when s grows as the third power there.
    assert minimum_jerk(1e-3) == pytest.approx(10e-9, rel=1e-2)
    assert 1.0 - minimum_jerk(1.0 - 1e-3) == pytest.approx(10e-9, rel=1e-2)


def test_peak_speed_is_in_the_middle() -> None:
    x = np.linspace(0.0, 1.0, 10_001)
    speed = np.diff([minimum_jerk(v) for v in x]) / np.diff(x)
    assert speed.max() == pytest.approx(PEAK_SPEED, rel=1e-6)
    assert x[speed.argmax()] == pytest.approx(0.5, abs=1e-3)


@given(x=st.floats(0, 1))
def test_is_symmetric(x: float) -> None:
    assert minimum_jerk(x) + minimum_jerk(1.0 - x) == pytest.approx(1.0, abs=1e-12)


def test_joints_keep_their_speed_and_arrive_together() -> None:
    start, goal = np.array([0.0, 1.0, -2.0]), np.array([1.0, 0.9, -2.0])
    path = JointTrajectory.within(start, goal, np.array([0.5, 1.0, 1.0]))
    assert path.duration == pytest.approx(PEAK_SPEED * 1.0 / 0.5)
    times = np.linspace(0.0, path.duration, 2001)
    speed = np.abs(np.diff([path.at(t) for t in times], axis=0)) / np.diff(times)[:, None]
    assert speed.max() == pytest.approx(0.5, rel=1e-5)
    np.testing.assert_array_equal(path.at(0.0), start)
    np.testing.assert_allclose(path.at(path.duration), goal, atol=1e-12)
    np.testing.assert_allclose(path.at(path.duration / 2), (start + goal) / 2, atol=1e-12)


def test_line_and_turn_stay_below_both_speeds() -> None:
    a = Pose(np.array([0.4, 0.0, 0.2]), quaternion_from_rotation_vector(np.array([math.pi, 0.0, 0.0])))
    turn = quaternion_from_rotation_vector(np.array([0.0, 0.0, 1.2]))
    b = Pose(np.array([0.4, 0.3, 0.2]), multiply(turn, a.quaternion))
    path = CartesianTrajectory.within(a, b, linear_speed=0.2, angular_speed=0.5)
    assert path.duration == pytest.approx(PEAK_SPEED * 1.2 / 0.5)
    times = np.linspace(0.0, path.duration, 501)
    poses = [path.at(t) for t in times]
    step = times[1]
    for p, q in itertools.pairwise(poses):
        assert np.linalg.norm(q.position - p.position) / step <= 0.2
        spin = rotation_vector(multiply(q.quaternion, conjugate(p.quaternion)))
        assert np.linalg.norm(spin) / step <= 0.5 + 1e-6
        assert np.linalg.norm(spin[:2]) < 1e-9
    np.testing.assert_allclose(poses[-1].position, b.position, atol=1e-12)
    assert abs(float(poses[-1].quaternion @ b.quaternion)) == pytest.approx(1.0)


def test_no_way_takes_no_time() -> None:
    here = Pose(np.array([0.4, 0.0, 0.2]), np.array([0.0, 0.0, 0.0, 1.0]))
    path = CartesianTrajectory.within(here, here, 0.2, 0.5)
    assert path.duration == 0.0
    np.testing.assert_array_equal(path.at(0.0).position, here.position)
