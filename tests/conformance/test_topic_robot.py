"""The robot and the tracker behind ROS topics conform like those in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.node import Node

from robot_rl import tasks
from robot_rl.core.clock import ManualClock
from robot_rl.core.types import ArmCommand, ArmState, Episode, Mode
from robot_rl.nodes.executor import Spinner, StopFlag
from robot_rl.nodes.topic_robot import TopicRobot, TopicTracker
from tests.conformance.robot import RobotSuite
from tests.conformance.tracker import TrackerBench, TrackerSuite
from tests.ros.graphs import running

pytestmark = pytest.mark.ros

TASK = "franka_pick_cube"


@pytest.fixture
def robot(tmp_path: Path) -> Iterator[TopicRobot]:
    """An arm in a process of its own, in lockstep."""
    config = tasks.load(TASK)
    with running(tmp_path / "run", config, TASK, only=("robot",)):
        rclpy.init()
        node = Node("tested")
        spinner = Spinner(StopFlag(), node)
        try:
            yield TopicRobot(node, spinner, config.objects, "test", timeout=30.0)
        finally:
            spinner.close()
            rclpy.shutdown()


class TestTopicRobot(RobotSuite):
    pass


class SteppedTracker:
    """Reads the tracker at the robot's present tick; time passes by stepping the robot."""

    def __init__(self, robot: TopicRobot) -> None:
        self.robot = robot
        self.clock = ManualClock()
        self.state = self._see(robot.reset(Episode(0, 1, Mode.TRAIN)))

    def wait(self, duration: float) -> None:
        """Let at least `duration` [s] pass: whole control periods."""
        end = self.clock.now() + round(duration * 1e9)
        while self.clock.now() < end:
            self.state = self._see(self.robot.step(ArmCommand(self.state.stamp, self.state.target, False)))

    def _see(self, state: ArmState) -> ArmState:
        self.clock.advance_to(state.stamp)
        return state


class TestTopicTracker(TrackerSuite):
    @pytest.fixture
    def bench(self, robot: TopicRobot) -> TrackerBench:
        stepped = SteppedTracker(robot)
        slowest = 0.02 + 2.0 / 60.0  # latency and two periods
        return TrackerBench(TopicTracker(robot), stepped.clock, stepped.wait, slowest)
