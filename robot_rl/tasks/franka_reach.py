"""franka_reach: bring the TCP to a point in the air and stay there."""

from __future__ import annotations

from dataclasses import dataclass, field

from policies.skills import ReachSkill
from robot_rl.env.cartesian_action import ActionConfig
from robot_rl.learn.settings import LearnerConfig
from robot_rl.tasks.arm import ArmTaskConfig
from robot_rl.tasks.reach import Reach, ReachConfig
from sim.arm.settings import ArmSimConfig, SceneConfig


@dataclass(frozen=True)
class FrankaReach(ArmTaskConfig):
    """Settings of franka_reach."""

    action: ActionConfig = field(default_factory=lambda: ActionConfig(axes=("x", "y", "z")))
    """Mapping from actions to motion; the tool keeps its orientation."""
    arm: ArmSimConfig = field(
        default_factory=lambda: ArmSimConfig(scene=SceneConfig(kind="goal", start_yaw=0.0))
    )
    """The simulated arm, its control law and its safety limits."""
    learner: LearnerConfig = field(default_factory=lambda: LearnerConfig(hidden=(64, 64)))
    """The learner."""
    goal: ReachConfig = field(default_factory=ReachConfig)
    """What counts as success."""

    def task(self) -> Reach:
        return Reach(self.goal, self.control_rate)

    def skill(self) -> ReachSkill:
        return ReachSkill()


CONFIG = FrankaReach()
