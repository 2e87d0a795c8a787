"""Settings of the training of "Learning to Fly in Seconds". Imports no JAX.

The defaults are those of the program that Eschmann, Albani and Loianno published with their paper (RA-L 2024,
arXiv:2311.13081; arplaboratory/learning-to-fly at d07592d, with rl-tools at 3a612e29).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from robot_rl.core.errors import ConfigError
from sim.quadrotor.settings import (
    NO_DISTURBANCE,
    QUIET,
    TARGET_WEIGHTS,
    CurriculumSettings,
    DisturbanceSettings,
    FlightSettings,
    NoiseSettings,
    RandomisationSettings,
    RewardSettings,
    StartSettings,
)

HISTORY = 32
"""Past actions that the paper's policy sees."""


@dataclass(frozen=True)
class AblationConfig:
    """What the paper's ablation study leaves out, one at a time. Evaluations never leave anything out."""

    disturbance: bool = True
    """A force and a torque, constant in an episode; the critic sees them."""
    observation_noise: bool = True
    """The actor sees noisy measurements."""
    asymmetric_critic: bool = True
    """The critics see the true state, disturbance and rotor speeds, instead of what the actor sees."""
    rotor_delay: bool = True
    """Rotors take their time; the critic sees their speeds. Otherwise they turn as they are told at once."""
    action_history: bool = True
    """The actor sees the last actions."""
    curriculum: bool = True
    """The weights of the reward grow during training."""
    reward_recalculation: bool = True
    """When they grow, all rewards in the replay buffer are computed anew."""
    initial_reward: bool = True
    """Training starts with weights of its own. Otherwise with those that policies are judged by."""
    exploration_decay: bool = True
    """Exploration gets less from `exploration_decay_from` on."""


@dataclass(frozen=True)
class PaperConfig:
    """TD3 (Fujimoto et al. 2018, arXiv:1802.09477) in one environment, with a schedule of its own."""

    vehicle: str = "l2f-paper"
    """Parameter set that is flown, by name or as a YAML file."""
    steps: int = 300_001
    """Environment steps, and rows of the replay buffer."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers of the actor and of both critics, all with a tanh: in training
    the published program's rational one, elsewhere, where policies are judged and flown, tanh itself."""
    batch_size: int = 256
    """Transitions in an update; each critic draws its own."""
    discount: float = 0.99
    """Of one step."""
    polyak: float = 0.005
    """Part of the way that target networks move towards their originals."""
    learning_rate: float = 1e-3
    """Step size of Adam."""
    weight_decay: float = 5e-5
    """Part of every weight that is taken off in each step of Adam, biases spared. The published program
    halves its constant of 1e-4, and does not multiply it by the step size."""
    interval: int = 10
    """Environment steps between two updates of the critics and of their targets."""
    actor_every: int = 2
    """Updates of the critics for each one of the actor and of its target."""
    critic_warmup: int = 15_000
    """Last environment step without updates of the critics."""
    actor_warmup: int = 30_000
    """Last environment step without updates of the actor. It flies from the first step on, with noise."""
    exploration: float = 0.1
    """Standard deviation of the noise on the action that is flown."""
    target_noise: float = 0.2
    """Standard deviation of the noise on the action in the critics' targets."""
    target_clip: float = 0.5
    """Largest absolute value of that noise."""
    exploration_decay: float = 0.9
    """Factor of all three every `exploration_decay_every` steps."""
    exploration_decay_every: int = 100_000
    """[environment steps]."""
    exploration_decay_from: int = 500_000
    """Environment step of the first decay: later than the preset's last one."""
    reward: RewardSettings = field(default_factory=RewardSettings)
    """Weights at the start."""
    curriculum: CurriculumSettings = field(default_factory=CurriculumSettings)
    """How they grow."""
    start: StartSettings = field(default_factory=StartSettings)
    """Where episodes start."""
    disturbance: DisturbanceSettings = field(default_factory=DisturbanceSettings)
    """What pushes the quadrotor: a constant wrench in each episode."""
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    """What blurs the actor's sight."""
    bound: float = 0.6
    """Distance from the target, along any axis, at which an episode ends [m]."""
    episode_steps: int = 500
    """Length of an episode."""
    evaluate_every: int = 10_000
    """Environment steps between two evaluations; also the first of them and the last step are evaluated."""
    episodes: int = 1000
    """Episodes of one evaluation."""
    validate_every: int = 50_000
    """Environment steps between two validations; they happen only where there is an evaluation too."""
    validation_flights: int = 10
    """Flights of one validation."""
    ablation: AblationConfig = field(default_factory=AblationConfig)
    """What is left out."""

    def __post_init__(self) -> None:
        def require(valid: bool, message: str) -> None:
            if not valid:
                raise ConfigError(f"l2f-paper: {message}")

        self.reward.check()
        RandomisationSettings(sets=(self.vehicle,))  # refuses what cannot be simulated
        require(bool(self.hidden) and min(self.hidden) > 0, "hidden needs at least one positive width")
        counts = "steps batch_size interval actor_every evaluate_every episodes validate_every"
        for name in (*counts.split(), "validation_flights"):
            value = getattr(self, name)
            require(value >= 1, f"{name} must be at least 1, not {value}")
        require(self.episode_steps >= 1, f"episode_steps must be at least 1, not {self.episode_steps}")
        for name in ("discount", "polyak", "weight_decay"):
            value = getattr(self, name)
            require(0.0 <= value <= 1.0, f"{name} must be in [0, 1], not {value}")
        for name in ("learning_rate", "bound"):
            value = getattr(self, name)
            require(value > 0.0, f"{name} must be more than 0, not {value}")
        for name in ("exploration", "target_noise", "target_clip", "critic_warmup", "actor_warmup"):
            value = getattr(self, name)
            require(value >= 0, f"{name} must not be negative, not {value}")
        require(
            self.steps > self.interval,
            f"steps must be more than interval ({self.interval}), not {self.steps}",
        )
        require(
            (self.steps - 1) % self.interval == 0 and self.evaluate_every % self.interval == 0,
            f"steps - 1 ({self.steps - 1}) and evaluate_every ({self.evaluate_every}) must be multiples of "
            f"interval ({self.interval})",
        )
        require(
            self.critic_warmup >= self.interval,
            f"critic_warmup must be at least interval ({self.interval}), not {self.critic_warmup}: the "
            "critics need transitions to learn from",
        )
        require(
            self.disturbance.gust == 0.0,
            "the paper's disturbances have no gusts; the fast preset trains with them",
        )

    @property
    def history(self) -> int:
        """Past actions that the actor sees."""
        return HISTORY if self.ablation.action_history else 0

    @property
    def flight(self) -> FlightSettings:
        """The task of the evaluations: nothing left out, and the target weights."""
        base = FlightSettings()
        return replace(
            base,
            vehicle=replace(base.vehicle, sets=(self.vehicle,)),
            start=self.start,
            disturbance=self.disturbance,
            noise=self.noise,
            reward=TARGET_WEIGHTS,
            history=self.history,
            bound=self.bound,
            steps=self.episode_steps,
        )

    @property
    def training_noise(self) -> NoiseSettings:
        """Noise in training."""
        return self.noise if self.ablation.observation_noise else QUIET

    @property
    def training_disturbance(self) -> DisturbanceSettings:
        """Disturbance in training."""
        return self.disturbance if self.ablation.disturbance else NO_DISTURBANCE

    @property
    def first_reward(self) -> RewardSettings:
        """Weights that training starts with."""
        return self.reward if self.ablation.initial_reward else TARGET_WEIGHTS
