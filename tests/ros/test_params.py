"""Settings as ROS parameters: the same file for the command line and the nodes, the same errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import rclpy
from rclpy.node import Node

from robot_rl import tasks
from robot_rl.core.config import dump_yaml, replace
from robot_rl.core.errors import ConfigError
from robot_rl.nodes.params import Parameters, field_documents


@dataclass(frozen=True)
class Inner:
    """A section."""

    rate: float = 10.0
    """How often [Hz]."""
    axes: tuple[str, ...] = ("x", "y")
    """Which axes."""
    bounds: tuple[float, float] | None = (0.0, 1.0)
    """Limits, or none."""


@dataclass(frozen=True)
class Outer:
    """All settings."""

    name: str = "a"
    """A word
    on two lines."""
    count: int = 3
    """How many."""
    inner: Inner = field(default_factory=Inner)


@contextmanager
def node(*words: str) -> Iterator[Node]:
    rclpy.init(args=["test", "--ros-args", *words])
    made = Node("tested")
    try:
        yield made
    finally:
        made.destroy_node()
        rclpy.shutdown()


def read(*words: str) -> Outer:
    with node(*words) as made:
        parameters = Parameters(made)
        config = parameters.read(Outer())
        parameters.check_all_known()
        return config


def test_defaults_are_declared_with_their_documentation():
    with node() as made:
        assert Parameters(made).read(Outer()) == Outer()
        assert made.get_parameter("inner.rate").value == 10.0
        assert list(made.get_parameter("inner.axes").value or []) == ["x", "y"]
        descriptor = made.describe_parameter("inner.rate")
        assert descriptor.description == "How often [Hz]."
        assert descriptor.read_only


def test_documentation_of_base_classes_counts():
    @dataclass(frozen=True)
    class Derived(Inner):
        depth: int = 1
        """How deep."""

    assert field_documents(Derived) == {
        "rate": "How often [Hz].",
        "axes": "Which axes.",
        "bounds": "Limits, or none.",
        "depth": "How deep.",
    }
    assert field_documents(Outer)["name"] == "A word\non two lines."


def test_the_command_line_overrides():
    given = read(
        "-p", "count:=7", "-p", "inner.rate:=2.5", "-p", "inner.axes:=['y', 'z', 'n']", "-p", "name:='1'"
    )
    assert given == Outer("1", 7, Inner(2.5, ("y", "z", "n")))


@pytest.mark.parametrize(
    "config",
    [
        Outer(),
        Outer("y", -1, Inner(1e-7, ("y", "n", "yes", "1.5"), None)),
        Outer("", 0, Inner(1e300, (), (-1.0, 2.0))),
        *(tasks.load(name) for name in tasks.TASKS),
        replace(tasks.load("franka_pick_cube"), {"learner.return_bounds": None, "action.axes": ["y", "x"]}),
    ],
)
def test_a_written_file_comes_back_equal(tmp_path: Path, config):
    dump_yaml(config, tmp_path / "config.yaml")
    with node("--params-file", str(tmp_path / "config.yaml")) as made:
        parameters = Parameters(made)
        assert parameters.read(type(config)()) == config
        parameters.check_all_known()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("cuont:=1", r"unknown parameter 'cuont' of node 'tested': did you mean 'count'"),
        ("inner.rat:=1.0", r"did you mean 'inner.rate'\? Valid: inner.axes, inner.bounds, inner.rate$"),
        ("count:=1.5", "count: expected int, got 1.5"),
        ("inner.rate:=3", "inner.rate: expected a float, got the integer 3; write 3.0"),
        ("name:=true", "name: expected str, got True"),
        ("inner.axes:=[1, 2]", r"inner.axes\[0\]: expected str, got 1"),
        ("inner.bounds:=[1.0]", "inner.bounds: expected 2 elements, got 1"),
    ],
)
def test_what_does_not_fit_is_named(word, message):
    with pytest.raises(ConfigError, match=message):
        read("-p", word)
