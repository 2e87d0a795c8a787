"""What the flying tasks have in common: one configuration, and what a policy is judged by.

Importing this loads no JAX.
"""

from __future__ import annotations

import dataclasses
import importlib
from dataclasses import dataclass, field
from pathlib import Path

from robot_rl.core.errors import ConfigError, nearest
from robot_rl.core.spec import EnvSpec
from robot_rl.learn.flight.paper_settings import PaperConfig
from robot_rl.learn.flight.settings import GradientSettings
from sim.quadrotor.layout import BALANCED, flight_spec
from sim.quadrotor.settings import (
    LEVEL_START,
    NO_DISTURBANCE,
    PERIOD,
    QUIET,
    DisturbanceSettings,
    FlightSettings,
    NoiseSettings,
    RandomisationSettings,
    StartSettings,
)

SCALES = {**BALANCED, "actions": 4.0}
"""Magnitudes of what a policy sees. Past actions go up and down together: at their own magnitude one step of
Adam on all their weights moves the policy several times as far as one on the others."""

SCATTERED = RandomisationSettings(
    mass=0.1, inertia=0.3, thrust=0.2, torque=0.3, lag=0.3, battery=0.85, thrust_to_weight=1.4
)
"""A Crazyflie that nobody has weighed or measured, with its battery at any charge."""

RANDOMISED = "randomised"
"""Name of the evaluation with quadrotors that scatter as in training."""


@dataclass(frozen=True)
class FlightAblation:
    """What training can leave out: those of the paper's switches that concern no critic and no schedule."""

    disturbance: bool = True
    """Forces and torques that the policy does not see."""
    observation_noise: bool = True
    """Noise of what it sees."""
    rotor_delay: bool = True
    """Rotors that take their time. Otherwise their time constant is 10 ms."""
    action_history: bool = True
    """The policy sees its last actions."""


@dataclass(frozen=True)
class FlightTask:
    """All settings of a flying task that is trained by gradients through the simulator."""

    name: str
    """Of the task."""
    flight: FlightSettings = field(default_factory=lambda: FlightSettings(history=8))
    """What is flown in training."""
    gradient: GradientSettings = field(default_factory=GradientSettings)
    """How it is learned."""
    ablation: FlightAblation = field(default_factory=FlightAblation)
    """What training leaves out."""
    episodes: int = 1000
    """Flights of the evaluation of each quadrotor."""

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise ConfigError(f"episodes must be at least 1, not {self.episodes}")

    @property
    def training(self) -> FlightSettings:
        """What is flown in training: from any point of the reference, and without what is left out."""
        flight, ablation = self.flight, self.ablation
        return dataclasses.replace(
            flight,
            vehicle=dataclasses.replace(flight.vehicle, rotor_delay=ablation.rotor_delay),
            start=dataclasses.replace(flight.start, anywhere=True),
            noise=flight.noise if ablation.observation_noise else QUIET,
            disturbance=flight.disturbance if ablation.disturbance else NO_DISTURBANCE,
            history=flight.history if ablation.action_history else 0,
        )

    @property
    def spec(self) -> EnvSpec:
        """What a policy of this task sees and commands."""
        return flight_spec(self.training.history, self.flight.preview, SCALES, self.name)

    def evaluations(self) -> dict[str, FlightSettings]:
        """What a policy is judged by, for each quadrotor: never ablated.

        A hover starts as in training. A path is flown from its start, level: two laps behind the ramp. After
        a training with quadrotors that scatter, such ones are flown too, as "randomised".
        """
        return evaluations(self.training, self.flight.disturbance)


def evaluations(trained: FlightSettings, air: DisturbanceSettings) -> dict[str, FlightSettings]:
    """The flights that judge a policy which sees what `trained` says, by quadrotor."""
    reference = trained.reference
    hovers = reference.kind == "hover"
    course = reference.ramp + 2.0 * reference.period
    judged = dataclasses.replace(
        trained,
        start=StartSettings() if hovers else LEVEL_START,
        noise=NoiseSettings(),
        disturbance=air,
        steps=500 if hovers else round(course / PERIOD),
    )
    vehicles = {Path(name).name: RandomisationSettings(sets=(name,)) for name in trained.vehicle.sets}
    if trained.vehicle.scatters:
        vehicles[RANDOMISED] = dataclasses.replace(trained.vehicle, rotor_delay=True)
    return {name: dataclasses.replace(judged, vehicle=vehicle) for name, vehicle in vehicles.items()}


Flying = FlightTask | PaperConfig
"""Settings of a preset: trained by gradients, or as in the paper."""


def presets_of(name: str) -> dict[str, Flying]:
    """The presets of a task; the first one is the default."""
    return importlib.import_module(f"robot_rl.tasks.{name}").PRESETS


def preset(name: str, chosen: str | None) -> tuple[str, Flying]:
    """Name and settings of a preset of this task; the default for None."""
    presets = presets_of(name)
    if chosen is None:
        chosen = next(iter(presets))
    if chosen not in presets:
        raise ConfigError(f"unknown preset {chosen!r} of {name}: {nearest(chosen, presets)}")
    return chosen, presets[chosen]


def spec_of(name: str, task: Flying) -> EnvSpec:
    """What a policy sees and commands."""
    return flight_spec(task.history, name=name) if isinstance(task, PaperConfig) else task.spec


def judged_by(task: Flying) -> dict[str, FlightSettings]:
    """The flights that judge a policy, by quadrotor."""
    return {Path(task.vehicle).name: task.flight} if isinstance(task, PaperConfig) else task.evaluations()
