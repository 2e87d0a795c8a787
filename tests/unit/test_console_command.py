"""Which graph `robot-rl console` attaches to."""

from __future__ import annotations

import itertools
import json
import os
import socket
from pathlib import Path

import pytest

from robot_rl.cli.console import ConsoleOptions, attach, check_page
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
    assert variables == {} and parameters(words)["person"] == "'look'"


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


def test_a_run_that_does_not_name_its_task_is_asked_for_it(run):
    (run / "provenance.json").unlink()
    with pytest.raises(ConfigError, match="name it with --task"):
        attach(ConsoleOptions(run), {})
    words, _ = attach(ConsoleOptions(run, task="franka_reach"), {})
    assert parameters(words)["task"] == "'franka_reach'"


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_a_port_that_is_taken_is_told_before_anything_starts(host, family):
    pytest.importorskip("rclpy")
    if family == socket.AF_INET6 and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with socket.create_server((host, 0), family=family) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match="choose another --console-port, 0 for any that is free"):
            check_page(host, port, "--console-port")
    check_page(host, port, "--console-port")
    check_page(host, 0, "--console-port")


def test_what_is_no_port_is_refused():
    pytest.importorskip("rclpy")
    with pytest.raises(ConfigError, match="--port 99999 is not valid"):
        check_page("127.0.0.1", 99999, "--port")
