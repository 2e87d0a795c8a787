"""Configuration dataclasses as ROS parameters.

Each field becomes a parameter with a dotted name, its default, and its docstring as the description, so
`ros2 param describe` says what the command line's `--help` says. A configuration file for the command line
serves the nodes too. Parameters are read once, at start: a control loop whose settings change under it cannot
be reproduced.
"""

from __future__ import annotations

import array
import ast
import dataclasses
import inspect
import textwrap
import typing
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from robot_rl.core import config as configs
from robot_rl.core.errors import ConfigError, nearest

T = TypeVar("T")

RCLPY_PARAMETERS = ("use_sim_time", "start_type_description_service")
"""Parameters that every rclpy node has."""


class Parameters:
    """Turns a node's parameters into configurations.

    Call `read` for each configuration that the node takes, then `check_all_known`.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        # rclpy has no public list of what was given: it can only declare all of it, which fails for the empty
        # lists that ROS's YAML reader gives no type.
        self._given = {name: given.value for name, given in node._parameter_overrides.items()}
        self._known: list[str] = []

    def read(self, default: T) -> T:
        """Return `default` with the parameters that were given, and declare what comes out."""
        overrides: dict[str, Any] = {}
        for name, value, _, optional in leaves(default):
            self._known.append(name)
            if name in self._given:
                overrides[name] = _core_value(self._given[name], value, optional)
        config = configs.replace(default, overrides)
        for name, value, description, _ in leaves(config):
            if not self._node.has_parameter(name):
                descriptor = ParameterDescriptor(description=description, read_only=True, dynamic_typing=True)
                ros_value = list(value) if isinstance(value, tuple) else value
                self._node.declare_parameter(name, ros_value, descriptor, ignore_override=True)
        return config

    def check_all_known(self) -> None:
        """Raise `ConfigError` for a parameter that no configuration has."""
        for name in self._given:
            known = name in self._known or name in RCLPY_PARAMETERS or name.startswith("qos_overrides.")
            if not known:
                raise ConfigError(
                    f"unknown parameter {name!r} of node {self._node.get_name()!r}: "
                    f"{nearest(name, self._relatives(name))}"
                )

    def _relatives(self, name: str) -> list[str]:
        """The known names of the longest section that `name` shares with any of them."""
        section = name
        while "." in section:
            section = section.rpartition(".")[0]
            found = [known for known in self._known if known.startswith(section + ".")]
            if found:
                return found
        return self._known


def leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any, str, bool]]:
    """Dotted name, value, description and whether None is allowed, of every field below `config`."""
    documents = field_documents(type(config))
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        name = prefix + field.name
        if dataclasses.is_dataclass(value):
            yield from leaves(value, name + ".")
        else:
            optional = type(None) in typing.get_args(hints[field.name])
            yield name, value, documents.get(field.name, ""), optional


def field_documents(cls: type) -> dict[str, str]:
    """Field name to the string literal below the field, base classes included."""
    documents: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for statement, following in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
                and isinstance(following.value.value, str)
            ):
                documents[statement.target.id] = inspect.cleandoc(following.value.value)
    return documents


def _core_value(given: Any, default: Any, optional: bool) -> Any:
    """A parameter's value as the configuration has it."""
    if optional and given == "null":
        return None  # ROS's YAML reader knows no null and gives the word itself
    if given is None and isinstance(default, tuple):
        return []  # an empty list has no type in ROS and arrives as a parameter that is not set
    return given.tolist() if isinstance(given, np.ndarray | array.array) else given
