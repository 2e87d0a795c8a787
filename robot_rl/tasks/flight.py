"""What the flying tasks have in common: one configuration, and what a policy is judged by.

Importing this loads no JAX.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from robot_rl.core.errors import ConfigError, nearest
from robot_rl.core.spec import EnvSpec
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


@dataclass(frozen=True)
class FlightTask:
    """All settings of a flying task that is trained by gradients through the simulator."""

    name: str
    """Of the task."""
    flight: FlightSettings = field(default_factory=lambda: FlightSettings(history=8))
    """What is flown in training."""
    gradient: GradientSettings = field(default_factory=GradientSettings)
    """How it is learned."""
    noise: bool = True
    """Ablation: train with noise of the sensors."""
    disturbance: bool = True
    """Ablation: train with disturbances."""
    rotor_lag: bool = True
    """Ablation: train with rotors that take their time."""
    action_history: bool = True
    """Ablation: let the policy see its past actions."""
    episodes: int = 1000
    """Flights of the evaluation of each quadrotor."""

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise ConfigError(f"episodes must be at least 1, not {self.episodes}")

    @property
    def training(self) -> FlightSettings:
        """What is flown in training, with the ablations."""
        flight = self.flight
        return dataclasses.replace(
            flight,
            noise=flight.noise if self.noise else QUIET,
            disturbance=flight.disturbance if self.disturbance else NO_DISTURBANCE,
            history=flight.history if self.action_history else 0,
        )

    @property
    def spec(self) -> EnvSpec:
        """What a policy of this task sees and commands."""
        return flight_spec(self.training.history, self.flight.preview, SCALES, self.name)

    def evaluations(self) -> dict[str, FlightSettings]:
        """What a policy is judged by, for each quadrotor: never ablated.

        A hover starts as in training. A path is flown from its start, level: two laps behind the ramp.
        """
        return evaluations(self.training, self.flight.disturbance)


def evaluations(trained: FlightSettings, air: DisturbanceSettings) -> dict[str, FlightSettings]:
    """The flights that a policy is judged by which sees what `trained` says, by quadrotor."""
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
    return {
        name: dataclasses.replace(judged, vehicle=RandomisationSettings(sets=(name,)))
        for name in trained.vehicle.sets
    }


def preset(presets: dict[str, FlightTask], name: str) -> FlightTask:
    """The preset of this name, or a `ConfigError` that lists them."""
    if name not in presets:
        raise ConfigError(f"unknown preset {name!r}: {nearest(name, presets)}")
    return presets[name]
