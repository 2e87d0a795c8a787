"""The launch file starts the same graph as `robot-rl up`; it is executed for real where ROS's launch is."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from robot_rl.core.config import load_yaml
from robot_rl.nodes.results_file import read_results
from robot_rl.nodes.supervisor import Supervisor, priority
from robot_rl.nodes.table import GraphOptions, command, node_table
from robot_rl.tasks import load
from tests.ros.graphs import PATIENCE, PIXELS, REACH
from tests.ros.launch_standin import Node, launched

FILE = Path(__file__).resolve().parents[2] / "launch" / "franka_sim.launch.py"
HAS_LAUNCH = importlib.util.find_spec("launch_ros") is not None


def as_command(node: Node) -> list[str]:
    """What the supervisor would run for the same process."""
    words = [node.executable, *node.arguments, "--ros-args", "--params-file", node.parameters[0]]
    for name, value in node.parameters[1].items():
        text = f"'{value}'" if isinstance(value, str) else yaml.safe_dump(value).split("\n")[0]
        words += ["-p", f"{name}:={text}"]
    for source, target in node.remappings:
        words += ["-r", f"{source}:={target}"]
    return words


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ({}, {}),
        ({"seed": "7", "task": "franka_reach"}, {"seed": 7, "task": "franka_reach"}),
        ({"headless": "false", "clock": "realtime"}, {"headless": False, "clock": "realtime"}),
        ({"learner_host": "workstation"}, {"learner_host": "workstation"}),
        ({"task": PIXELS}, {"task": PIXELS}),
        (
            {"task": PIXELS, "camera_host": "lab", "perception_host": "workstation"},
            {"task": PIXELS, "camera_host": "lab", "perception_host": "workstation"},
        ),
    ],
)
def test_the_launch_file_and_the_supervisor_start_the_same(tmp_path, arguments, options):
    out = tmp_path / "run"
    nodes = launched(FILE, out=str(out), **arguments)
    table = Supervisor(node_table(GraphOptions(out=str(out), **options)), tmp_path).table
    assert [as_command(node) for node in nodes] == [command(e, out / "config.yaml") for e in table]
    assert [(node.prefix or "").split() for node in nodes] == [priority(entry) for entry in table]
    assert [node.on_exit is not None for node in nodes] == [e.leads or not e.respawn for e in table]


def test_the_settings_come_from_the_file_that_is_given(tmp_path):
    given = tmp_path / "given.yaml"
    given.write_text("person: {attention: 0.25}\n")
    nodes = launched(FILE, out=str(tmp_path / "run"), task="franka_reach", config=str(given))
    written = load_yaml(type(load("franka_reach")), Path(nodes[0].parameters[0]))
    assert written.person.attention == 0.25


def test_a_run_directory_of_its_own_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nodes = launched(FILE)
    (run,) = (tmp_path / "runs").iterdir()
    assert nodes[0].parameters[0] == str(Path("runs") / run.name / "config.yaml")


LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [tuple(word.split(":=", 1)) for word in sys.argv[2:]]
include = IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments)
service = LaunchService(argv=sys.argv[2:])
service.include_launch_description(LaunchDescription([include]))
sys.exit(service.run())
"""
"""What `ros2 launch FILE name:=value ...` does, without the command line tools."""


@pytest.mark.skipif(not HAS_LAUNCH, reason="ROS's launch is not installed")
@pytest.mark.parametrize("moment", ["end", "interrupt"])
def test_ros_launches_it(tmp_path, moment):
    """To the end of a small session, or until Ctrl-C in the middle."""
    settings = tmp_path / "settings.yaml"
    nested: dict = {}
    for name, value in {**REACH, "session.max_steps": 100_000 if moment == "interrupt" else 20}.items():
        section, _, key = name.partition(".")
        nested.setdefault(section, {})[key] = value
    settings.write_text(yaml.safe_dump(nested))
    out = tmp_path / "run"
    arguments = ["task:=franka_reach", f"out:={out}", f"config:={settings}"]
    words = [sys.executable, "-c", LAUNCH, str(FILE), *arguments]
    with (tmp_path / "output").open("w") as output:
        launch = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, env=dict(os.environ))
    try:
        if moment == "interrupt":
            deadline = time.monotonic() + PATIENCE
            while sum(1 for _ in read_results(out / "results.jsonl")) < 2:
                assert launch.poll() is None, (tmp_path / "output").read_text()
                assert time.monotonic() < deadline, (tmp_path / "output").read_text()
                time.sleep(0.05)
            launch.send_signal(signal.SIGINT)
        launch.wait(PATIENCE)
    finally:
        launch.kill()
        launch.wait()
    text = (tmp_path / "output").read_text()
    assert "Traceback" not in text, text
    assert (out / "summary.json").exists() == (moment == "end"), text
