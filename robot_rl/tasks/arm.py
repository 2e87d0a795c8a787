"""What the tasks of an arm have in common: one configuration, and the parts made from it.

Importing this loads neither a simulator nor a learning library; the functions do when they are called.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from policies.scripted_person import PersonConfig, ScriptedPerson, Skill
from robot_rl.core.errors import ConfigError
from robot_rl.core.protocols import GroundTruth, Robot, Teleop, Tracker
from robot_rl.core.spec import EnvSpec
from robot_rl.env.cartesian_action import ActionConfig, CartesianAction
from robot_rl.env.robot_env import RobotEnv
from robot_rl.env.session import SessionConfig
from robot_rl.env.task import Task
from robot_rl.learn.settings import LearnerConfig
from sim.arm.settings import ArmSimConfig

if TYPE_CHECKING:
    from sim.arm.simulated_arm import SimulatedArm


@dataclass(frozen=True)
class ArmTaskConfig(ABC):
    """All settings of a task on a simulated arm. A task's own goal comes with its subclass."""

    backend: Literal["mujoco", "pybullet"] = "mujoco"
    """Physics engine of the simulated arm."""
    max_object_age: float = 0.5
    """A measured pose older than this stops the episode [s]."""
    action: ActionConfig = field(default_factory=ActionConfig)
    """Mapping from actions to motion."""
    arm: ArmSimConfig = field(default_factory=ArmSimConfig)
    """The simulated arm, its control law and its safety limits."""
    person: PersonConfig = field(default_factory=PersonConfig)
    """The scripted person."""
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    """The learner."""
    session: SessionConfig = field(default_factory=SessionConfig)
    """Course of the training."""

    def __post_init__(self) -> None:
        if self.action.linear_leash > 0.2:
            raise ConfigError(f"action.linear_leash of {self.action.linear_leash} m is no leash: at most 0.2")

    @property
    def control_rate(self) -> float:
        """Actions a second [Hz]."""
        return 1.0 / self.arm.control_period

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of the objects that the tracker measures."""
        return () if self.arm.scene.kind == "empty" else (self.arm.scene.kind,)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras through which the task is seen; () for a task of measured poses."""
        return ()

    @property
    def spec(self) -> EnvSpec:
        """What policy, learner and logs of this task agree on; made without an environment."""
        task = self.task()
        action = CartesianAction(self.action, self.control_rate).spec
        return EnvSpec(task.observation_spec, action, self.control_rate, task.name)

    @abstractmethod
    def task(self) -> Task:
        """The pure part: observation, reward, time limit."""

    @abstractmethod
    def skill(self) -> Skill:
        """How the scripted person does it."""

    def person_for(self, truth: GroundTruth) -> ScriptedPerson:
        """The scripted person, who sees `truth`."""
        return ScriptedPerson(self.person, self.skill(), truth, self.control_rate)

    def make_env(self, robot: Robot, tracker: Tracker, teleop: Teleop | None) -> RobotEnv:
        """The environment on any robot: simulated in this process, or behind topics."""
        return RobotEnv(
            robot, tracker, self.task(), self.action, self.control_rate, teleop, self.max_object_age
        )

    def make_arm(self) -> SimulatedArm:
        """The simulated arm in this process."""
        from sim.arm.simulated_arm import SimulatedArm

        return SimulatedArm(self.arm, self.backend)

    def simulate(self, person: bool = True) -> tuple[RobotEnv, SimulatedArm]:
        """Environment and arm in this process, with the scripted person unless `person` is False."""
        arm = self.make_arm()
        teleop = self.person_for(arm) if person else None
        return self.make_env(arm, arm.tracker, teleop), arm
