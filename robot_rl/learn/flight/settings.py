"""Settings of training by gradients through the simulator. Imports no JAX."""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_rl.core.errors import ConfigError


@dataclass(frozen=True)
class CostSettings:
    """Weights of the cost of one step, which is half of this sum.

    position |p|^2 + tilt (1 - q_w^2) + velocity |v|^2 + rates |w|^2 + action |a - a_hover|^2
    + wall sum_i max(0, |p_i| - wall_at)^2

    where p and v are relative to the reference. Far from it the squares of p, v and w go on as straight
    lines, and so does the wall: what a policy that cannot fly yet does would outweigh everything else.
    """

    position: float = 100.0
    """[1/m^2]."""
    tilt: float = 5.0
    """Of the attitude, heading included."""
    velocity: float = 1.0
    """[s^2/m^2]."""
    rates: float = 0.02
    """[s^2/rad^2]."""
    action: float = 0.2
    """Of the distance to the action that hovers."""
    wall: float = 50.0
    """[1/m^2]."""
    wall_at: float = 0.5
    """Distance, along each axis, at which the wall begins [m]."""

    def __post_init__(self) -> None:
        for name in ("position", "tilt", "velocity", "rates", "action", "wall", "wall_at"):
            if not getattr(self, name) >= 0.0:
                raise ConfigError(f"cost.{name} must not be negative, not {getattr(self, name)}")


@dataclass(frozen=True)
class GradientSettings:
    """How a policy is trained by gradients through the simulator."""

    hidden: tuple[int, ...] = (64, 64)
    """Widths of the policy's hidden layers."""
    worlds: int = 64
    """Quadrotors that fly side by side."""
    window: int = 64
    """Steps that a gradient reaches back."""
    windows: int = 8
    """Windows of an episode; then a world starts anew."""
    updates: int = 200
    """Updates of the policy, one for each window; a multiple of `block`."""
    block: int = 25
    """Updates in one call of the compiled program."""
    learning_rate: float = 2e-2
    """Largest step size of Adam."""
    warmup: int = 20
    """Updates in which the step size rises to that. Adam's first steps are of full size whatever the gradient
    is, and take a new policy to where its output saturates."""
    final_rate: float = 0.1
    """Part of the step size that is left at the end, along a cosine."""
    max_norm: float = 0.3
    """A longer gradient is scaled down to this norm. Most are at the start, and few later: those of the rare
    worlds that are about to be lost, which would undo what the others taught."""
    cost: CostSettings = field(default_factory=CostSettings)
    """What is to be small."""

    def __post_init__(self) -> None:
        for name in ("worlds", "window", "windows", "updates", "block", "warmup"):
            if getattr(self, name) < 1:
                raise ConfigError(f"gradient.{name} must be at least 1, not {getattr(self, name)}")
        if self.updates % self.block:
            raise ConfigError(
                f"gradient.updates must be a multiple of gradient.block, {self.block}, not {self.updates}"
            )
        if not self.hidden or min(self.hidden) < 1:
            raise ConfigError(f"gradient.hidden needs widths of at least 1, not {self.hidden}")
        for name in ("learning_rate", "max_norm"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"gradient.{name} must be more than 0, not {getattr(self, name)}")
        if not 0.0 <= self.final_rate <= 1.0:
            raise ConfigError(f"gradient.final_rate must be in [0, 1], not {self.final_rate}")
