"""Settings of simulated flights: starts, noise, disturbances, randomisation, references, rewards.

The defaults are those of Eschmann, Albani and Loianno, "Learning to Fly in Seconds" (RA-L 2024). Imports no
JAX: the command line and the task files read these too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from robot_rl.core.errors import ConfigError
from sim.quadrotor.parameters import load_parameters

PERIOD = 0.01
"""Time step of the simulation, and of a policy [s]."""

PREVIEW = (0.1, 0.2, 0.4)
"""How far ahead a tracking policy sees its reference [s]."""


def _within(settings: object, **limits: tuple[float, float]) -> None:
    for name, (low, high) in limits.items():
        value = getattr(settings, name)
        if not (low <= value <= high and math.isfinite(value)):
            valid = f"in [{low:g}, {high:g}]" if math.isfinite(high) else f"finite and at least {low:g}"
            raise ConfigError(f"{name} must be {valid}, not {value}")


@dataclass(frozen=True)
class StartSettings:
    """Where an episode starts, relative to the reference."""

    guidance: float = 0.1
    """Part of the episodes that start in the right place and upright, in [0, 1]."""
    position: float = 0.2
    """Largest distance along each axis [m]."""
    angle: float = math.pi / 2
    """Largest angle of the attitude, which is uniform on SO(3) up to there [rad]; at most pi."""
    velocity: float = 1.0
    """Largest velocity along each axis [m/s]."""
    rates: float = 1.0
    """Largest angular velocity about each axis [rad/s]."""
    rotors: float = 0.5
    """Speed of the rotors, as part of the highest."""
    anywhere: bool = False
    """Start at any point of a reference that moves, instead of at its beginning."""

    def __post_init__(self) -> None:
        _within(self, guidance=(0.0, 1.0), angle=(0.0, math.pi), rotors=(0.0, 1.0))
        _within(self, position=(0.0, math.inf), velocity=(0.0, math.inf), rates=(0.0, math.inf))


LEVEL_START = StartSettings(guidance=1.0, velocity=0.0, rates=0.0)
"""On the reference, level, at its speed."""


@dataclass(frozen=True)
class NoiseSettings:
    """Standard deviations of the white noise of what a policy sees. Past actions have none."""

    position: float = 0.001
    """[m]."""
    rotation: float = 0.001
    """Of each element of the rotation matrix."""
    velocity: float = 0.002
    """[m/s]."""
    rates: float = 0.002
    """[rad/s]."""

    def __post_init__(self) -> None:
        _within(self, position=(0, math.inf), rotation=(0, math.inf))
        _within(self, velocity=(0, math.inf), rates=(0, math.inf))


QUIET = NoiseSettings(0.0, 0.0, 0.0, 0.0)
"""No noise."""


@dataclass(frozen=True)
class DisturbanceSettings:
    """Forces and torques that the policy does not see, as parts of the weight."""

    force: float = 1.0 / 20.0
    """Standard deviation, along each axis, of a force that is constant in an episode [weight]."""
    torque: float = 1.0 / 10_000.0
    """The same for a torque [weight times 1 m]."""
    gust: float = 0.0
    """Standard deviation, along each axis, of the force of a gusty wind [weight]."""
    gust_time: float = 0.5
    """Time over which a gust is forgotten, its correlation time [s]."""

    def __post_init__(self) -> None:
        _within(self, force=(0, math.inf), torque=(0, math.inf), gust=(0, math.inf))
        _within(self, gust_time=(1e-3, math.inf))


NO_DISTURBANCE = DisturbanceSettings(0.0, 0.0)
"""Still air."""


@dataclass(frozen=True)
class RandomisationSettings:
    """Which quadrotors are flown. Scatter s multiplies a number by exp(u), u uniform in +-log(1 + s)."""

    sets: tuple[str, ...] = ("l2f-paper",)
    """Names of parameter sets, or YAML files, of which each episode draws one."""
    blend: bool = False
    """Draw a quadrotor in between instead: weights uniform on the simplex, positive numbers mixed by their
    logarithms."""
    mass: float = 0.0
    """Scatter of the mass."""
    inertia: float = 0.0
    """Scatter of the moments of inertia, the same for all three."""
    thrust: float = 0.0
    """Scatter of the thrust."""
    torque: float = 0.0
    """Scatter of the drag torque over the thrust."""
    lag: float = 0.0
    """Scatter of the rotors' time constants, each on its own."""
    rotor_delay: bool = True
    """Rotors take their time. Otherwise their time constant is one period."""
    battery: float = 1.0
    """Lowest level of the battery's voltage, with which all rotors' speeds scale; uniform up to 1."""
    thrust_to_weight: float = 1.0
    """Least thrust at full speed over weight; the thrust of a quadrotor with less is raised."""

    @property
    def scatters(self) -> bool:
        """Whether quadrotors of one set differ."""
        spread = (self.mass, self.inertia, self.thrust, self.torque, self.lag)
        return any(spread) or self.battery < 1.0 or self.blend

    def __post_init__(self) -> None:
        if not self.sets:
            raise ConfigError("sets must name at least one set of parameters")
        for name in ("mass", "inertia", "thrust", "torque", "lag"):
            _within(self, **{name: (0.0, 10.0)})
        _within(self, battery=(0.1, 1.0), thrust_to_weight=(1.0, math.inf))
        vehicles = {name: load_parameters(name) for name in self.sets}
        for vehicle in vehicles.values():
            vehicle.check_step(PERIOD, 1.0 + self.lag)
        spins = {name: vehicle.spin for name, vehicle in vehicles.items()}
        if len(set(spins.values())) > 1:
            raise ConfigError(f"rotors of these sets turn in different directions, which do not mix: {spins}")


@dataclass(frozen=True)
class ReferenceSettings:
    """What is to be followed."""

    kind: Literal["hover", "figure-eight", "random"] = "hover"
    """Stay at the origin; an eight lying in the x-y plane; or a smooth closed curve, another each episode."""
    period: float = 5.5
    """Time of a lap [s]; of random curves the shortest."""
    ramp: float = 2.0
    """Time in which the speed along the curve rises to its full value [s]."""
    width: float = 2.0
    """Extent along x [m]; of random curves the largest along x and y."""
    height: float = 1.0
    """Extent along y [m]; of random curves the largest along z."""
    speed: float = 2.0
    """Speed that no random curve exceeds [m/s]."""

    def __post_init__(self) -> None:
        if self.kind not in ("hover", "figure-eight", "random"):
            raise ConfigError(f"kind must be hover, figure-eight or random, not {self.kind!r}")
        _within(self, period=(PERIOD, math.inf), ramp=(PERIOD, math.inf), speed=(1e-3, math.inf))
        _within(self, width=(0.0, math.inf), height=(0.0, math.inf))


@dataclass(frozen=True)
class RewardSettings:
    """r = constant - scale (position |p|^2 + orientation (1 - q_w^2) + velocity |v|^2 + action |a - b|^2)."""

    position: float = 5.0
    """[1/m^2]."""
    orientation: float = 5.0
    """Of 1 - q_w^2, the squared sine of half the angle."""
    velocity: float = 0.01
    """[s^2/m^2]."""
    action: float = 0.01
    """Of the squared distance of the action from the one that hovers."""
    constant: float = 2.0
    """For being alive."""
    scale: float = 0.5
    """Of all costs together."""
    baseline: float = 0.334
    """b, the action of each rotor that hovers the paper's Crazyflie."""

    def check(self) -> None:
        """Raise `ConfigError` for what is no reward. Not done at once: a curriculum's are traced arrays."""
        for name in ("position", "orientation", "velocity", "action", "scale"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"reward.{name} must be 0 or more, and finite, not {getattr(self, name)}")
        if not math.isfinite(self.constant):
            raise ConfigError(f"reward.constant must be finite, not {self.constant}")
        _within(self, baseline=(-1.0, 1.0))


TARGET_WEIGHTS = RewardSettings(position=40.0, orientation=5.0, velocity=1.0, action=1.0)
"""What policies are judged by, and where the curriculum leads."""


@dataclass(frozen=True)
class CurriculumSettings:
    """Every so often the weights of a reward are multiplied, up to a limit."""

    every: int = 100_000
    """Environment steps between two changes."""
    position: float = 1.2
    """Factor of the weight of the position."""
    velocity: float = 1.4
    """Factor of the weight of the velocity."""
    action: float = 1.4
    """Factor of the weight of the action."""
    target: RewardSettings = TARGET_WEIGHTS
    """Weights that are not exceeded."""

    def __post_init__(self) -> None:
        _within(self, every=(1, math.inf))
        _within(self, position=(1, math.inf), velocity=(1, math.inf), action=(1, math.inf))


@dataclass(frozen=True)
class FlightSettings:
    """A task for a quadrotor: what flies, from where, along what, in which air, seen how."""

    vehicle: RandomisationSettings = field(default_factory=RandomisationSettings)
    """What flies."""
    start: StartSettings = field(default_factory=StartSettings)
    """Where it starts."""
    reference: ReferenceSettings = field(default_factory=ReferenceSettings)
    """What it follows."""
    disturbance: DisturbanceSettings = field(default_factory=DisturbanceSettings)
    """What pushes it."""
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    """What blurs its sight."""
    reward: RewardSettings = TARGET_WEIGHTS
    """What it is judged by."""
    history: int = 32
    """Past actions that the policy sees."""
    preview: tuple[float, ...] = ()
    """Times ahead at which the policy sees the reference [s]."""
    bound: float = 0.6
    """Distance from the reference, along any axis, at which an episode ends [m]."""
    steps: int = 500
    """Length of an episode."""

    def __post_init__(self) -> None:
        self.reward.check()
        _within(self, history=(0, 1000), bound=(0.0, math.inf), steps=(1, math.inf))
        if any(not 0.0 < ahead < math.inf for ahead in self.preview):
            raise ConfigError(f"preview must be times ahead, more than 0 s each, not {self.preview}")
