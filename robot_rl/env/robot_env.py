"""A task on an arm, as an `Environment`: the place where proposal, person, robot and reward meet."""

from __future__ import annotations

import numpy as np

from robot_rl.core.clock import nanoseconds, seconds
from robot_rl.core.errors import RobotRlError, StaleStateError
from robot_rl.core.protocols import Robot, Teleop, Tracker, Vision
from robot_rl.core.spec import EnvSpec, Observation
from robot_rl.core.types import ArmState, Episode, Mode, Sight, Source, Step, TeleopCommand
from robot_rl.env.cartesian_action import ActionConfig, CartesianAction
from robot_rl.env.task import Objects, Senses, Task


class RobotEnv:
    """One task on one robot.

    The person is part of the environment: `step` takes what the policy proposes, asks the person, and reports
    the action that was executed and whose it was. The same class runs on a simulated arm in this process
    and on a robot behind ROS topics.
    """

    def __init__(
        self,
        robot: Robot,
        tracker: Tracker,
        task: Task,
        action: ActionConfig,
        control_rate: float,
        teleop: Teleop | None = None,
        max_object_age: float = 0.5,
        vision: Vision | None = None,
    ) -> None:
        """Put a task together.

        Args:
            robot: The arm behind its controller and safety limits.
            tracker: Measures the objects that the task observes.
            task: Observation, reward and time limit.
            action: Mapping from actions to target poses.
            control_rate: Steps a second [Hz].
            teleop: The person who may act instead of the policy, or None.
            max_object_age: Age at which a measured pose, or a picture, is too old to act on [s].
            vision: Cameras, encoder and classifier, or None.
        """
        self.robot = robot
        self.tracker = tracker
        self.task = task
        self.teleop = teleop
        self.vision = vision
        self.mapping = CartesianAction(action, control_rate)
        self.spec = EnvSpec(task.observation_spec, self.mapping.spec, control_rate, task.name)
        self.max_object_age = nanoseconds(max_object_age)
        self._episode = Episode(0, 0, Mode.EVAL)
        self._state: ArmState | None = None
        self.objects: Objects = {}
        """Newest measured poses at the present tick."""
        self.sight = Sight()
        """What the cameras see at the present tick."""
        self.person: TeleopCommand | None = None
        """What the person wanted at the last step; None where there is none."""
        self._steps = 0

    @property
    def state(self) -> ArmState:
        """The arm's state at the present tick."""
        if self._state is None:
            raise RobotRlError("the environment has not been reset yet: call reset() first")
        return self._state

    def reset(self, episode: Episode) -> Observation:
        self._episode = episode
        self._state = self.robot.reset(episode)
        self._steps = 0
        if self.teleop is not None:
            self.teleop.reset(episode, self._state)
        if self.vision is not None:
            self.vision.reset(episode)
        self.person = None
        return self.task.reset(self._state, self._sense(self._state))

    def step(self, proposal: np.ndarray) -> Step:
        proposal = self.mapping.validate(proposal)
        before = self.state
        person = self.person = self._ask_person(before)
        if person is not None and person.active:
            action = self.mapping.from_teleop(person, before)
            source = self._source_of(person)
        else:
            action, source = proposal, Source.POLICY
        penalty = self.mapping.penalty(action, before.gripper_closed)
        after = self.robot.step(self.mapping.command(action, before))
        self._state = after
        self._steps += 1

        observation, reward, success = self.task.step(after, self._sense(after))
        if self._episode.mode is Mode.LABEL:  # it ends when she has shown everything
            reward, success = 0.0, False
        outcome = person.outcome if person is not None else ""
        if outcome:  # the person's verdict outranks the sensed one
            success = outcome == "success"
            reward = 1.0 if success else 0.0
        truncated = not success and (bool(outcome) or self._steps >= self.task.time_limit)
        return Step(observation, reward, success, truncated, action, source, penalty, success, after.stamp)

    def close(self) -> None:
        if self.vision is not None:
            self.vision.close()
        self.robot.close()

    def _ask_person(self, state: ArmState) -> TeleopCommand | None:
        if self.teleop is None or self._episode.mode is Mode.EVAL:
            return None
        return self.teleop.read(state)

    def _source_of(self, person: TeleopCommand) -> Source:
        """Whose the action of a person is; that the arm holds still for a lost device is no correction."""
        if self._episode.mode is not Mode.TRAIN:
            return Source.DEMO
        return Source.SCRIPT if person.lost else Source.HUMAN

    def _sense(self, state: ArmState) -> Senses:
        self.objects = self._fresh_objects(state)
        if self.vision is not None:
            self.sight = self.vision.look(state)
            for seen in (self.sight.features, self.sight.images):
                for camera, one in seen.items():
                    self._check_age(state, one.stamp, f"the picture of {camera!r}", "camera")
        return Senses(self.objects, self.sight)

    def _fresh_objects(self, state: ArmState) -> Objects:
        objects = self.tracker.read()
        for name, measured in objects.items():
            self._check_age(state, measured.stamp, f"the pose of {name!r}", "tracker")
        return objects

    def _check_age(self, state: ArmState, stamp: int, what: str, source: str) -> None:
        age = state.stamp - stamp
        if age > self.max_object_age:
            raise StaleStateError(
                f"{what} is {seconds(age):.2f} s old (at most {seconds(self.max_object_age):.2f} s): "
                f"is its {source} running and in view?"
            )
