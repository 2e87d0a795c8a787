"""Registers the tasks with Gymnasium.

`import robot_rl` calls `register`. Gymnasium 1 loads no plug-ins by entry points any more, so somebody has to
import us: the user, or Gymnasium itself when asked for `robot_rl:robot_rl/FrankaPickCube-v0`.
"""

from __future__ import annotations

from typing import Any

import gymnasium

NAMES = {
    "robot_rl/FrankaPickCube-v0": "franka_pick_cube",
    "robot_rl/FrankaPickCubePixels-v0": "franka_pick_cube:pixels",
    "robot_rl/FrankaPegInsert-v0": "franka_peg_insert",
    "robot_rl/FrankaPegInsertPixels-v0": "franka_peg_insert:pixels",
    "robot_rl/FrankaReach-v0": "franka_reach",
}
"""Gymnasium's name, and the task. Those of pixels observe image features; with the setting `encoder.kind`
"trainable" they observe the pictures themselves."""


QUADROTOR = "robot_rl/Quadrotor-v0"
"""Gymnasium's name of the simulated quadrotors, of which `gymnasium.make_vec` makes many at once."""


def register() -> None:
    """Add the tasks to Gymnasium's registry."""
    for name, task in NAMES.items():
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point="robot_rl.tasks.registration:make", kwargs={"task": task})
    if QUADROTOR not in gymnasium.registry:
        gymnasium.register(
            QUADROTOR,
            entry_point="sim.quadrotor.vector_env:QuadrotorEnv",
            vector_entry_point="sim.quadrotor.vector_env:QuadrotorVectorEnv",
        )


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
