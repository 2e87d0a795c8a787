"""A small stand-in for ROS's `launch` and `launch_ros`, which cannot be had from pip.

Enough to load a launch file of ours and to read off which processes it would start.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any


@dataclass
class LaunchContext:
    """Holds the launch arguments."""

    launch_configurations: dict[str, str] = field(default_factory=dict)


class LaunchDescription:
    """A list of actions."""

    def __init__(self, entities: list[Any]) -> None:
        self.entities = entities


@dataclass
class DeclareLaunchArgument:
    """An argument with its default."""

    name: str
    default_value: str
    description: str = ""


class LaunchConfiguration:
    """The value of an argument, known when the description is executed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def perform(self, context: LaunchContext) -> str:
        return context.launch_configurations[self.name]


@dataclass
class OpaqueFunction:
    """A function that makes further actions."""

    function: Any


@dataclass
class Shutdown:
    """Ends the launch."""


@dataclass
class Node:
    """A process; the arguments are those that our launch files use."""

    executable: str
    arguments: list[str]
    parameters: list[Any]
    remappings: list[tuple[str, str]]
    output: str
    emulate_tty: bool
    respawn: bool
    respawn_delay: float
    additional_env: Mapping[str, str]
    prefix: str | None
    on_exit: Shutdown | None
    sigterm_timeout: str = "5"


@contextmanager
def installed() -> Iterator[None]:
    """Put the stand-in where the launch files import ROS's own from."""
    contents: dict[str, dict[str, Any]] = {
        "launch": {"LaunchContext": LaunchContext, "LaunchDescription": LaunchDescription},
        "launch.actions": {
            "DeclareLaunchArgument": DeclareLaunchArgument,
            "OpaqueFunction": OpaqueFunction,
            "Shutdown": Shutdown,
        },
        "launch.substitutions": {"LaunchConfiguration": LaunchConfiguration},
        "launch_ros": {},
        "launch_ros.actions": {"Node": Node},
    }
    before = {name: sys.modules.get(name) for name in contents}
    for name, members in contents.items():
        module = ModuleType(name)
        vars(module).update(members)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def launched(path: Path, **arguments: str) -> list[Node]:
    """The processes that the launch file at `path` starts with these arguments."""
    with installed():
        spec = importlib.util.spec_from_file_location("launch_file", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        description = module.generate_launch_description()
        declared = [e for e in description.entities if isinstance(e, DeclareLaunchArgument)]
        unknown = set(arguments) - {a.name for a in declared}
        assert not unknown, f"not declared: {unknown}"
        context = LaunchContext({a.name: a.default_value for a in declared} | arguments)
        nodes: list[Node] = []
        for entity in description.entities:
            if isinstance(entity, OpaqueFunction):
                nodes += entity.function(context)
        return nodes
