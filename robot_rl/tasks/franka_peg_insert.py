"""franka_peg_insert: put a square peg into a hole anywhere in 0.1 x 0.1 m, turned by up to 15 degrees."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from policies.scripted_person import PersonConfig
from policies.shows import PegShow
from policies.skills import PegSkill
from robot_rl.env.cartesian_action import ActionConfig
from robot_rl.env.session import SessionConfig
from robot_rl.learn.settings import LearnerConfig
from robot_rl.tasks.arm import ArmTaskConfig
from robot_rl.tasks.peg_insert import PegInsert, PegInsertConfig
from robot_rl.tasks.proprioception import Proprioception
from sim.arm.settings import ArmSimConfig, peg_arm


@dataclass(frozen=True)
class FrankaPegInsert(ArmTaskConfig):
    """Settings of franka_peg_insert."""

    action: ActionConfig = field(
        default_factory=lambda: ActionConfig(
            gripper=False, linear_scale=0.006, angular_scale=0.06, linear_leash=0.006, angular_leash=0.06
        )
    )
    """Mapping from actions to motion. The short leash bounds the force with which the target pulls on a peg
    that is stuck, and with it the speed at which it then drops to the table."""
    arm: ArmSimConfig = field(default_factory=peg_arm)
    """The simulated arm, its control law and its safety limits."""
    person: PersonConfig = field(
        default_factory=lambda: PersonConfig(linear_speed=0.06, angular_speed=0.4, tremor=0.006)
    )
    """The scripted person."""
    learner: LearnerConfig = field(
        default_factory=lambda: LearnerConfig(
            initial_std=0.1, initial_temperature=0.001, target_entropy_per_action=-1.0, bc_steps=2000
        )
    )
    """The learner."""
    session: SessionConfig = field(
        default_factory=lambda: SessionConfig(evaluate_every=2000, promising=0.5, good_length=0.8)
    )
    """Course of the training."""
    goal: PegInsertConfig = field(default_factory=PegInsertConfig)
    """What counts as success."""

    def task(self) -> PegInsert:
        return PegInsert(self.goal, self.arm.scene.peg_length, self.control_rate)

    def proprioception(self) -> Proprioception:
        return Proprioception(self.control_rate, gripper=False, force=True)

    def skill(self) -> PegSkill:
        return PegSkill(peg_length=self.arm.scene.peg_length)

    def show(self) -> PegShow:
        return PegShow(self.skill())


CONFIG = FrankaPegInsert()
PIXELS = replace(CONFIG, cameras=("wrist", "side"))
