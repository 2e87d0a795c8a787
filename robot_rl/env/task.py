"""What makes a task of a robot: what is observed, what is rewarded, when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from robot_rl.core.spec import Observation, Spec
from robot_rl.core.types import ArmState, Pose, Sight, StampedPose

Objects = Mapping[str, StampedPose]
"""Newest measured pose of each tracked object."""


class Senses(NamedTuple):
    """What is known of the scene at one instant."""

    objects: Objects
    sight: Sight = Sight()
    """Empty for a robot without cameras."""


class Judgement(NamedTuple):
    """A task's view of one instant."""

    observation: Observation
    reward: float
    success: bool


class Task(Protocol):
    """The pure part of an environment: states and measured poses in, observations and rewards out."""

    @property
    def name(self) -> str: ...

    @property
    def observation_spec(self) -> Spec: ...

    @property
    def time_limit(self) -> int:
        """Steps after which an episode is truncated."""
        ...

    def reset(self, state: ArmState, senses: Senses) -> Observation: ...

    def step(self, state: ArmState, senses: Senses) -> Judgement: ...

    def stage(self, state: ArmState, truth: Mapping[str, Pose]) -> int:
        """Stages of the task that a person in the room would call reached at this instant.

        The last one is success. She calls it when she is sure, a little beyond what the task asks for.
        """
        ...

    def judge(self) -> Judge:
        """A judge of success by the true poses, for the evaluation alone."""
        ...


class Judge(Protocol):
    """Decides by ground truth whether an episode succeeded."""

    def update(self, state: ArmState, truth: Mapping[str, Pose]) -> bool:
        """See one instant; True once the goal has been reached in this episode."""
        ...
