"""quadrotor_hover: catch a quadrotor that starts tilted and moving, and hold it at a point."""

from __future__ import annotations

from robot_rl.learn.flight.settings import CostSettings, GradientSettings
from robot_rl.tasks.flight import FlightTask
from sim.quadrotor.settings import FlightSettings, RandomisationSettings

_NAME = "quadrotor_hover"

PRESETS = {
    "fast": FlightTask(_NAME),
    "quality": FlightTask(
        _NAME,
        gradient=GradientSettings(
            worlds=256,
            window=80,
            windows=6,
            updates=1000,
            learning_rate=1e-2,
            cost=CostSettings(position=60.0),
        ),
    ),
    "multi": FlightTask(
        _NAME,
        flight=FlightSettings(
            vehicle=RandomisationSettings(sets=("l2f-paper", "l2f-2", "gpd-cf2x")), history=16
        ),
        gradient=GradientSettings(worlds=96, updates=600, learning_rate=1.5e-2),
    ),
}
"""Name and settings; the first one is the default."""
