"""quadrotor_hover: catch a quadrotor that starts tilted and moving, and hold it at a point."""

from __future__ import annotations

from robot_rl.learn.flight.paper_settings import PaperConfig
from robot_rl.learn.flight.settings import CostSettings, GradientSettings
from robot_rl.tasks.flight import SCATTERED, FlightTask, Flying
from sim.quadrotor.settings import (
    DisturbanceSettings,
    FlightSettings,
    RandomisationSettings,
    StartSettings,
)

_NAME = "quadrotor_hover"

PRESETS: dict[str, Flying] = {
    "fast": FlightTask(
        _NAME,
        gradient=GradientSettings(
            worlds=96,
            window=48,
            windows=3,
            updates=150,
            cost=CostSettings(position=150.0, wall=200.0),
        ),
    ),
    "quality": FlightTask(
        _NAME,
        # Thrown a little harder than those that judge it: what it still loses are the hardest starts.
        flight=FlightSettings(start=StartSettings(position=0.22, velocity=1.15), history=8),
        gradient=GradientSettings(
            worlds=256,
            window=64,
            windows=3,
            updates=1200,
            learning_rate=1.5e-2,
            final_rate=0.02,
            cost=CostSettings(position=250.0, wall=400.0),
        ),
    ),
    "multi": FlightTask(
        _NAME,
        # Half of the worlds fly the one that has the least thrust to spare.
        flight=FlightSettings(
            vehicle=RandomisationSettings(sets=("l2f-paper", "l2f-2", "l2f-2", "gpd-cf2x")), history=16
        ),
        gradient=GradientSettings(
            worlds=128,
            windows=4,
            updates=800,
            learning_rate=1.5e-2,
            final_rate=0.05,
            cost=CostSettings(wall=400.0),
        ),
    ),
    "robust": FlightTask(
        _NAME,
        flight=FlightSettings(vehicle=SCATTERED, disturbance=DisturbanceSettings(gust=0.05), history=16),
        gradient=GradientSettings(
            worlds=128,
            windows=4,
            updates=400,
            learning_rate=1.5e-2,
            final_rate=0.05,
            cost=CostSettings(position=150.0, wall=200.0),
        ),
    ),
    "l2f-paper": PaperConfig(),
}
"""Name and settings; the first one is the default. "quality" flies more precisely, "multi" all three
Crazyflies with one policy, "robust" one that nobody has weighed, in gusts and on any charge of its battery;
"l2f-paper" is the training of "Learning to Fly in Seconds" as published."""
