"""The pure part of peg insertion: what is observed, and when the peg counts as inserted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from robot_rl.core.frames import yaw_quaternion
from robot_rl.core.types import ArmState, Pose, StampedPose
from robot_rl.env.cartesian_action import upright
from robot_rl.env.task import Senses
from robot_rl.tasks.peg_insert import PegInsert, PegInsertConfig

LENGTH, MOUTH = 0.05, 0.03
"""Of the peg below the TCP, and of the hole's mouth above the table [m]."""


def arm(depth: float, aside: float = 0.0, yaw: float = 0.0, force: tuple = (0.0, 0.0, 0.0)) -> ArmState:
    """The peg's tip is `depth` below the mouth of a hole at (0.5, 0), and `aside` along x [m]."""
    tcp = Pose(np.array([0.5 + aside, 0.0, MOUTH + LENGTH - depth]), upright(yaw))
    wrench = np.array([*force, 0.0, 0.0, 0.0])
    return ArmState(0, np.zeros(7), np.zeros(7), tcp, np.zeros(6), wrench, 0.02, False, tcp)


def hole(yaw: float = 0.0) -> Senses:
    return Senses({"hole": StampedPose(0, Pose(np.array([0.5, 0.0, MOUTH]), yaw_quaternion(yaw)))})


@pytest.fixture
def task() -> PegInsert:
    return PegInsert(PegInsertConfig(depth=0.02, margin=0.001, label_margin=0.002), LENGTH, 10.0)


def test_the_hole_is_seen_from_the_tip(task: PegInsert) -> None:
    seen = task.reset(arm(-0.01, aside=0.02), hole(yaw=0.1))
    task.observation_spec.validate(seen)
    # The tool points down: its z axis leads from the tip to the mouth below it.
    np.testing.assert_allclose(seen["hole.position"], [-0.02, 0.0, 0.01], atol=1e-6)
    np.testing.assert_allclose(seen["hole.yaw"], [math.cos(0.4), math.sin(0.4)], atol=1e-6)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_quarter_turn_of_the_hole_changes_nothing(task: PegInsert, turns: int) -> None:
    first = task.reset(arm(0.0), hole(0.2))
    turned = task.reset(arm(0.0), hole(0.2 + turns * math.pi / 2))
    np.testing.assert_allclose(turned["hole.yaw"], first["hole.yaw"], atol=1e-6)


def test_forces_are_felt_in_the_tool(task: PegInsert) -> None:
    pushed_up = task.reset(arm(0.0, force=(0.0, 0.0, 8.0)), hole())
    np.testing.assert_allclose(pushed_up["tcp.force"], [0.0, 0.0, -8.0], atol=1e-5)
    turned = task.reset(arm(0.0, yaw=math.pi / 2, force=(3.0, 0.0, 0.0)), hole())
    np.testing.assert_allclose(np.abs(turned["tcp.force"]), [0.0, 3.0, 0.0], atol=1e-5)


def test_success_needs_depth_and_the_whole_hold(task: PegInsert) -> None:
    task.reset(arm(0.0), hole())
    depths = (0.022, 0.022, 0.019, 0.022, 0.022, 0.022)
    steps = [task.step(arm(depth), hole()) for depth in depths]
    assert [step.success for step in steps] == [False] * 5 + [True]
    assert [step.reward for step in steps] == [0.0] * 5 + [1.0]
    held = [float(step.observation["hold"][0]) for step in steps]
    assert held == pytest.approx([1 / 3, 2 / 3, 0, 1 / 3, 2 / 3, 1])


@pytest.mark.parametrize(
    ("depth", "aside"), [(0.0195, 0.0), (0.03, 0.08)], ids=["not deep enough", "beside the board"]
)
def test_what_is_not_inserted(task: PegInsert, depth: float, aside: float) -> None:
    task.reset(arm(0.0), hole())
    judge, state = task.judge(), arm(depth, aside)
    truth = {name: stamped.pose for name, stamped in hole().objects.items()}
    for _ in range(5):
        assert not task.step(state, hole()).success
        assert not judge.update(state, truth)
        assert task.stage(state, truth) == 0


def test_who_is_sure_when() -> None:
    """The judge goes by the depth itself, the robot by a little more, the person by still more."""
    task = PegInsert(PegInsertConfig(depth=0.02, margin=0.001, label_margin=0.002), LENGTH, 10.0)
    truth = {name: stamped.pose for name, stamped in hole().objects.items()}
    found = {}
    for depth in (0.0195, 0.0205, 0.0215, 0.0225):
        task.reset(arm(0.0), hole())
        judge, state = task.judge(), arm(depth)
        true = [judge.update(state, truth) for _ in range(3)][-1]
        sensed = [task.step(state, hole()).success for _ in range(3)][-1]
        found[depth] = (true, sensed, bool(task.stage(state, truth)))
    assert found == {
        0.0195: (False, False, False),
        0.0205: (True, False, False),
        0.0215: (True, True, False),
        0.0225: (True, True, True),
    }
