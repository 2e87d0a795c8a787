"""The tasks by name. A task's module is loaded when it is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from robot_rl.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    from robot_rl.tasks.arm import ArmTaskConfig

TASKS = {
    "franka_pick_cube": "pick up a cube from anywhere on the table, at any yaw",
    "franka_peg_insert": "put a square peg into a hole with a clearance of 1 mm",
    "franka_reach": "bring the tool to a point in the air",
}
"""Name and what it is about; `robot_rl.tasks.NAME` holds its `CONFIG`."""

FLIGHTS = {
    "quadrotor_hover": "catch a quadrotor that starts tilted and moving, and hold it at a point",
    "quadrotor_figure_eight": "fly a quadrotor along a figure eight, or another path",
}
"""Tasks of flying, which are learned in simulation alone; `robot_rl.tasks.NAME` holds their `PRESETS`."""

PIXELS = "pixels"
"""Variant of a task that is seen through cameras, written `TASK:pixels`."""


def load(name: str) -> ArmTaskConfig:
    """The default settings of a task, or of its variant `TASK:pixels`."""
    task, _, variant = name.partition(":")
    if task not in TASKS:
        raise ConfigError(f"unknown task {task!r}: {nearest(task, TASKS)}")
    module = importlib.import_module(f"robot_rl.tasks.{task}")
    if not variant:
        return module.CONFIG
    if variant != PIXELS or not hasattr(module, "PIXELS"):
        seen = [n for n in TASKS if hasattr(importlib.import_module(f"robot_rl.tasks.{n}"), "PIXELS")]
        valid = ", ".join(f"{n}:{PIXELS}" for n in seen)
        raise ConfigError(f"task {task!r} has no variant {variant!r}; tasks with one are {valid}")
    return module.PIXELS
