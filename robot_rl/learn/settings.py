"""Settings of the learner. No JAX here, so that the command line and the task files stay light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robot_rl.core.errors import ConfigError


@dataclass(frozen=True)
class LearnerConfig:
    """RLPD (Ball et al. 2023, arXiv:2302.02948) with cloning; the defaults suit small state tasks."""

    hidden: tuple[int, ...] = (128, 128)
    """Widths of the hidden layers of every network."""
    trunk: int = 64
    """Width of the layer that a network puts the features of images through before its hidden layers."""
    critics: int = 2
    """Members of the critic ensemble. RLPD: 10."""
    critic_subset: int = 0
    """Target critics whose minimum makes the TD target, drawn without replacement; 0 for all of them."""
    critic_layer_norm: bool = True
    """Layer normalisation (Ba et al. 2016) after each hidden layer of a critic."""
    actor_value: Literal["mean", "min"] = "mean"
    """What the actor climbs: the mean of the critics (RLPD) or their minimum (SAC)."""

    batch_size: int = 256
    """Transitions in one critic step."""
    demo_fraction: float = 0.5
    """Part of each batch that is drawn from the demonstration buffer, in [0, 1]."""
    utd_ratio: int = 4
    """Critic steps for each environment step (and for each actor step)."""
    force_cpu: bool = False
    """Train an encoder end to end (`encoder.kind` "trainable") on a CPU, however long that takes."""
    block: int = 10
    """Environment steps for each call of the update program; weights are published once a block."""
    learning_starts: int = 100
    """Environment steps before the first update, demonstrations not counted."""
    capacity: int = 100_000
    """Transitions in the online buffer."""
    demo_capacity: int = 20_000
    """Transitions in the demonstration buffer (demonstrations and interventions)."""

    learning_rate: float = 3e-4
    """Step size of Adam, all networks and the temperature."""
    discount: float = 0.97
    """Discount of one control period."""
    tau: float = 0.005
    """Polyak step of the target networks, for each critic step."""
    return_bounds: tuple[float, float] | None = (0.0, 1.0)
    """Bounds that TD targets are clipped to [reward]; null for none."""
    initial_temperature: float = 0.01
    """Entropy temperature at the start [reward/nat]."""
    target_entropy_per_action: float = -0.5
    """Wanted policy entropy for each dimension of the action [nat]."""
    entropy_in_backup: bool = False
    """Whether the TD target holds the entropy of the next action."""
    initial_std: float = 0.2
    """Standard deviation of a new actor, before the tanh."""
    max_std: float = 7.0
    """Largest standard deviation of the actor, before the tanh. The entropy target is a sum over the action:
    where one element saturates, the others would make up for it with noise that no grasp survives."""

    demonstrations: int = 5
    """Demonstration episodes to wait for before cloning and learning start."""
    bc_steps: int = 1000
    """Steps of behaviour cloning on the demonstrations before reinforcement learning."""
    bc_weight_start: float = 0.5
    """Weight of the cloning term in the actor's loss when learning starts [reward]."""
    bc_weight_end: float = 0.1
    """The same after `bc_decay_steps`. At 0 a fresh critic can wipe out a cloned actor."""
    bc_decay_steps: int = 4000
    """Environment steps over which the weight falls linearly."""
    actor_warmup: int = 0
    """Environment steps over which the critics' say in the actor's loss grows from 0 to 1. A cloned actor
    that follows fresh critics at once forgets what it was shown."""
    bc_q_filter: bool = False
    """Clone a demonstrated action only where the critics rate it above the policy's own (Nair et al. 2018,
    arXiv:1709.10089), so that the policy may outgrow its demonstrations."""

    gripper: Literal["continuous", "discrete"] = "continuous"
    """"discrete": the last element of the action is chosen by a Q-function of its own among -1, 0 and +1
    (HIL-SERL, Luo et al. 2024); the transition's penalty is then seen by that function only."""
    gripper_margin: float = 0.05
    """Margin by which a demonstrated gripper action must beat the others while cloning [reward]
    (DQfD, Hester et al. 2018)."""

    def __post_init__(self) -> None:
        """Refuse values that no learner could run with."""

        def require(valid: bool, message: str) -> None:
            if not valid:
                raise ConfigError(f"learner: {message}")

        require(bool(self.hidden) and min(self.hidden) > 0, "hidden needs at least one positive width")
        for name in ("trunk", "critics", "batch_size", "utd_ratio", "block", "capacity", "demo_capacity"):
            value = getattr(self, name)
            require(value >= 1, f"{name} must be at least 1, not {value}")
        for name in (
            "critic_subset",
            "learning_starts",
            "demonstrations",
            "bc_steps",
            "bc_decay_steps",
            "actor_warmup",
        ):
            value = getattr(self, name)
            require(value >= 0, f"{name} must not be negative, not {value}")
        for name in ("learning_rate", "initial_temperature", "initial_std", "max_std"):
            value = getattr(self, name)
            require(value > 0, f"{name} must be positive, not {value}")
        for name in ("demo_fraction", "discount", "tau"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name} must be within [0, 1], not {value}")
        require(
            self.initial_std <= self.max_std,
            f"initial_std {self.initial_std} exceeds max_std {self.max_std}",
        )
        require(
            self.critic_subset <= self.critics,
            f"critic_subset {self.critic_subset} exceeds the {self.critics} critics; 0 uses all of them",
        )
        require(
            self.capacity >= self.block and self.demo_capacity >= self.block,
            f"capacity and demo_capacity must hold at least one block of {self.block} transitions",
        )
        if self.return_bounds is not None:
            low, high = self.return_bounds
            require(low < high, f"return_bounds [{low}, {high}] are not in ascending order")

    @property
    def demo_batch(self) -> int:
        """Rows of a batch that come from the demonstration buffer."""
        return round(self.batch_size * self.demo_fraction)
