"""franka_reach: bring the TCP to a point in the air and stay there."""

from __future__ import annotations

from dataclasses import dataclass, field

from policies.skills import ReachSkill
from robot_rl.env.cartesian_action import ActionConfig
from robot_rl.env.session import SessionConfig
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
    learner: LearnerConfig = field(
        default_factory=lambda: LearnerConfig(hidden=(64, 64), initial_temperature=0.001)
    )
    """The learner."""
    session: SessionConfig = field(
        default_factory=lambda: SessionConfig(
            max_steps=3000, evaluate_every=500, evaluation_episodes=20, good_length=0.9
        )
    )
    """Course of the training."""
    goal: ReachConfig = field(default_factory=ReachConfig)
    """What counts as success."""

    def task(self) -> Reach:
        return Reach(self.goal, self.control_rate)

    def skill(self) -> ReachSkill:
        return ReachSkill()


CONFIG = FrankaReach()
