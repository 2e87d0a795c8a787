"""What every `Robot` must do. Inherit, and give a fixture `robot`: an arm without a fault, free to move."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from robot_rl.core.errors import RobotFaultError
from robot_rl.core.protocols import Robot
from robot_rl.core.types import ArmCommand, ArmState, Episode, Mode, Pose

EPISODE = Episode(0, 7, Mode.EVAL)


def towards(state: ArmState, offset: tuple[float, float, float], close: bool = False) -> ArmCommand:
    """A command that moves the target by `offset` [m]."""
    target = Pose(state.target.position + np.array(offset), state.target.quaternion)
    return ArmCommand(state.stamp, target, close)


class RobotSuite:
    """Conformance of a robot."""

    def test_satisfies_the_protocol(self, robot: Robot) -> None:
        assert isinstance(robot, Robot)

    def test_state_is_complete_and_finite(self, robot: Robot) -> None:
        state = robot.reset(EPISODE)
        n = state.q.shape[0]
        assert state.dq.shape == (n,)
        assert state.tcp.position.shape == (3,) and state.tcp.quaternion.shape == (4,)
        assert state.twist.shape == (6,) and state.wrench.shape == (6,)
        for array in (state.q, state.dq, state.tcp.position, state.tcp.quaternion, state.twist, state.wrench):
            assert np.isfinite(array).all()
        assert state.fault == ""

    def test_reset_holds_the_arm_at_its_pose(self, robot: Robot) -> None:
        state = robot.reset(EPISODE)
        np.testing.assert_allclose(state.target.position, state.tcp.position, atol=5e-3)
        after = robot.step(towards(state, (0.0, 0.0, 0.0)))
        np.testing.assert_allclose(after.tcp.position, state.tcp.position, atol=5e-3)

    def test_reset_opens_the_gripper(self, robot: Robot) -> None:
        state = robot.reset(EPISODE)
        robot.step(towards(state, (0.0, 0.0, 0.0), close=True))
        assert not robot.reset(EPISODE).gripper_closed

    def test_stamps_rise_through_steps_and_resets(self, robot: Robot) -> None:
        stamps = []
        for _ in range(2):
            state = robot.reset(EPISODE)
            stamps.append(state.stamp)
            for _ in range(3):
                state = robot.step(towards(state, (0.0, 0.0, 0.0)))
                stamps.append(state.stamp)
        assert all(a < b for a, b in itertools.pairwise(stamps))

    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_moves_where_it_is_told(self, robot: Robot, axis: int) -> None:
        state = start = robot.reset(EPISODE)
        offset = tuple(0.02 if i == axis else 0.0 for i in range(3))
        goal = start.target.position + offset
        for _ in range(10):
            wish = Pose(goal, state.target.quaternion)
            state = robot.step(ArmCommand(state.stamp, wish, False))
        moved = state.tcp.position - start.tcp.position
        assert moved[axis] == pytest.approx(0.02, abs=3e-3)
        assert np.abs(np.delete(moved, axis)).max() < 3e-3

    def test_states_do_not_change_afterwards(self, robot: Robot) -> None:
        state = robot.reset(EPISODE)
        before = [a.copy() for a in (state.q, state.dq, state.tcp.position, state.target.position)]
        robot.step(towards(state, (0.02, 0.02, 0.0)))
        for old, new in zip(
            before, (state.q, state.dq, state.tcp.position, state.target.position), strict=True
        ):
            np.testing.assert_array_equal(old, new)

    def test_a_wish_far_away_is_limited(self, robot: Robot) -> None:
        state = robot.reset(EPISODE)
        after = robot.step(towards(state, (5.0, 0.0, 0.0)))
        assert after.fault == ""
        assert np.linalg.norm(after.target.position - state.target.position) < 0.3

    def test_a_command_that_is_not_finite_latches_a_fault(self, robot: Robot) -> None:
        state = robot.reset(EPISODE)
        with pytest.raises(RobotFaultError, match="not finite"):
            robot.step(towards(state, (float("nan"), 0.0, 0.0)))
        with pytest.raises(RobotFaultError):
            robot.step(towards(state, (0.0, 0.0, 0.0)))
        with pytest.raises(RobotFaultError):
            robot.reset(EPISODE)
