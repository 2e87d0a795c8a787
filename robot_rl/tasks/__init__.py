"""The tasks by name. A task's module is loaded when it is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from robot_rl.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    from robot_rl.tasks.arm import ArmTaskConfig

TASKS = {
    "franka_pick_cube": "pick up a cube from anywhere on the table, at any yaw",
    "franka_reach": "bring the tool to a point in the air",
}
"""Name and what it is about; `robot_rl.tasks.NAME` holds its `CONFIG`."""


def load(name: str) -> ArmTaskConfig:
    """The default settings of a task."""
    if name not in TASKS:
        raise ConfigError(f"unknown task {name!r}: {nearest(name, TASKS)}")
    return importlib.import_module(f"robot_rl.tasks.{name}").CONFIG
