"""From the deflection of a device to a twist."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.teleop.mapping import axes_for_twist, full_speed, shape, twist_from_device, unshape
from drivers.teleop.settings import TeleopConfig
from robot_rl.core.frames import DOWN_QUATERNION, multiply, yaw_quaternion
from robot_rl.core.types import DeviceState, Pose
from robot_rl.env.relative_frame import tool_axes, twist_to_base
from tests.unit.teleop_samples import HOME, arm

axes = st.tuples(*[st.floats(-1, 1)] * 6).map(np.array)


def device(axes: np.ndarray, frame: str = "") -> DeviceState:
    return DeviceState(0, np.asarray(axes, dtype=float), frame=frame)


def test_nothing_inside_the_dead_zone_and_no_step_at_its_edge() -> None:
    config = TeleopConfig(dead_zone=0.1, exponent=1.0)
    np.testing.assert_array_equal(shape(config, np.array([0.1, -0.1, 0.05, 0.0, 0.0, 0.0])), np.zeros(6))
    np.testing.assert_allclose(shape(config, np.array([0.1001, 0, 0, 0, 0, 0]))[0], 0.0001 / 0.9)


def test_full_deflection_is_full_speed_whatever_the_curve() -> None:
    config = TeleopConfig(linear_speed=0.3, angular_speed=2.0, exponent=2.5)
    twist = twist_from_device(config, device(np.array([1, -1, 1, -1, 1, -1])), arm())
    np.testing.assert_allclose(twist, [0.3, -0.3, 0.3, -2.0, 2.0, -2.0])


@given(axes)
def test_the_curve_is_odd_bounded_and_grows(values: np.ndarray) -> None:
    config = TeleopConfig()
    shares = shape(config, values)
    assert (np.abs(shares) <= 1.0).all()
    np.testing.assert_array_equal(shape(config, -values), -shares)
    order = np.argsort(values)
    assert (np.diff(shares[order]) >= 0.0).all()


@given(axes)
def test_unshape_undoes_shape(shares: np.ndarray) -> None:
    config = TeleopConfig()
    np.testing.assert_allclose(shape(config, unshape(config, shares)), shares, atol=1e-9)


@given(axes)
def test_a_wanted_twist_comes_out_as_it_was(shares: np.ndarray) -> None:
    config = TeleopConfig(frame="view", view_yaw=2.0)
    twist = shares * full_speed(config)
    made = twist_from_device(config, device(axes_for_twist(config, twist), "base"), arm())
    np.testing.assert_allclose(made, twist, atol=1e-9)
    fast = axes_for_twist(config, np.full(6, 100.0))
    np.testing.assert_array_equal(fast, np.ones(6))


def test_away_from_her_is_where_she_looks() -> None:
    config = TeleopConfig(frame="view", view_yaw=math.pi / 2, linear_speed=1.0, angular_speed=1.0)
    away = twist_from_device(config, device(np.array([1, 0, 0, 0, 0, 0])), arm())
    np.testing.assert_allclose(away, [0, 1, 0, 0, 0, 0], atol=1e-12)
    left = twist_from_device(config, device(np.array([0, 1, 0, 0, 0, 0])), arm())
    np.testing.assert_allclose(left, [-1, 0, 0, 0, 0, 0], atol=1e-12)
    turn = twist_from_device(config, device(np.array([0, 0, 0, 0, 0, 1])), arm())
    np.testing.assert_allclose(turn, [0, 0, 0, 0, 0, 1], atol=1e-12)


@pytest.mark.parametrize("yaw", [0.0, 0.7, -1.0])
def test_the_tool_frame_is_that_of_the_policy(yaw: float) -> None:
    config = TeleopConfig(frame="tool", exponent=1.0, dead_zone=0.0)
    state = arm(Pose(HOME.position, multiply(yaw_quaternion(yaw), DOWN_QUATERNION)))
    values = np.array([0.5, -0.2, 0.3, 0.1, 0.0, -0.4])
    expected = twist_to_base(tool_axes(state), values * full_speed(config))
    np.testing.assert_allclose(twist_from_device(config, device(values), state), expected, atol=1e-12)
    along = twist_from_device(config, device(np.array([0, 0, 1, 0, 0, 0])), state)
    np.testing.assert_allclose(along[:3], [0, 0, -config.linear_speed], atol=1e-12)


def test_what_the_device_says_of_its_frame_outranks_the_settings() -> None:
    config = TeleopConfig(frame="tool")
    turned = arm(Pose(HOME.position, multiply(yaw_quaternion(1.0), DOWN_QUATERNION)))
    twist = twist_from_device(config, device(np.array([1, 0, 0, 0, 0, 0]), "base"), turned)
    np.testing.assert_array_equal(twist, [config.linear_speed, 0, 0, 0, 0, 0])
