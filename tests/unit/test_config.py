from dataclasses import dataclass, field
from typing import Literal

import pytest

from robot_rl.core import config
from robot_rl.core.errors import ConfigError
from robot_rl.tasks import TASKS, load


@dataclass(frozen=True)
class Inner:
    rate: float = 10.0
    names: tuple[str, ...] = ("x",)
    corner: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Thing:
    name: str
    unit: str
    mass: float = 0.0


@dataclass(frozen=True)
class Outer:
    count: int = 3
    active: bool = True
    kind: Literal["a", "b"] = "a"
    bounds: tuple[float, float] | None = None
    inner: Inner = field(default_factory=Inner)


def test_nested_values_replace_the_defaults_only_where_given():
    got = config.from_dict(Outer, {"inner": {"names": ["y", "z"]}, "kind": "b"}, Outer(count=7))
    assert got == Outer(7, True, "b", None, Inner(names=("y", "z")))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"cuont": 1}, "unknown key 'cuont': did you mean 'count'"),
        ({"inner": {"rte": 1.0}}, "unknown key 'inner.rte': did you mean 'rate'"),
        ({"inner": {"rate": 10}}, r"inner.rate: expected a float, got the integer 10; write 10.0"),
        ({"count": 1.5}, "count: expected int, got 1.5"),
        ({"count": True}, "count: expected int, got True"),
        ({"active": "yes"}, "active: expected bool, got 'yes'"),
        ({"kind": "c"}, "kind: 'c' is not valid, valid: a, b"),
        ({"inner": 3}, "inner: expected a mapping"),
        ({"inner": {"corner": [1.0]}}, "expected 2 elements, got 1"),
        ({"inner": {"names": "xy"}}, "expected a list"),
        ({"inner": {"names": ["x", 3]}}, r"inner.names\[1\]: expected str"),
    ],
)
def test_bad_data_says_what_would_be_valid(data, message):
    with pytest.raises(ConfigError, match=message):
        config.from_dict(Outer, data)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_survives_its_yaml_file(task, tmp_path):
    settings = load(task)
    config.dump_yaml(settings, tmp_path / "config.yaml")
    assert config.load_yaml(type(settings), tmp_path / "config.yaml") == settings


def test_a_ros_parameter_file_gives_a_node_its_own_block(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(
        "/**:\n  ros__parameters: {count: 1}\nactor:\n  ros__parameters: {count: 2}\n"
        "learner:\n  ros__parameters: {active: false}\n"
    )
    assert config.load_yaml(Outer, path, node="actor").count == 2
    assert config.load_yaml(Outer, path, node="learner") == Outer(count=1, active=False)


def test_dotted_overrides():
    assert config.replace(Outer(), {"inner.rate": 5.0, "count": 1}) == Outer(1, inner=Inner(rate=5.0))


def test_bad_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*nothing.yaml"):
        config.load_yaml(Outer, tmp_path / "nothing.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1")
    with pytest.raises(ConfigError, match="not valid YAML"):
        config.load_yaml(Outer, broken)


def test_a_value_that_a_class_refuses_is_a_configuration_error():
    settings = load("franka_pick_cube")
    with pytest.raises(ConfigError, match="utd_ratio must be at least 1"):
        config.replace(settings, {"learner.utd_ratio": 0})
    with pytest.raises(ConfigError, match="workspace_min"):
        config.replace(settings, {"arm.limits.workspace_min": (1.0, 1.0, 1.0)})
    with pytest.raises(ConfigError, match="unknown task 'franka_pick': did you mean 'franka_pick_cube'"):
        load("franka_pick")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1\n", r"params.yaml is not valid YAML: line 2, column 1: expected ',' or '\]'"),
        (b"\xff\xfe\x00", "params.yaml is not valid YAML: it is no text in UTF-8"),
        (b"a: \x01\n", "params.yaml is not valid YAML: unacceptable character"),
        (b"- 1\n", "params.yaml: expected a mapping, got list"),
        (b"cuont: 1\n", "params.yaml: unknown key 'cuont': did you mean 'count'"),
        (b"mass: 0.03\n", "params.yaml: missing keys name, unit"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line_that_names_it(content, message, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as refused:
        config.load_yaml(Thing if b"mass" in content else Outer, path)
    assert "\n" not in str(refused.value)
