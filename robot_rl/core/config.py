"""Configuration: frozen dataclasses, YAML in the form of ROS parameter files, errors that help.

A field is a bool, int, float, str, a Literal of strings, a tuple of those, or a nested frozen dataclass. The
string literal under a field is its documentation and names its unit. A YAML file holds either the nested
mapping itself or the same mapping below `NODE: ros__parameters:`, so that one file serves the command line
and the nodes.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from robot_rl.core.errors import ConfigError, nearest

T = TypeVar("T")


def from_dict(cls: type[T], data: Mapping[str, Any], base: T | None = None, path: str = "") -> T:
    """Build `cls` from nested mappings over `base` (or the defaults); unknown keys and wrong types raise."""
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    for key in data:
        if key not in fields:
            raise ConfigError(f"unknown key {path + str(key)!r}: {nearest(str(key), fields)}")
    values: dict[str, Any] = {}
    for name in fields:
        current = getattr(base, name, dataclasses.MISSING) if base is not None else dataclasses.MISSING
        if name in data:
            below = None if current is dataclasses.MISSING else current
            values[name] = _convert(hints[name], data[name], path + name, below)
        elif current is not dataclasses.MISSING:
            values[name] = current
    missing = [name for name, f in fields.items() if name not in values and _is_required(f)]
    if missing:
        raise ConfigError(
            f"missing {'key' if len(missing) == 1 else 'keys'} {path}{f', {path}'.join(missing)}"
        )
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"{path or cls.__name__}: {error}") from None
    except ValueError as error:
        raise ConfigError(f"{path or cls.__name__}: {error}") from None


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _convert(hint: Any, value: Any, path: str, base: Any) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{path}: expected a mapping of {hint.__name__}'s keys, got {value!r}")
        return from_dict(hint, value, base, path + ".")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        if value not in arguments:
            raise ConfigError(f"{path}: {value!r} is not valid, {nearest(str(value), map(str, arguments))}")
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{path}: expected a list, got {value!r}")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            kinds = [arguments[0]] * len(value)
        elif len(arguments) == len(value):
            kinds = list(arguments)
        else:
            raise ConfigError(f"{path}: expected {len(arguments)} elements, got {len(value)}")
        items = zip(kinds, value, strict=True)
        return tuple(_convert(k, v, f"{path}[{i}]", None) for i, (k, v) in enumerate(items))
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        kinds = [a for a in arguments if a is not type(None)]
        return _convert(kinds[0], value, path, base)
    if hint is float:
        # ROS parameters keep int and double apart; so do we, or one file would work in only one of the two.
        if isinstance(value, int) and not isinstance(value, bool):
            raise ConfigError(f"{path}: expected a float, got the integer {value}; write {value}.0")
        if isinstance(value, float):
            return value
    elif hint in (bool, int, str) and type(value) is hint:
        return value
    raise ConfigError(f"{path}: expected {getattr(hint, '__name__', hint)}, got {value!r}")


def to_dict(config: Any) -> dict[str, Any]:
    """Nested plain mapping of a configuration; tuples become lists."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(value, (list, tuple)):
            return [plain(v) for v in value]
        return value

    return plain(config)


def load_yaml(cls: type[T], path: Path, base: T | None = None, node: str | None = None) -> T:
    """Read a configuration from YAML; with `node`, from that node's (or `/**`'s) `ros__parameters`."""
    data = read_yaml(path)
    try:
        return from_dict(cls, ros_parameters(data, node), base)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def read_yaml(path: Path) -> dict[Any, Any]:
    """The mapping in a YAML file; raises `ConfigError` where there is none."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not valid YAML: it is no text in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        raise ConfigError(f"{path} is not valid YAML: {where}{error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping, got {type(data).__name__}")
    return data


def ros_parameters(data: Mapping[str, Any], node: str | None = None) -> Mapping[str, Any]:
    """The mapping below `ros__parameters` of `node` or `/**`, or `data` itself when it has no such level."""
    blocks = {
        k: v["ros__parameters"] for k, v in data.items() if isinstance(v, dict) and "ros__parameters" in v
    }
    if not blocks:
        return data
    if node is None and len(blocks) == 1:
        return next(iter(blocks.values()))
    merged = dict(blocks.get("/**", {}))
    if node is not None:
        merged |= blocks.get(node, blocks.get("/" + node, {}))
    if not merged:
        raise ConfigError(f"no ros__parameters for node {node!r}: {nearest(str(node), blocks)}")
    return merged


def dump_yaml(config: Any, path: Path, node: str = "/**") -> None:
    """Write a configuration as a ROS parameter file that `load_yaml` reads back equal."""
    document = {node: {"ros__parameters": to_dict(config)}}
    path.write_text(yaml.dump(document, Dumper=_RosDumper, sort_keys=False))


class _RosDumper(yaml.SafeDumper):
    """Quotes the words that are text to PyYAML, but a truth value to ROS's reader: y and n."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "'" if value.lower() in ("y", "n") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_RosDumper.add_representer(str, _text)


def replace(config: T, overrides: Mapping[str, Any]) -> T:
    """Copy of `config` with dotted overrides, such as {"learner.utd_ratio": 8}."""
    tree: dict[str, Any] = {}
    for dotted, value in overrides.items():
        node = tree
        *parents, last = dotted.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return from_dict(type(config), tree, config)
