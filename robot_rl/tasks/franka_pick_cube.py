"""franka_pick_cube: pick up a cube that lies anywhere in 0.30 x 0.50 m at any yaw, and hold it 0.1 m up."""

from __future__ import annotations

from dataclasses import dataclass, field

from policies.skills import PickSkill
from robot_rl.learn.settings import LearnerConfig
from robot_rl.tasks.arm import ArmTaskConfig
from robot_rl.tasks.pick_cube import PickCube, PickCubeConfig


@dataclass(frozen=True)
class FrankaPickCube(ArmTaskConfig):
    """Settings of franka_pick_cube."""

    learner: LearnerConfig = field(
        default_factory=lambda: LearnerConfig(initial_std=0.1, target_entropy_per_action=-1.0, bc_steps=2000)
    )
    """The learner."""
    goal: PickCubeConfig = field(default_factory=PickCubeConfig)
    """What counts as success."""

    def task(self) -> PickCube:
        return PickCube(self.goal, self.control_rate)

    def skill(self) -> PickSkill:
        return PickSkill()


CONFIG = FrankaPickCube()
