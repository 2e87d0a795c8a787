"""The pure parts of the tasks: what is observed, when it is a success."""

import math

import numpy as np
import pytest

from robot_rl.core.frames import multiply, yaw_quaternion
from robot_rl.core.types import ArmState, Pose, StampedPose
from robot_rl.env.cartesian_action import upright
from robot_rl.env.task import Senses
from robot_rl.tasks.pick_cube import PickCube, PickCubeConfig
from robot_rl.tasks.reach import Reach, ReachConfig


def arm(position=(0.5, 0.0, 0.02), yaw: float = 0.0, closed: bool = False, width: float = 0.08) -> ArmState:
    tcp = Pose(np.array(position, float), upright(yaw))
    return ArmState(0, np.zeros(7), np.zeros(7), tcp, np.zeros(6), np.zeros(6), width, closed, tcp)


def cube(position=(0.5, 0.0, 0.02), yaw: float = 0.0) -> Senses:
    return Senses({"cube": StampedPose(0, Pose(np.array(position, float), yaw_quaternion(yaw)))})


def test_the_cube_is_seen_from_the_tool():
    task = PickCube(PickCubeConfig(), 10.0)
    seen = task.reset(arm((0.5, 0.0, 0.12), yaw=math.pi / 2), cube((0.5, 0.1, 0.02)))
    task.observation_spec.validate(seen)
    # The tool has turned by a quarter, so that the base's y is its x; it points down, so its z does too.
    np.testing.assert_allclose(seen["cube.position"], [0.1, 0.0, 0.1], atol=1e-6)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_quarter_turn_of_the_cube_changes_nothing(turns):
    task = PickCube(PickCubeConfig(), 10.0)
    seen = task.reset(arm(yaw=0.2), cube(yaw=0.5 + turns * math.pi / 2))
    np.testing.assert_allclose(seen["cube.yaw"], [math.cos(1.2), math.sin(1.2)], atol=1e-6)


def test_moving_arm_and_cube_together_changes_nothing():
    task = PickCube(PickCubeConfig(), 10.0)
    here = task.reset(arm((0.5, 0.0, 0.1), yaw=0.1), cube((0.55, 0.05, 0.02), yaw=0.3))
    turn = yaw_quaternion(0.4)
    c, s = math.cos(0.4), math.sin(0.4)
    offset = np.array([c * 0.05 - s * 0.05, s * 0.05 + c * 0.05, -0.08])
    position = np.array([0.4, -0.2, 0.1])
    moved = cube(position + offset)
    moved.objects["cube"].pose.quaternion[:] = multiply(turn, yaw_quaternion(0.3))
    there = task.reset(arm(position, yaw=0.5), moved)
    for name, value in here.items():
        np.testing.assert_allclose(there[name], value, atol=1e-6, err_msg=name)


def test_success_needs_the_whole_hold():
    task = PickCube(PickCubeConfig(), 10.0)
    up = (0.5, 0.0, 0.13)
    held = arm(up, closed=True, width=0.04)
    task.reset(arm(), cube())
    early = [task.step(held, cube(up)) for _ in range(4)]
    assert {(judged.reward, judged.success) for judged in early} == {(0.0, False)}
    assert early[-1].observation["hold"] == pytest.approx(0.8)
    # A slip starts the count anew.
    assert task.step(held, cube((0.5, 0.0, 0.05))).observation["hold"] == 0.0
    for _ in range(4):
        assert not task.step(held, cube(up)).success
    judged = task.step(held, cube(up))
    assert (judged.reward, judged.success) == (1.0, True)


@pytest.mark.parametrize(
    ("state", "where"),
    [
        (arm((0.5, 0.0, 0.13), closed=False), (0.5, 0.0, 0.13)),
        (arm((0.5, 0.0, 0.13), closed=True), (0.6, 0.0, 0.13)),
        (arm((0.5, 0.0, 0.12), closed=True), (0.5, 0.0, 0.115)),
    ],
    ids=["open hand", "cube elsewhere", "too low"],
)
def test_what_is_no_hold(state, where):
    task = PickCube(PickCubeConfig(), 10.0)
    task.reset(arm(), cube())
    for _ in range(8):
        assert not task.step(state, cube(where)).success


def test_what_the_robot_calls_a_success_the_truth_does_too():
    """The sensed height has a margin above the true one, wider than the tracker's noise."""
    task = PickCube(PickCubeConfig(), 10.0)
    judge = task.judge()
    task.reset(arm(), cube())
    height = 0.02 + 0.1 + task.config.margin
    held = arm((0.5, 0.0, height), closed=True)
    lower = {"cube": Pose(np.array([0.5, 0.0, height - 0.002]), yaw_quaternion(0.0))}
    sensed = [task.step(held, cube((0.5, 0.0, height))).success for _ in range(5)]
    true = [judge.update(held, lower) for _ in range(5)]
    assert sensed == true == [False] * 4 + [True]


def test_reach_wants_the_tool_to_stay():
    task = Reach(ReachConfig(radius=0.02, hold_time=0.3), 10.0)
    goal = Senses({"goal": StampedPose(0, Pose(np.array([0.5, 0.0, 0.2]), yaw_quaternion(0.0)))})
    near, far = arm((0.5, 0.015, 0.2)), arm((0.5, 0.03, 0.2))
    seen = task.reset(far, goal)
    task.observation_spec.validate(seen)
    outcomes = [task.step(state, goal).success for state in (near, near, far, near, near, near)]
    assert outcomes == [False] * 5 + [True]
