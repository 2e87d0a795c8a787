"""The safety limits, on states that are nothing but numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rl.control.safety import SafetyLimits, SafetySupervisor, clip_pose
from robot_rl.core.errors import RobotFaultError
from robot_rl.core.frames import (
    DOWN_QUATERNION,
    multiply,
    normalise,
    quaternion_from_rotation_vector,
    rotate,
    rotation_vector,
    tool_yaw,
    yaw_quaternion,
)
from robot_rl.core.types import ArmCommand, Pose

LIMITS = SafetyLimits()
MS = 1_000_000
TICK = 100 * MS


@dataclass(frozen=True)
class Arm:
    """A harmless state that satisfies `PlantState`."""

    q: np.ndarray = field(default_factory=lambda: np.array([0.0, -0.3, 0.0, -2.2, 0.0, 1.9, 0.8]))
    dq: np.ndarray = field(default_factory=lambda: np.zeros(7))
    position: np.ndarray = field(default_factory=lambda: np.array([0.5, 0.0, 0.2]))
    quaternion: np.ndarray = field(default_factory=lambda: DOWN_QUATERNION.copy())
    jacobian: np.ndarray = field(default_factory=lambda: np.eye(6, 7))
    coriolis: np.ndarray = field(default_factory=lambda: np.zeros(7))
    wrench: np.ndarray = field(default_factory=lambda: np.zeros(6))
    gripper_width: float = 0.08


def supervisor(limits: SafetyLimits = LIMITS, arm: Arm | None = None) -> SafetySupervisor:
    safety = SafetySupervisor(limits)
    safety.reset(arm or Arm(), 0, 0)
    safety.monitor(arm or Arm(), 0, 0)
    return safety


def command(
    position: tuple[float, ...], quaternion: np.ndarray = DOWN_QUATERNION, stamp: int = 0
) -> ArmCommand:
    return ArmCommand(stamp, Pose(np.array(position, dtype=float), quaternion), False)


def tilt_of(quaternion: np.ndarray) -> float:
    """Angle between the tool axis and straight down [rad]."""
    return math.acos(max(-1.0, min(1.0, -float(rotate(quaternion, np.array([0.0, 0.0, 1.0]))[2]))))


coordinates = st.floats(-3, 3)
positions = st.tuples(coordinates, coordinates, coordinates)
quaternions = (
    st.tuples(*[st.floats(-1, 1)] * 4).map(np.array).filter(lambda q: float(q @ q) > 1e-3).map(normalise)
)


@given(position=positions, quaternion=quaternions)
def test_clipped_poses_are_allowed_and_stay(position: tuple[float, ...], quaternion: np.ndarray) -> None:
    pose, _ = clip_pose(LIMITS, Pose(np.array(position), quaternion))
    assert (pose.position >= LIMITS.workspace_min).all() and (pose.position <= LIMITS.workspace_max).all()
    assert tilt_of(pose.quaternion) <= LIMITS.tilt + 1e-6
    assert abs(tool_yaw(pose.quaternion)) <= LIMITS.yaw + 1e-6
    again, reasons = clip_pose(LIMITS, pose)
    assert reasons == ()
    np.testing.assert_array_equal(again.position, pose.position)
    np.testing.assert_array_equal(again.quaternion, pose.quaternion)


@given(
    position=st.tuples(st.floats(0.34, 0.67), st.floats(-0.29, 0.29), st.floats(0.03, 0.34)),
    lean=st.floats(0, 0.29),
    direction=st.floats(-math.pi, math.pi),
    yaw=st.floats(-0.99, 0.99),
)
def test_allowed_poses_pass_unchanged(
    position: tuple[float, ...], lean: float, direction: float, yaw: float
) -> None:
    axis = np.array([math.cos(direction), math.sin(direction), 0.0])
    quaternion = multiply(
        quaternion_from_rotation_vector(lean * axis), multiply(yaw_quaternion(yaw), DOWN_QUATERNION)
    )
    pose, reasons = clip_pose(LIMITS, Pose(np.array(position), quaternion))
    assert reasons == ()
    np.testing.assert_array_equal(pose.position, position)
    np.testing.assert_array_equal(pose.quaternion, quaternion)


def test_reasons_name_what_was_clipped() -> None:
    safety = supervisor(replace(LIMITS, linear_speed=100.0, angular_speed=100.0))
    leaning = multiply(quaternion_from_rotation_vector(np.array([1.0, 0.0, 0.0])), DOWN_QUATERNION)
    turned = multiply(yaw_quaternion(2.0), DOWN_QUATERNION)
    for wish, reasons in (
        (command((0.5, 0.0, -1.0)), ("workspace",)),
        (command((0.5, 0.0, 0.2), leaning), ("tilt",)),
        (command((0.5, 0.0, 0.2), turned), ("yaw",)),
        (command((0.5, 0.0, 0.2)), ()),
    ):
        assert safety.accept(wish, 0)
        assert safety.reasons == reasons


@given(wishes=st.lists(st.tuples(positions, quaternions, st.integers(0, 300)), min_size=1, max_size=8))
def test_target_moves_no_faster_than_allowed_and_stays_inside(
    wishes: list[tuple[tuple[float, ...], np.ndarray, int]],
) -> None:
    safety = supervisor()
    now, path = 0, 0.0
    for position, quaternion, wait in wishes:
        now += wait * MS
        before = safety.target
        safety.monitor(Arm(position=before.position, quaternion=before.quaternion), now, now)
        # A hold after a timeout takes the present pose, here the target's own.
        assert safety.accept(command(position, quaternion, now), now)
        path += float(np.linalg.norm(safety.target.position - before.position))
        assert path <= LIMITS.linear_speed * (now * 1e-9 + LIMITS.control_period) + 1e-9
        turn = multiply(safety.target.quaternion, before.quaternion * [-1, -1, -1, 1])
        step = float(np.linalg.norm(rotation_vector(turn)))
        # Tilt and yaw share the budget; their sum is what a turn can amount to at most.
        assert step <= math.sqrt(2) * LIMITS.angular_speed * LIMITS.control_period + 1e-6
        assert clip_pose(LIMITS, safety.target)[1] == ()


def test_a_usual_step_is_not_slowed_even_if_a_little_early() -> None:
    safety = supervisor()
    x = 0.4
    safety.reset(Arm(position=np.array([x, 0.0, 0.2])), 0, 0)
    for i in range(6):
        now = i * TICK - (i % 2) * 3 * MS
        x += 0.04
        safety.monitor(Arm(position=np.array([x, 0.0, 0.2])), now, now)
        assert safety.accept(command((x, 0.0, 0.2), stamp=now), now)
        assert safety.reasons == ()
        assert safety.target.position[0] == pytest.approx(x)


def test_fast_commands_are_not_faster_than_slow_ones() -> None:
    slow = replace(LIMITS, angular_speed=0.5)
    safety = supervisor(slow)
    wish = multiply(yaw_quaternion(0.9), DOWN_QUATERNION)
    for i in range(1, 101):
        now = i * 10 * MS
        safety.monitor(Arm(), now, now)
        safety.accept(command((0.68, 0.3, 0.2), wish, stamp=now), now)
        moved = float(np.linalg.norm(safety.target.position - [0.5, 0.0, 0.2]))
        assert moved <= slow.linear_speed * (i * 0.01 + slow.control_period) + 1e-9
        assert tool_yaw(safety.target.quaternion) <= 0.5 * (i * 0.01 + slow.control_period) + 1e-9
    assert tool_yaw(safety.target.quaternion) > 0.5


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (command((float("nan"), 0.0, 0.2)), "not finite"),
        (command((0.5, float("inf"), 0.2)), "not finite"),
        (command((0.5, 0.0, 0.2), np.array([0.0, 0.0, 0.0, float("nan")])), "not finite"),
        (command((0.5, 0.0, 0.2), np.zeros(4)), "unit length"),
    ],
)
def test_a_broken_command_latches_and_holds_the_present_pose(bad: ArmCommand, reason: str) -> None:
    safety = supervisor()
    safety.accept(command((0.52, 0.0, 0.2)), 0)
    here = Arm(position=np.array([0.51, 0.01, 0.21]))
    safety.monitor(here, 2 * MS, 2 * MS)
    holds = safety.holds
    assert not safety.accept(bad, 2 * MS)
    assert reason in safety.fault
    assert safety.holding and safety.holds == holds + 1
    np.testing.assert_array_equal(safety.target.position, here.position)
    assert not safety.accept(command((0.52, 0.0, 0.2), stamp=2 * MS), 2 * MS)
    np.testing.assert_array_equal(safety.target.position, here.position)


VIOLATIONS = [
    (Arm(dq=np.array([0, 0, 0, 2.3, 0, 0, 0])), r"joint 4 moves at 2\.30 rad/s, allowed 2\.15"),
    (Arm(q=np.array([0, 0, 0, -2.2, 0, 1.9, 2.88])), r"joint 7 at 2\.880 rad, allowed -2\.867 to 2\.867"),
    (Arm(wrench=np.array([80.0, 80.0, 80.0, 0, 0, 0])), "external force 139 N, allowed 120 N"),
    (Arm(wrench=np.array([0, 0, 0, 0, 31.0, 0])), r"external torque 31\.0 Nm, allowed 30\.0 Nm"),
    (Arm(wrench=np.array([0, 0, float("nan"), 0, 0, 0])), "external force nan N"),
    (Arm(wrench=np.array([0, 0, 0, 0, 0, float("nan")])), "external torque nan Nm"),
    (Arm(q=np.full(7, float("nan"))), "joint 1 at nan rad"),
    (Arm(dq=np.full(7, float("nan"))), "joint 1 moves at nan rad/s"),
    (Arm(position=np.full(3, float("nan"))), "the measured pose is not finite"),
]


@pytest.mark.parametrize(("state", "reason"), VIOLATIONS, ids=[reason for _, reason in VIOLATIONS])
def test_a_violation_latches_until_it_is_gone_and_cleared(state: Arm, reason: str) -> None:
    safety = supervisor()
    safety.monitor(state, 2 * MS, 2 * MS)
    first = safety.fault
    assert first
    safety.monitor(Arm(), 4 * MS, 4 * MS)
    assert safety.fault == first
    with pytest.raises(RobotFaultError, match=reason):
        safety.clear_fault(state, 4 * MS, 4 * MS)
    assert safety.fault == first
    pushed = Arm(position=np.array([0.45, 0.05, 0.25]))
    safety.clear_fault(pushed, 6 * MS, 6 * MS)
    assert safety.fault == ""
    assert safety.holding
    np.testing.assert_array_equal(safety.target.position, pushed.position)
    assert not safety.accept(command((0.46, 0.05, 0.25), stamp=5 * MS), 6 * MS)
    assert safety.accept(command((0.46, 0.05, 0.25), stamp=6 * MS), 6 * MS)


def test_a_pose_that_is_not_finite_is_never_held() -> None:
    safety = supervisor()
    safety.monitor(Arm(position=np.full(3, float("nan"))), 2 * MS, 2 * MS)
    assert not safety.sensing
    np.testing.assert_array_equal(safety.target.position, Arm().position)


def test_the_first_fault_is_the_one_that_is_told() -> None:
    safety = supervisor()
    safety.e_stop("the person pressed the button")
    safety.monitor(Arm(dq=np.full(7, 9.0)), 2 * MS, 2 * MS)
    safety.accept(command((float("nan"), 0.0, 0.2)), 2 * MS)
    holds = safety.holds
    safety.e_stop("somebody pressed it again")
    assert safety.fault == "the person pressed the button"
    assert safety.holds == holds


def test_e_stop_holds_at_once() -> None:
    safety = supervisor()
    safety.accept(command((0.53, 0.0, 0.2)), 0)
    safety.e_stop()
    assert safety.fault == "emergency stop"
    np.testing.assert_array_equal(safety.target.position, Arm().position)


def test_without_commands_the_arm_holds_but_is_not_at_fault() -> None:
    safety = supervisor()
    safety.accept(command((0.53, 0.0, 0.2)), 0)
    here = Arm(position=np.array([0.51, 0.0, 0.2]))
    for now in range(2 * MS, 180 * MS + 1, 2 * MS):
        safety.monitor(here, now, now)
        assert not safety.holding
    safety.monitor(here, 182 * MS, 182 * MS)
    assert safety.holding and safety.fault == ""
    assert safety.reasons == ("command timeout",)
    np.testing.assert_array_equal(safety.target.position, here.position)
    holds = safety.holds
    safety.monitor(Arm(position=np.array([0.505, 0.0, 0.2])), 254 * MS, 254 * MS)
    # The pose is taken once: a hold does not follow an arm that sags.
    assert safety.holds == holds
    np.testing.assert_array_equal(safety.target.position, here.position)
    assert safety.accept(command((0.52, 0.0, 0.2), stamp=254 * MS), 256 * MS)
    assert not safety.holding


def test_a_state_that_stands_still_is_a_fault() -> None:
    safety = supervisor()
    safety.monitor(Arm(), 2 * MS, 2 * MS)
    safety.monitor(Arm(), 2 * MS, 52 * MS)
    assert safety.fault == ""
    safety.monitor(Arm(), 2 * MS, 53 * MS)
    assert "no new state for 0.051 s" in safety.fault
    with pytest.raises(RobotFaultError, match="no new state"):
        safety.clear_fault(Arm(), 2 * MS, 60 * MS)
    safety.clear_fault(Arm(), 61 * MS, 61 * MS)
    assert safety.fault == ""


def test_commands_from_before_a_reset_or_from_long_ago_are_dropped() -> None:
    safety = supervisor()
    safety.reset(Arm(), 5 * TICK, 5 * TICK)
    assert not safety.accept(command((0.52, 0.0, 0.2), stamp=5 * TICK - 1), 5 * TICK)
    assert safety.reasons == ("late",) and safety.fault == ""
    for stamp in range(5 * TICK, 9 * TICK, 10 * MS):
        safety.monitor(Arm(), stamp, stamp)
    assert not safety.accept(command((0.52, 0.0, 0.2), stamp=5 * TICK), 9 * TICK)
    assert safety.holding
    np.testing.assert_array_equal(safety.target.position, Arm().position)


def test_a_reset_does_not_clear_a_fault() -> None:
    safety = supervisor()
    safety.e_stop()
    safety.reset(Arm(), 5 * TICK, 5 * TICK)
    assert safety.fault == "emergency stop"


def test_watchdogs_may_run_on_another_clock_than_the_stamps() -> None:
    safety = SafetySupervisor(LIMITS)
    steady = 77_000_000_000_000
    safety.reset(Arm(), 0, steady)
    for i in range(1, 50):
        safety.monitor(Arm(), i * 2 * MS, steady + i * 2 * MS)
        assert safety.accept(command((0.5, 0.0, 0.2), stamp=i * 2 * MS), steady + i * 2 * MS)
    assert safety.fault == ""
    assert not safety.holding


def test_a_held_pose_outside_the_box_comes_back_in() -> None:
    outside = Arm(position=np.array([0.5, 0.0, 0.01]))
    safety = supervisor(arm=outside)
    np.testing.assert_array_equal(safety.target.position, outside.position)
    assert safety.accept(command((0.5, 0.0, 0.01)), 0)
    assert safety.target.position[2] == LIMITS.workspace_min[2]
    assert safety.reasons == ("workspace",)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"workspace_min": (0.9, 0.0, 0.0)}, "workspace_min must be below workspace_max"),
        ({"tilt": 4.0}, r"tilt and yaw must be in \[0, pi\]"),
        ({"force": 0.0}, "force must be more than 0"),
        ({"command_timeout": 0.05}, "command_timeout must be at least control_period"),
        ({"joint_speed": (1.0,) * 6}, "one number for each joint"),
    ],
)
def test_bad_limits_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SafetyLimits(**values)


def test_an_inhibited_arm_holds_and_takes_no_command() -> None:
    safety = supervisor()
    assert safety.accept(command((0.53, 0.0, 0.2)), 0)
    here = Arm(position=np.array([0.51, 0.0, 0.2]))
    safety.monitor(here, 2 * MS, 2 * MS)
    safety.inhibit("nobody watches")
    assert safety.holding and safety.fault == "" and safety.denials == 1
    np.testing.assert_array_equal(safety.target.position, here.position)
    safety.inhibit("nobody watches, still")
    assert safety.denials == 1
    assert not safety.accept(command((0.53, 0.0, 0.2), stamp=2 * MS), 4 * MS)
    assert safety.reasons == ("nobody watches, still",)
    np.testing.assert_array_equal(safety.target.position, here.position)


def test_an_arm_goes_on_by_itself_when_it_may() -> None:
    safety = supervisor()
    safety.inhibit("nobody watches")
    assert safety.denials == 0  # nothing was stopped
    safety.inhibit("")
    assert safety.reasons == ()
    assert safety.accept(command((0.51, 0.0, 0.2)), 2 * MS)
    assert not safety.holding


def test_stops_and_faults_come_before_an_inhibition() -> None:
    safety = supervisor()
    safety.inhibit("nobody watches")
    safety.e_stop("emergency stop (page)")
    assert safety.fault == "emergency stop (page)"
    assert safety.reasons == ("fault",)
    with pytest.raises(RobotFaultError, match="nobody watches"):
        safety.clear_fault(Arm(), 2 * MS, 2 * MS)
    assert safety.fault
    safety.inhibit("")
    safety.clear_fault(Arm(), 2 * MS, 2 * MS)
    assert safety.fault == "" and safety.holding


def test_an_emergency_stop_comes_before_another_fault() -> None:
    """The simulator's stand-in for a person clears other faults, but never a stop."""
    safety = supervisor()
    safety.monitor(Arm(wrench=np.array([200.0, 0.0, 0.0, 0.0, 0.0, 0.0])), 2 * MS, 2 * MS)
    for _ in range(3):
        safety.e_stop("emergency stop (page)")
    assert safety.fault == "emergency stop (page), after: external force 200 N, allowed 120 N"
    safety.e_stop("a reset did not reach its goal: something is in the way")
    assert safety.fault.startswith("emergency stop (page), after: external force")


def test_a_reset_does_not_end_an_inhibition() -> None:
    safety = supervisor()
    safety.inhibit("nobody watches")
    safety.reset(Arm(), 2 * MS, 2 * MS)
    assert safety.reasons == ("nobody watches",)
    assert not safety.accept(command((0.51, 0.0, 0.2), stamp=2 * MS), 2 * MS)
