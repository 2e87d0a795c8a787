"""The impedance law, on an arm that is nothing but numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rl.control.impedance import ImpedanceGains, ImpedanceLaw, LawMemory
from robot_rl.core.frames import multiply, normalise, quaternion_from_rotation_vector, rotate
from robot_rl.core.types import Pose

PERIOD = 0.002
RIGID = ImpedanceGains(filter_time=0.0, torque_rate=1e9, null_stiffness=(0.0,) * 7)
"""No filter, no rate limit, no posture: the torque is that of the task alone."""


@dataclass(frozen=True)
class Arm:
    """A state that satisfies `PlantState`. Its joints 1 to 6 move the TCP's six axes directly."""

    q: np.ndarray = field(default_factory=lambda: np.zeros(7))
    dq: np.ndarray = field(default_factory=lambda: np.zeros(7))
    position: np.ndarray = field(default_factory=lambda: np.array([0.5, 0.0, 0.2]))
    quaternion: np.ndarray = field(default_factory=lambda: np.array([1.0, 0.0, 0.0, 0.0]))
    jacobian: np.ndarray = field(default_factory=lambda: np.eye(6, 7))
    coriolis: np.ndarray = field(default_factory=lambda: np.zeros(7))
    wrench: np.ndarray = field(default_factory=lambda: np.zeros(6))
    gripper_width: float = 0.08


def settle(gains: ImpedanceGains, arm: Arm, goal: Pose, ticks: int = 500) -> tuple[np.ndarray, LawMemory]:
    """The torque after the filter and the rate limit have come to rest on a blocked arm."""
    law = ImpedanceLaw(gains, PERIOD)
    memory, torque = law.start(arm), np.zeros(7)
    for _ in range(ticks):
        torque, memory = law(memory, arm, goal)
    return torque, memory


def moved(arm: Arm, offset: Sequence[float], turn: Sequence[float] = (0, 0, 0)) -> Pose:
    quaternion = multiply(quaternion_from_rotation_vector(np.array(turn, dtype=float)), arm.quaternion)
    return Pose(arm.position + np.array(offset), quaternion)


def test_no_torque_at_rest_on_the_goal() -> None:
    arm = Arm()
    torque, _ = settle(ImpedanceGains(), arm, moved(arm, (0, 0, 0)))
    np.testing.assert_allclose(torque, 0.0, atol=1e-12)


def test_force_on_a_blocked_arm_is_stiffness_times_clip_whatever_the_wish() -> None:
    arm = Arm()
    for wish in (0.02, 0.1, 5.0):
        torque, _ = settle(ImpedanceGains(null_stiffness=(0.0,) * 7), arm, moved(arm, (wish, 0, 0)))
        assert torque[0] == pytest.approx(2000 * 0.02, rel=1e-6)
        np.testing.assert_allclose(np.delete(torque, 0), 0.0, atol=1e-9)


def test_clips_are_apart_for_each_axis_and_direction() -> None:
    arm = Arm()
    gains = replace(
        RIGID,
        clip_negative=(0.001, 0.002, 0.003, 0.01, 0.02, 0.03),
        clip_positive=(0.004, 0.005, 0.006, 0.04, 0.05, 0.06),
    )
    for axis in range(3):
        for sign, clips in ((-1, gains.clip_negative), (1, gains.clip_positive)):
            offset = tuple(sign * 0.5 if i == axis else 0.0 for i in range(3))
            turn = tuple(sign * 1.0 if i == axis else 0.0 for i in range(3))
            linear, _ = settle(gains, arm, moved(arm, offset), 1)
            angular, _ = settle(gains, arm, moved(arm, (0, 0, 0), turn), 1)
            assert linear[axis] == pytest.approx(sign * 2000 * clips[axis])
            assert angular[3 + axis] == pytest.approx(sign * 150 * clips[3 + axis])


@given(
    turn=st.tuples(*[st.floats(-0.09, 0.09)] * 3),
    attitude=st.tuples(*[st.floats(-3, 3)] * 3),
    flip=st.booleans(),
)
def test_torque_of_a_turn_is_along_its_axis_in_the_base_frame(
    turn: tuple[float, float, float], attitude: tuple[float, float, float], flip: bool
) -> None:
    arm = Arm(quaternion=quaternion_from_rotation_vector(np.array(attitude)))
    gains = replace(RIGID, clip_negative=(1.0,) * 6, clip_positive=(1.0,) * 6)
    goal = moved(arm, (0, 0, 0), turn)
    if flip:
        goal = Pose(goal.position, -goal.quaternion)
    torque, _ = settle(gains, arm, goal, 1)
    angle = math.sqrt(sum(t * t for t in turn))
    expected = 150 * np.array(turn) * (math.sin(angle / 2) / angle if angle > 0 else 0.5)
    np.testing.assert_allclose(torque[3:6], expected, atol=1e-9)


def test_damping_opposes_motion() -> None:
    dq = np.array([0.1, -0.2, 0.3, 0.4, -0.5, 0.6, 0.0])
    arm = Arm(dq=dq)
    torque, _ = settle(RIGID, arm, moved(arm, (0, 0, 0)), 1)
    np.testing.assert_allclose(torque[:3], -89 * dq[:3])
    np.testing.assert_allclose(torque[3:6], -7 * dq[3:6])


def test_jacobian_maps_the_force_to_the_joints() -> None:
    rng = np.random.default_rng(0)
    arm = Arm(jacobian=rng.normal(size=(6, 7)))
    goal = moved(arm, (0.01, -0.02, 0.005))
    torque, _ = settle(RIGID, arm, goal, 1)
    force = np.array([20.0, -40.0, 10.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(torque, arm.jacobian.T @ force, atol=1e-9)


def test_coriolis_is_added() -> None:
    arm = Arm(coriolis=np.arange(7.0))
    torque, _ = settle(RIGID, arm, moved(arm, (0, 0, 0)), 1)
    np.testing.assert_allclose(torque, np.arange(7.0))


def test_null_space_is_that_of_the_damped_pseudo_inverse() -> None:
    rng = np.random.default_rng(1)
    gains = replace(RIGID, null_stiffness=(3.0,) * 7, null_damping_factor=0.2)
    law = ImpedanceLaw(gains, PERIOD)
    start = Arm(jacobian=rng.normal(size=(6, 7)))
    memory = law.start(start)
    q, dq = rng.normal(size=7), rng.normal(size=7)
    torque, _ = law(memory, replace(start, q=q, dq=np.zeros(7)), moved(start, (0, 0, 0)))
    # Spelt out with an SVD, s / (s^2 + l^2) for the singular values s.
    u, s, vt = np.linalg.svd(start.jacobian.T, full_matrices=False)
    pseudo_inverse = vt.T @ np.diag(s / (s * s + 0.04)) @ u.T
    expected = (np.eye(7) - start.jacobian.T @ pseudo_inverse) @ (3.0 * -q)
    np.testing.assert_allclose(torque, expected, atol=1e-9)
    # It damps as a unit inertia wants it, and does not disturb the task where nothing is singular.
    moving, _ = law(memory, replace(start, q=np.zeros(7), dq=dq), moved(start, (0, 0, 0)))
    task = start.jacobian.T @ -(np.array([89.0] * 3 + [7.0] * 3) * (start.jacobian @ dq))
    posture = (np.eye(7) - start.jacobian.T @ pseudo_inverse) @ (-2 * math.sqrt(3.0) * dq)
    np.testing.assert_allclose(moving, task + posture, atol=1e-9)


def test_torque_changes_no_faster_than_its_rate() -> None:
    arm = Arm()
    law = ImpedanceLaw(ImpedanceGains(filter_time=0.0), PERIOD)
    memory, previous = law.start(arm), np.zeros(7)
    for goal in [moved(arm, (1, 1, 1))] * 20 + [moved(arm, (-1, 1, -1))] * 60:
        torque, memory = law(memory, arm, goal)
        assert np.abs(torque - previous).max() <= 1000 * PERIOD + 1e-9
        previous = torque
    assert previous[0] == pytest.approx(-40.0)


def test_target_follows_the_goal_with_its_time_constant_at_any_period() -> None:
    arm = Arm()
    goal = moved(arm, (0.1, 0, 0), (0, 0, 0.2))
    for period in (0.001, 0.002, 0.01):
        law = ImpedanceLaw(ImpedanceGains(filter_time=0.05), period)
        memory = law.start(arm)
        for _ in range(round(0.05 / period)):
            _, memory = law(memory, arm, goal)
        assert memory.position[0] - 0.5 == pytest.approx(0.1 * (1 - math.exp(-1)), rel=1e-6)
        turned = multiply(np.array(memory.quaternion), arm.quaternion * [-1, -1, -1, 1])
        assert 2 * math.asin(turned[2]) == pytest.approx(0.2 * (1 - math.exp(-1)), rel=1e-2)
        assert math.hypot(*memory.quaternion) == pytest.approx(1.0, abs=1e-12)


def test_a_quaternion_and_its_negative_are_the_same_goal() -> None:
    arm = Arm()
    goal = moved(arm, (0, 0, 0), (0, 0, 0.05))
    same = Pose(goal.position, -goal.quaternion)
    for ticks in (1, 5, 50):
        torque, _ = settle(ImpedanceGains(), arm, goal, ticks)
        np.testing.assert_allclose(settle(ImpedanceGains(), arm, same, ticks)[0], torque, atol=1e-12)


def test_integral_grows_to_its_bound_and_starts_again_with_a_new_goal() -> None:
    arm = Arm()
    gains = replace(RIGID, integral=(100.0,) * 6, integral_clip=(0.001,) * 6)
    law = ImpedanceLaw(gains, PERIOD)
    goal = moved(arm, (0.005, 0, 0))
    memory = law.start(arm)
    torques = []
    for _ in range(200):
        torque, memory = law(memory, arm, goal)
        torques.append(torque[0])
    assert torques[0] == pytest.approx(10.0 + 100 * 0.005 * PERIOD)
    assert torques[-1] == pytest.approx(10.0 + 100 * 0.001)
    torque, memory = law(memory, arm, Pose(goal.position.copy(), goal.quaternion))
    assert torque[0] == pytest.approx(torques[0])


def test_is_a_pure_function() -> None:
    rng = np.random.default_rng(2)
    arm = Arm(q=rng.normal(size=7), dq=rng.normal(size=7), jacobian=rng.normal(size=(6, 7)))
    law = ImpedanceLaw(ImpedanceGains(), PERIOD)
    memory = law.start(arm)
    goal = moved(arm, (0.01, 0.02, 0.03), (0.1, 0.2, 0.3))
    first, after = law(memory, arm, goal)
    law(after, arm, goal)
    second, _ = law(memory, arm, goal)
    np.testing.assert_array_equal(first, second)


def test_a_turned_world_turns_the_force() -> None:
    turn = normalise(np.array([0.1, 0.2, 0.9, 0.3]))
    arm = Arm()
    turned = replace(arm, position=rotate(turn, arm.position), quaternion=multiply(turn, arm.quaternion))
    gains = replace(RIGID, clip_negative=(9.0,) * 6, clip_positive=(9.0,) * 6)
    goal = moved(arm, (0.01, -0.02, 0.03), (0.1, 0.2, -0.1))
    turned_goal = Pose(rotate(turn, goal.position), multiply(turn, goal.quaternion))
    plain, _ = settle(gains, arm, goal, 1)
    other, _ = settle(gains, turned, turned_goal, 1)
    np.testing.assert_allclose(other[:3], rotate(turn, plain[:3]), atol=1e-9)
    np.testing.assert_allclose(other[3:6], rotate(turn, plain[3:6]), atol=1e-9)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stiffness": (2000.0,) * 3}, "stiffness must be 6"),
        ({"damping": (-1.0,) * 6}, "damping must be 6 finite numbers, each 0 or more"),
        ({"null_stiffness": (float("nan"),) * 7}, "null_stiffness must be 7"),
        ({"torque_rate": 0.0}, "torque_rate more than 0"),
    ],
)
def test_bad_gains_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImpedanceGains(**values)


def test_bad_period_is_refused() -> None:
    with pytest.raises(ValueError, match="period must be more than 0"):
        ImpedanceLaw(ImpedanceGains(), 0.0)
