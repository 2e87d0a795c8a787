"""What the tasks of an arm have in common: one configuration, and the parts made from it.

Importing this loads neither a simulator nor a learning library; the functions do when they are called.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from drivers.teleop.settings import TeleopConfig
from policies.scripted_person import PersonConfig, ScriptedPerson, Show, Skill, View
from robot_rl.core.errors import ConfigError
from robot_rl.core.protocols import Encoder, GroundTruth, RewardModel, Robot, Teleop, Tracker, Vision
from robot_rl.core.spec import EnvSpec
from robot_rl.env.cartesian_action import ActionConfig, CartesianAction
from robot_rl.env.robot_env import RobotEnv
from robot_rl.env.session import SessionConfig
from robot_rl.env.stages import StageCounter
from robot_rl.env.task import Task
from robot_rl.env.vision import LocalVision, NoTracker
from robot_rl.learn.settings import LearnerConfig
from robot_rl.perception.settings import (
    VICE_THRESHOLD,
    ClassifierConfig,
    EncoderConfig,
    classifier_thresholds,
)
from robot_rl.tasks.pixels import PixelTask
from robot_rl.tasks.proprioception import Proprioception
from robot_rl.tasks.scene_cameras import SceneCameras
from sim.arm.looks import MAX_DISTRACTORS
from sim.arm.settings import ArmSimConfig

if TYPE_CHECKING:
    from sim.arm.simulated_arm import SimulatedArm

CLASSIFIER = "classifier"
"""Folder of a run that holds its reward classifier."""


@dataclass(frozen=True)
class ArmTaskConfig(ABC):
    """All settings of a task on a simulated arm. A task's own goal comes with its subclass."""

    backend: Literal["mujoco", "pybullet"] = "mujoco"
    """Physics engine of the simulated arm."""
    max_object_age: float = 0.5
    """A measured pose, or a picture, older than this stops the episode [s]."""
    action: ActionConfig = field(default_factory=ActionConfig)
    """Mapping from actions to motion."""
    arm: ArmSimConfig = field(default_factory=ArmSimConfig)
    """The simulated arm, its control law and its safety limits."""
    person: PersonConfig = field(default_factory=PersonConfig)
    """The scripted person."""
    teleop: TeleopConfig = field(default_factory=TeleopConfig)
    """The devices of a real one, the operator."""
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    """The learner."""
    session: SessionConfig = field(default_factory=SessionConfig)
    """Course of the training."""
    cameras: tuple[str, ...] = ()
    """Cameras through which the policy sees the scene; none: it is given tracked poses instead."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """What makes features of their pictures."""
    reward: Literal["pose", "classifier", "person"] = "pose"
    """Who says that the task is done: the tracked poses, a classifier of what the cameras see, or the person
    alone."""
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    """The reward classifier."""
    look: float = 0.0
    """How far colours, light and camera poses of a simulated scene are redrawn for every episode: 1 is the
    range that the encoder was trained on, 0 the default look."""
    distractors: int = 0
    """Objects that stand about in a simulated scene and mean nothing [objects]."""

    def __post_init__(self) -> None:
        if self.action.linear_leash > 0.2:
            raise ConfigError(f"action.linear_leash of {self.action.linear_leash} m is no leash: at most 0.2")
        if self.reward != "pose" and not self.cameras:
            raise ConfigError(
                f"reward {self.reward!r} is for tasks that are seen through cameras, and this one has none: "
                "choose --obs pixels"
            )
        if not 0.0 <= self.look <= 1.0 or not 0 <= self.distractors <= MAX_DISTRACTORS:
            raise ConfigError(
                f"look must be in [0, 1] and distractors 0 to {MAX_DISTRACTORS}, "
                f"not {self.look} and {self.distractors}"
            )
        if (self.look or self.distractors) and not self.cameras:
            raise ConfigError(
                "look and distractors change what cameras see, and this task has none: choose --obs pixels"
            )

    @property
    def control_rate(self) -> float:
        """Actions a second [Hz]."""
        return 1.0 / self.arm.control_period

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of the objects that the tracker measures."""
        return {"cube": ("cube",), "goal": ("goal",), "peg": ("hole",), "empty": ()}[self.arm.scene.kind]

    @property
    def spec(self) -> EnvSpec:
        """What policy, learner and logs of this task agree on; made without an environment."""
        task = self.seen_task((0.5,))
        action = CartesianAction(self.action, self.control_rate).spec
        return EnvSpec(task.observation_spec, action, self.control_rate, task.name)

    @abstractmethod
    def task(self) -> Task:
        """The pure part, with tracked poses: observation, reward, time limit."""

    def proprioception(self) -> Proprioception:
        """What the arm senses of itself when it sees the rest through cameras."""
        return Proprioception(self.control_rate, self.action.gripper)

    def seen_task(self, thresholds: Sequence[float]) -> Task:
        """The task as the policy meets it: as it is, or through cameras.

        Args:
            thresholds: Of the classifier, one a stage; unused without one.
        """
        if not self.cameras:
            return self.task()
        stages = None
        if self.reward == "classifier":
            ticks = max(1, round(self.classifier.hold_time * self.control_rate))
            stages = StageCounter(len(thresholds), thresholds, ticks)
        by_pose = self.reward == "pose"
        return PixelTask(self.task(), self.proprioception(), self.cameras, self.encoder, stages, by_pose)

    def thresholds(self) -> tuple[float, ...]:
        """The classifier's thresholds, one a stage; () where no classifier rewards."""
        if self.reward != "classifier":
            return ()
        if not self.classifier.directory:
            raise ConfigError(
                "reward classifier: classifier.directory is not set; make one with robot-rl train-classifier"
            )
        calibrated = classifier_thresholds(Path(self.classifier.directory))
        given = self.classifier.threshold or (VICE_THRESHOLD if self.classifier.vice else 0.0)
        return tuple(given for _ in calibrated) if given else calibrated

    @abstractmethod
    def skill(self) -> Skill:
        """How the scripted person does it."""

    def show(self) -> Show | None:
        """What she shows for a reward classifier; None where there is nothing to show."""
        return None

    def person_for(self, truth: GroundTruth) -> ScriptedPerson:
        """The scripted person, who sees `truth`."""
        task = self.task()

        def stage(view: View) -> int:
            return task.stage(view.state, view.truth)

        return ScriptedPerson(self.person, self.skill(), truth, self.control_rate, self.show(), stage)

    def make_env(
        self, robot: Robot, tracker: Tracker, teleop: Teleop | None, vision: Vision | None = None
    ) -> RobotEnv:
        """The environment on any robot: simulated in this process, or behind topics."""
        if self.cameras and vision is None:
            raise ConfigError(f"this task sees through the cameras {self.cameras}: it needs a vision")
        # Seen through cameras, and rewarded by what they see, the scene needs no tracker.
        tracked = tracker if self.reward == "pose" else NoTracker()
        task = self.seen_task(self.thresholds())
        return RobotEnv(
            robot, tracked, task, self.action, self.control_rate, teleop, self.max_object_age, vision
        )

    def make_arm(self) -> SimulatedArm:
        """The simulated arm in this process."""
        from sim.arm.simulated_arm import SimulatedArm

        return SimulatedArm(self.arm, self.backend)

    def simulate(self, person: bool = True) -> tuple[RobotEnv, SimulatedArm]:
        """Environment and arm in this process, with the scripted person unless `person` is False."""
        arm = self.make_arm()
        teleop = self.person_for(arm) if person else None
        vision = self.simulated_vision(arm) if self.cameras else None
        return self.make_env(arm, arm.tracker, teleop, vision), arm

    def simulated_vision(self, arm: SimulatedArm) -> LocalVision:
        """Cameras on a simulated arm with encoder and classifier, all in this process."""
        cameras = self.make_cameras()
        encoder = self.make_encoder()
        classifier = self.make_classifier(encoder.digest)
        return LocalVision(
            lambda state: cameras.pictures(state, arm.truth()),
            encoder,
            classifier,
            lambda episode: cameras.reset(episode, arm.truth()),
            cameras.close,
            cameras.intrinsics,
        )

    def make_cameras(self) -> SceneCameras:
        """The simulated cameras in this process."""
        from sim.arm.cameras import TableCameras

        cameras = TableCameras(self.arm, names=self.cameras)
        return SceneCameras(cameras, self.arm.scene, self.look, self.distractors)

    def make_classifier(self, encoder: str) -> RewardModel | None:
        """The reward classifier for the encoder with this digest; None where no classifier rewards."""
        if self.reward != "classifier":
            return None
        from robot_rl.perception.classifier import RewardClassifier

        directory = Path(self.classifier.directory)
        classifier = RewardClassifier.load(directory, encoder)
        if not self.classifier.vice:
            return classifier
        from robot_rl.perception.vice import FOLDER, Vice

        return Vice(classifier, directory=directory / FOLDER)

    def with_own_classifier(self, run: Path) -> Self:
        """The settings of a new run in the directory `run`: a classifier that learns there is its own copy.

        So other runs that begin with the same classifier neither see nor change what this one makes of it.
        """
        learns = self.reward == "classifier" and self.classifier.vice and bool(self.classifier.directory)
        given, own = Path(self.classifier.directory), run / CLASSIFIER
        if not learns or given.resolve() == own.resolve():
            return self
        from robot_rl.perception.classifier import RewardClassifier

        RewardClassifier.load(given).save(own)
        return dataclasses.replace(self, classifier=dataclasses.replace(self.classifier, directory=str(own)))

    @property
    def frozen_encoder(self) -> EncoderConfig:
        """What makes features: the task's encoder, or the shipped one where the learner trains its own.

        A reward classifier needs features that stay as they are.
        """
        return EncoderConfig() if self.encoder.kind == "trainable" else self.encoder

    def make_encoder(self) -> Encoder:
        """The encoder of the cameras' pictures."""
        from robot_rl.perception.encoder import load_encoder

        return load_encoder(self.frozen_encoder, self.cameras)
