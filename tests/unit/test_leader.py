"""Following a pose: proportional, limited, coupled by motion alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.teleop.leader import (
    GAIN,
    LINEAR_START,
    LeaderArm,
    LeaderState,
    PoseFollower,
    axes_towards,
    twist_towards,
)
from drivers.teleop.mapping import twist_from_device
from drivers.teleop.person import DevicePerson
from drivers.teleop.settings import TeleopConfig
from robot_rl.core.errors import DeviceError
from robot_rl.core.frames import conjugate, multiply, quaternion_from_rotation_vector, rotation_vector
from robot_rl.core.types import DeviceState, Episode, Mode, Pose
from tests.unit.teleop_samples import HOME, Time, arm, moved

FAR = Pose(np.array([1.4, -2.0, 0.9]), quaternion_from_rotation_vector(np.array([0.3, 1.0, -2.0])))
"""Where the leader stands: nowhere near the robot."""
vectors = st.tuples(*[st.floats(-0.5, 0.5)] * 3).map(np.array)


@given(vectors, vectors)
def test_the_twist_points_at_the_wanted_pose_and_is_limited(way: np.ndarray, turn: np.ndarray) -> None:
    config = TeleopConfig()
    wanted = Pose(HOME.position + way, multiply(quaternion_from_rotation_vector(turn), HOME.quaternion))
    twist = twist_towards(config, wanted, HOME)
    for part, left, limit in ((twist[:3], way, config.linear_speed), (twist[3:], turn, config.angular_speed)):
        distance = np.linalg.norm(left)
        assert np.linalg.norm(part) <= limit + 1e-12
        if distance > 1e-4:
            np.testing.assert_allclose(part, left * min(GAIN, limit / distance), atol=1e-9)


def test_the_target_arrives_without_an_overshoot_at_the_control_rate() -> None:
    config = TeleopConfig()
    wanted = moved(HOME, np.array([0.1, -0.05, 0.02, 0.0, 0.0, 0.5]), 1.0)
    target, left = HOME, []
    for _ in range(40):
        device = DeviceState(0, axes_towards(config, wanted, target), frame="base")
        target = moved(target, twist_from_device(config, device, arm(target)), 0.1)
        left.append(float(np.linalg.norm(wanted.position - target.position)))
    assert left == sorted(left, reverse=True)
    assert left[-1] < 1e-4
    turn = rotation_vector(multiply(wanted.quaternion, conjugate(target.quaternion)))
    assert np.linalg.norm(turn) < 1e-3


def test_a_clutch_couples_motions_and_not_places() -> None:
    clutch = PoseFollower(FAR, HOME)
    np.testing.assert_allclose(clutch.wanted(FAR).position, HOME.position)
    step = np.array([0.02, 0.0, -0.03, 0.0, 0.0, 0.4])
    wanted = clutch.wanted(moved(FAR, step, 1.0))
    np.testing.assert_allclose(wanted.position, HOME.position + step[:3])
    turn = rotation_vector(multiply(wanted.quaternion, conjugate(HOME.quaternion)))
    np.testing.assert_allclose(turn, step[3:], atol=1e-12)


class Lead:
    """A person with a leader arm; the robot's target follows as it is told, a hundred times a second."""

    def __init__(self, **settings: Any) -> None:
        self.time = Time()
        self.pose, self.buttons, self.target = FAR, frozenset[str](), HOME
        self.config = TeleopConfig(**settings)
        source = lambda: LeaderState(self.time.now, self.pose, self.buttons)  # noqa: E731
        device = LeaderArm(source, self.config)
        self.person = DevicePerson({"leader": device}, self.config, clock=self.time)
        self.person.reset(Episode(0, 0, Mode.TRAIN), arm())
        self.active = False
        self.moves_in = np.ones(6)
        """0 for the directions in which the task does not move."""

    def go(self, velocity: np.ndarray, duration: float, policy: np.ndarray | None = None) -> None:
        for _ in range(round(duration / 0.01)):
            self.time.pass_by(0.01)
            self.pose = moved(self.pose, velocity, 0.01)
            command = self.person.read(arm(self.target))
            self.active = command.active
            twist = command.twist if command.active or policy is None else policy
            self.target = moved(self.target, twist * self.moves_in, 0.01)


STILL = np.zeros(6)
RIGHT = np.array([0.0, -0.05, 0.0, 0.0, 0.0, 0.0])


def test_the_arm_follows_the_leaders_motion_and_rests_where_it_does() -> None:
    lead = Lead()
    lead.go(STILL, 1.0)
    assert not lead.active
    lead.go(RIGHT, 2.0)
    assert lead.active
    lead.go(STILL, 2.0)
    # What it took to notice the motion is not made up for.
    np.testing.assert_allclose(lead.target.position, HOME.position + 2.0 * RIGHT[:3], atol=LINEAR_START)
    assert not lead.active


def test_a_leader_at_rest_leaves_the_policy_alone_wherever_it_goes() -> None:
    lead = Lead()
    policy = np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.2])
    lead.go(STILL, 2.0, policy)
    np.testing.assert_allclose(lead.target.position, HOME.position + np.array([0.2, 0.0, 0.0]))
    lead.go(RIGHT, 1.0, policy)
    lead.go(STILL, 2.0)
    assert not lead.active
    before = lead.target.position
    lead.go(STILL, 1.0, policy)
    assert not lead.active
    np.testing.assert_allclose(lead.target.position, before + np.array([0.1, 0.0, 0.0]))


def test_what_the_robot_cannot_follow_does_not_keep_control() -> None:
    """The leader is turned, and the task moves without turning: the rest of it stays."""
    lead = Lead(release_time=0.3)
    lead.moves_in = np.array([1, 1, 1, 0, 0, 1])
    lead.go(np.array([0.0, 0.1, 0.0, 0.5, 0.0, 0.0]), 1.0)
    assert lead.active
    lead.go(STILL, 3.0)
    assert not lead.active
    np.testing.assert_allclose(lead.target.position, HOME.position + np.array([0, 0.1, 0]), atol=LINEAR_START)


def test_a_target_that_lags_far_behind_is_still_led() -> None:
    lead = Lead(linear_speed=0.05)
    lead.go(4.0 * RIGHT, 1.0)
    lead.go(STILL, 6.0)
    np.testing.assert_allclose(lead.target.position, HOME.position + 4.0 * RIGHT[:3], atol=LINEAR_START)
    assert not lead.active


def test_a_tremble_of_the_leader_is_no_motion() -> None:
    lead = Lead()
    for sign in (1.0, -1.0) * 20:
        lead.go(np.array([sign * 0.02, 0.0, 0.0, 0.0, 0.0, 0.0]), 0.8 * LINEAR_START / 0.02)
        assert not lead.active


def test_motion_before_the_dead_mans_switch_does_not_count() -> None:
    lead = Lead(dead_man=True)
    lead.go(RIGHT, 2.0)
    assert not lead.active
    lead.buttons = frozenset({"dead_man"})
    lead.go(STILL, 0.5)
    np.testing.assert_array_equal(lead.target.position, HOME.position)
    lead.go(RIGHT, 1.0)
    assert lead.active


@pytest.mark.parametrize("pose", [Pose(np.full(3, np.nan), HOME.quaternion), Pose(np.zeros(3), np.zeros(4))])
def test_no_pose_is_a_device_error(pose: Pose) -> None:
    device = LeaderArm(lambda: LeaderState(0, pose), TeleopConfig())
    with pytest.raises(DeviceError, match="no pose"):
        device.read()
    with pytest.raises(DeviceError, match="leader/pose"):
        LeaderArm(lambda: None, TeleopConfig()).read()
