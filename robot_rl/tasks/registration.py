"""Registers the tasks with Gymnasium.

`gymnasium` finds `register` through its entry-point group and calls it when it is imported, so that
`gymnasium.make("robot_rl/FrankaPickCube-v0")` needs no import of ours.
"""

from __future__ import annotations

from typing import Any

import gymnasium

NAMES = {"FrankaPickCube-v0": "franka_pick_cube", "FrankaReach-v0": "franka_reach"}
"""Name below the namespace `robot_rl/`, and the task."""


def register() -> None:
    """Add the tasks to Gymnasium's registry; the namespace comes from the entry point."""
    for name, task in NAMES.items():
        if name not in gymnasium.registry and f"robot_rl/{name}" not in gymnasium.registry:
            gymnasium.register(name, entry_point="robot_rl.tasks.registration:make", kwargs={"task": task})


def make(
    task: str,
    settings: dict[str, Any] | None = None,
    person: bool = False,
    render_mode: str | None = None,
) -> gymnasium.Env:
    """Build a task as a `gymnasium.Env`.

    Args:
        task: Name of the task.
        settings: Dotted settings to change, such as `{"backend": "pybullet"}`.
        person: Let the scripted person correct the caller, as in practice.
        render_mode: "rgb_array" or None.
    """
    from robot_rl.core.config import replace
    from robot_rl.env.gym_env import GymEnv
    from robot_rl.tasks import load

    env, arm = replace(load(task), settings or {}).simulate(person)
    render = None
    if render_mode == "rgb_array":
        from sim.arm.render import Renderer

        render = Renderer(arm).render
    return GymEnv(env, arm.recover, render, render_mode)
