import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rl.core.errors import ConfigError, InvalidActionError
from robot_rl.core.frames import conjugate, multiply, rotation_vector, tool_yaw
from robot_rl.core.types import ArmState, Pose, TeleopCommand
from robot_rl.env.cartesian_action import ActionConfig, CartesianAction, upright

HOME = Pose(np.array([0.5, 0.0, 0.2]), upright(0.0))
actions = st.tuples(*[st.floats(-1, 1, width=32)] * 5).map(lambda a: np.array(a, np.float32))


def arm(tcp: Pose = HOME, target: Pose | None = None, closed: bool = False) -> ArmState:
    return ArmState(
        stamp=7,
        q=np.zeros(7),
        dq=np.zeros(7),
        tcp=tcp,
        twist=np.zeros(6),
        wrench=np.zeros(6),
        gripper_width=0.08,
        gripper_closed=closed,
        target=target or tcp,
    )


def test_base_frame_moves_along_base_axes():
    mapping = CartesianAction(ActionConfig(frame="base"), 10.0)
    command = mapping.command(np.array([1, -0.5, 0.25, 0, 1], np.float32), arm())
    np.testing.assert_allclose(command.target.position, [0.54, -0.02, 0.21])
    assert command.stamp == 7
    assert not command.close_gripper


def test_tool_frame_turns_with_the_commanded_tool():
    mapping = CartesianAction(ActionConfig(frame="tool"), 10.0)
    forward = np.array([1, 0, 0, 0, 1], np.float32)
    for yaw in (0.0, math.pi / 2, -0.7):
        state = arm(Pose(HOME.position, upright(yaw)))
        moved = mapping.command(forward, state).target.position - HOME.position
        np.testing.assert_allclose(moved, [0.04 * math.cos(yaw), 0.04 * math.sin(yaw), 0], atol=1e-12)
    down = mapping.command(np.array([0, 0, 1, 0, 1], np.float32), arm()).target.position
    np.testing.assert_allclose(down, [0.5, 0.0, 0.16])


def test_turning_keeps_the_tool_upright():
    mapping = CartesianAction(ActionConfig(frame="tool"), 10.0)
    state = arm()
    for _ in range(50):
        target = mapping.command(np.array([0, 0, 0, -0.3, 1], np.float32), state).target
        state = arm(target, target)
    assert tool_yaw(state.target.quaternion) == pytest.approx(
        math.remainder(50 * 0.3 * 0.3, 2 * math.pi), abs=1e-6
    )
    swing = rotation_vector(
        multiply(state.target.quaternion, conjugate(upright(tool_yaw(state.target.quaternion))))
    )
    np.testing.assert_allclose(swing, 0.0, atol=1e-9)


def test_zero_holds_the_target_under_load():
    mapping = CartesianAction(ActionConfig(), 10.0)
    sagging = Pose(HOME.position - [0, 0, 0.01], HOME.quaternion)
    command = mapping.command(np.zeros(5, np.float32), arm(sagging, HOME))
    np.testing.assert_allclose(command.target.position, HOME.position, atol=1e-15)
    np.testing.assert_array_equal(command.target.quaternion, HOME.quaternion)


@given(actions, st.floats(-0.1, 0.1), st.floats(-1.0, 1.0))
def test_the_target_stays_on_its_leash(action, lead, yaw_lead):
    config = ActionConfig(frame="base")
    target = Pose(HOME.position + lead, upright(yaw_lead))
    command = CartesianAction(config, 10.0).command(action, arm(HOME, target)).target
    assert np.abs(command.position - HOME.position).max() <= config.linear_leash + 1e-12
    before = abs(yaw_lead)
    after = np.linalg.norm(rotation_vector(multiply(command.quaternion, conjugate(HOME.quaternion))))
    assert after <= max(config.angular_leash, before) + 1e-9


def test_the_gripper_has_hysteresis_and_its_switching_a_cost():
    mapping = CartesianAction(ActionConfig(), 10.0)

    def act(value: float) -> np.ndarray:
        return np.array([0, 0, 0, 0, value], np.float32)

    assert mapping.closes(act(-0.6), closed=False)
    assert not mapping.closes(act(-0.4), closed=False)
    assert mapping.closes(act(0.4), closed=True)
    assert not mapping.closes(act(0.6), closed=True)
    assert mapping.penalty(act(-0.6), closed=False) == 0.01
    assert mapping.penalty(act(-0.6), closed=True) == 0.0


@pytest.mark.parametrize("frame", ["tool", "base"])
@given(st.tuples(*[st.floats(-0.22, 0.22)] * 3), st.floats(-2.9, 2.9), st.floats(-1.5, 1.5), st.booleans())
def test_what_the_person_asks_for_is_what_the_action_does(frame, linear, turn, yaw, closed):
    mapping = CartesianAction(ActionConfig(frame=frame), 10.0)
    state = arm(Pose(HOME.position, upright(yaw)), closed=closed)
    teleop = TeleopCommand(0, True, np.array([*linear, 0, 0, turn]))
    action = mapping.validate(mapping.from_teleop(teleop, state))
    target = mapping.command(action, state).target
    np.testing.assert_allclose(target.position - HOME.position, np.array(linear) * 0.1, atol=1e-7)
    turned = rotation_vector(multiply(target.quaternion, conjugate(state.target.quaternion)))
    np.testing.assert_allclose(turned, [0, 0, turn * 0.1], atol=1e-6)
    assert mapping.closes(action, closed) == closed


def test_a_fast_hand_is_clipped_to_the_bounds():
    mapping = CartesianAction(ActionConfig(), 10.0)
    action = mapping.from_teleop(TeleopCommand(0, True, np.full(6, 9.0), gripper=-1), arm())
    assert np.abs(action).max() == 1.0
    assert action[-1] == -1.0


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.full(5, np.nan), "not finite"),
        (np.full(5, 1.1), r"leaves \[-1, 1\]"),
        (np.zeros(4), r"shape \(4,\), expected \(5,\) \(x, y, z, rz, gripper\)"),
    ],
)
def test_bad_actions_are_refused(action, message):
    with pytest.raises(InvalidActionError, match=message):
        CartesianAction(ActionConfig(), 10.0).validate(action)


def test_a_person_who_is_not_finite_is_refused():
    teleop = TeleopCommand(0, True, np.array([0, np.inf, 0, 0, 0, 0]))
    with pytest.raises(InvalidActionError, match="not finite"):
        CartesianAction(ActionConfig(), 10.0).from_teleop(teleop, arm())


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'rz'"):
        ActionConfig(axes=("x", "r"))
    with pytest.raises(ConfigError, match="linear_leash must be positive"):
        dataclasses.replace(ActionConfig(), linear_leash=0.0)
