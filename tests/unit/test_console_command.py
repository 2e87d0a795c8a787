"""Which graph `robot-rl console` attaches to."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest

from robot_rl.cli.console import ConsoleOptions, attach
from robot_rl.core.errors import ConfigError
from robot_rl.data.run_directory import RunDirectory
from robot_rl.nodes.run import GRAPH
from robot_rl.tasks import load

ENVIRONMENT = {"ROS_DOMAIN_ID": "7", "FASTDDS_DEFAULT_PROFILES_FILE": "/profiles.xml"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    RunDirectory.create(tmp_path / "run", load("franka_reach"), "franka_reach", 0)
    return tmp_path / "run"


def runs(run: Path, pid: int) -> None:
    graph = {"pid": pid, "task": "franka_reach", "clock": "lockstep", "person": "scripted"}
    (run / GRAPH).write_text(json.dumps(graph | {"environment": ENVIRONMENT}))


def parameters(words: list[str]) -> dict[str, str]:
    given = [following for word, following in itertools.pairwise(words) if word == "-p"]
    return dict(text.split(":=", 1) for text in given)


def test_a_running_graph_is_joined_as_it_was_started(run):
    runs(run, os.getpid())
    words, variables = attach(ConsoleOptions(run, port=0), {})
    assert variables == ENVIRONMENT
    assert words[words.index("--params-file") + 1] == str(run / "config.yaml")
    given = parameters(words)
    assert given["task"] == "'franka_reach'" and given["out"] == f"'{run}'" and given["port"] == "0"
    assert given["person"] == "'scripted'" and given["clock"] == "'lockstep'"


def test_what_the_user_has_set_outranks_what_the_run_says(run):
    runs(run, os.getpid())
    _, variables = attach(ConsoleOptions(run), {"ROS_DOMAIN_ID": "9"})
    assert "ROS_DOMAIN_ID" not in variables and "FASTDDS_DEFAULT_PROFILES_FILE" in variables


def test_a_graph_that_ended_says_nothing_any_more(run):
    runs(run, 2**22 + 1)  # above the kernel's largest process id
    words, variables = attach(ConsoleOptions(run, look=True), {})
    assert variables == {} and parameters(words)["person"] == "'none'"


def test_without_a_run_the_task_is_named():
    words, variables = attach(ConsoleOptions(task="franka_reach"), {})
    assert variables == {} and "--params-file" not in words
    assert parameters(words)["person"] == "'operator'" and parameters(words)["out"] == "''"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (ConsoleOptions(), "which graph"),
        (ConsoleOptions(task="franka_rech"), "did you mean 'franka_reach'"),
        (ConsoleOptions(Path("/none")), "no run directory"),
    ],
)
def test_what_cannot_be_attached_to_is_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        attach(options, {})
