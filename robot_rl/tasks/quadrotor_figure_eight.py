"""quadrotor_figure_eight: follow a figure eight of 2 m by 1 m with a lap in 5.5 s, or another path.

The eight is that of the flights in "Learning to Fly in Seconds" (Eschmann et al., RA-L 2024).
"""

from __future__ import annotations

import dataclasses

from robot_rl.learn.flight.settings import CostSettings, GradientSettings
from robot_rl.tasks.flight import SCATTERED, FlightTask, Flying
from sim.quadrotor.settings import PREVIEW, DisturbanceSettings, FlightSettings, ReferenceSettings

_FAST = FlightTask(
    "quadrotor_figure_eight",
    flight=FlightSettings(reference=ReferenceSettings(kind="figure-eight"), history=8, preview=PREVIEW),
    gradient=GradientSettings(
        worlds=96,
        window=48,
        windows=10,
        updates=300,
        learning_rate=1.5e-2,
        final_rate=0.05,
        cost=CostSettings(tilt=2.0, action=0.1),
    ),
)

PRESETS: dict[str, Flying] = {
    "fast": _FAST,
    "random": dataclasses.replace(
        _FAST, flight=dataclasses.replace(_FAST.flight, reference=ReferenceSettings(kind="random"))
    ),
    "gusts": dataclasses.replace(
        _FAST, flight=dataclasses.replace(_FAST.flight, disturbance=DisturbanceSettings(gust=0.05))
    ),
    "swift": dataclasses.replace(
        _FAST,
        flight=dataclasses.replace(
            _FAST.flight, reference=ReferenceSettings(kind="figure-eight", period=4.0)
        ),
    ),
    "robust": dataclasses.replace(
        _FAST,
        flight=dataclasses.replace(
            _FAST.flight, vehicle=SCATTERED, disturbance=DisturbanceSettings(gust=0.05), history=16
        ),
    ),
}
"""Name and settings; the first one is the default. "random" follows smooth curves, another one each episode,
of up to 2 m/s; "gusts" flies the eight in a wind that changes; "swift" flies a lap in 4 s; "robust" flies in
gusts a quadrotor that nobody has weighed, on any charge of its battery."""
