"""The node table and the supervisor that runs it, with small processes in the place of nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from robot_rl import tasks
from robot_rl.core.config import replace
from robot_rl.core.errors import ConfigError
from robot_rl.nodes.domain import reserved_domain
from robot_rl.nodes.exit_status import STOPPED
from robot_rl.nodes.supervisor import GraphError, Supervisor, priority
from robot_rl.nodes.table import GraphOptions, NodeEntry, arguments, node_table


def names(**options):
    return [entry.name for entry in node_table(GraphOptions(**options))]


def test_the_table_holds_what_was_asked_for():
    assert names() == ["robot", "intervention", "recorder", "learner", "actor"]
    assert names(person="none", record=False, policy="random") == ["robot", "actor"]
    leaders = [entry.name for entry in node_table(GraphOptions()) if entry.leads]
    assert leaders == ["actor"]
    robot = node_table(GraphOptions())[0]
    assert not robot.respawn


def test_a_task_with_cameras_has_processes_that_see():
    seeing = {"cameras", "perception"}
    assert seeing <= set(names(task="franka_pick_cube:pixels"))
    assert not seeing & set(names(task="franka_pick_cube"))
    options = GraphOptions(task="franka_pick_cube:pixels")
    raw = replace(tasks.load(options.task), {"encoder.kind": "trainable"})
    assert seeing & {entry.name for entry in node_table(options, raw)} == {"cameras"}


@pytest.mark.parametrize(
    ("name", "option"),
    [("learner", "learner_host"), ("cameras", "camera_host"), ("perception", "perception_host")],
)
def test_some_processes_may_live_elsewhere(name, option):
    hosts: dict[str, Any] = {option: "workstation"}
    table = node_table(GraphOptions(task="franka_pick_cube:pixels", **hosts))
    assert {entry.name: entry.host for entry in table}[name] == "workstation"
    assert name not in [entry.name for entry in Supervisor(table, Path()).table]


def test_a_wrong_clock_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'realtime'"):
        node_table(GraphOptions(clock="realtme"))  # type: ignore[arg-type]


def test_parameters_keep_their_types_on_the_command_line():
    entry = NodeEntry("n", "m", {"a": "1", "b": True, "c": 2, "d": 1e-5, "e": "it's"}, (("x", "y"),))
    words = arguments(entry, Path("c.yaml"))
    assert words[:5] == ["-m", "m", "--ros-args", "--params-file", "c.yaml"]
    given = dict(w.split(":=", 1) for w in words if ":=" in w)
    assert given.pop("x") == "y"
    assert {k: yaml.safe_load(v) for k, v in given.items()} == dict(entry.parameters)


CHILD = """
import os, signal, sys, time
from pathlib import Path
folder = Path({folder!r})
name = {name!r}
starts = folder / (name + ".starts")
starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
(folder / (name + ".pid")).write_text(str(os.getpid()))
signal.signal(signal.SIGTERM, lambda *_: ((folder / (name + ".ended")).touch(), sys.exit(0)))
print("hello from", name, flush=True)
{work}
"""


LINES: list[tuple[str, str]] = []
"""The output that supervisors have shown in the present test."""


@pytest.fixture
def graph(tmp_path, monkeypatch):
    """Makes supervisors of small Python modules; stops them at the end."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    supervisors = []

    def make(works, **kwargs):
        table = []
        for name, work in works.items():
            text = CHILD.format(folder=str(tmp_path), name=name, work=work)
            (tmp_path / f"child_{name}.py").write_text(text)
            table.append(NodeEntry(name, f"child_{name}", **kwargs.get(name, {})))
        supervisor = Supervisor(table, tmp_path / "logs", on_line=lambda *line: LINES.append(line))
        supervisors.append(supervisor)
        return supervisor

    LINES.clear()
    yield make
    for supervisor in supervisors:
        supervisor.stop()


FOREVER = "while True: time.sleep(0.01)"


def wait_for(path, supervisor=None):
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        if supervisor is not None:
            supervisor.poll()
        time.sleep(0.01)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_graph_ends_with_its_leader(graph, tmp_path):
    wait = f"while not os.path.exists({str(tmp_path / 'a.pid')!r}): time.sleep(0.01)"
    supervisor = graph({"a": FOREVER, "b": wait}, b={"leads": True})
    assert supervisor.run()
    assert (tmp_path / "a.ended").exists()
    assert ("a", "hello from a") in LINES
    assert "hello from b" in (tmp_path / "logs" / "b.log").read_text()


def test_a_crash_is_mended_and_a_message_for_the_user_is_not(graph, tmp_path):
    crash = "if len(starts.read_text()) < 3: os.kill(os.getpid(), signal.SIGKILL)\nsys.exit(2)"
    supervisor = graph({"a": crash, "b": FOREVER}, a={"respawn": True})
    with pytest.raises(GraphError, match=r"a ended with status 2.*\n.*hello from a"):
        supervisor.run()
    assert (tmp_path / "a.starts").read_text() == "xxx"
    assert (tmp_path / "b.ended").exists()
    assert ("a", "was killed by SIGKILL; started again") in LINES


def test_a_leader_that_was_asked_to_end_has_not_done_its_work(graph, tmp_path):
    asked = f"if len(starts.read_text()) < 2: sys.exit({STOPPED})"
    assert graph({"a": asked}, a={"leads": True, "respawn": True}).run()
    assert (tmp_path / "a.starts").read_text() == "xx"


def test_what_crashes_again_and_again_ends_the_graph(graph, tmp_path):
    supervisor = graph({"a": "sys.exit(1)"}, a={"respawn": True})
    with pytest.raises(GraphError, match="crashed 6 times"):
        supervisor.run()
    assert (tmp_path / "a.starts").read_text() == "xxxxxx"


def test_a_crash_without_respawn_ends_the_graph(graph):
    with pytest.raises(GraphError, match="was killed by SIGSEGV"):
        graph({"a": "os.kill(os.getpid(), signal.SIGSEGV)", "b": FOREVER}).run()


def test_a_process_that_does_not_listen_is_killed(graph, tmp_path, monkeypatch):
    monkeypatch.setattr("robot_rl.nodes.supervisor.PATIENCE", 0.2)
    supervisor = graph(
        {"a": f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n(folder/'deaf').touch()\n{FOREVER}"}
    )
    supervisor.start()
    wait_for(tmp_path / "deaf", supervisor)
    pid = int((tmp_path / "a.pid").read_text())
    supervisor.stop()
    assert not alive(pid)


OUTER = """
import sys
from pathlib import Path
from robot_rl.nodes.supervisor import Supervisor
from robot_rl.nodes.table import NodeEntry
table = [NodeEntry("a", "child_a"), NodeEntry("b", "child_b")]
sys.exit(0 if Supervisor(table, Path({logs!r})).run() else 130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_whole_graph(graph, tmp_path, number):
    graph({"a": FOREVER, "b": FOREVER})  # writes the modules
    outer = subprocess.Popen(
        [sys.executable, "-c", OUTER.format(logs=str(tmp_path / "logs"))], cwd=Path.cwd()
    )
    try:
        for name in "ab":
            wait_for(tmp_path / f"{name}.pid")
        outer.send_signal(number)
        assert outer.wait(20) == 130
        assert (tmp_path / "a.ended").exists()
        assert (tmp_path / "b.ended").exists()
    finally:
        outer.kill()
        outer.wait()


def test_graphs_on_one_machine_get_different_domains():
    with reserved_domain(57) as first, reserved_domain(57) as second, reserved_domain(101) as third:
        assert first != second
        assert {first, second, third} <= set(range(102))
    with reserved_domain(first) as again:
        assert again == first


def test_on_the_real_clock_the_control_loop_comes_before_the_learner():
    nice = {entry.name: entry.nice for entry in node_table(GraphOptions(clock="realtime"))}
    assert nice["robot"] == nice["actor"] < nice["recorder"] == 0 < nice["learner"]
    assert {entry.nice for entry in node_table(GraphOptions())} == {0}


def test_on_the_real_clock_the_arm_needs_a_permit():
    robot, safety = node_table(GraphOptions(clock="realtime"))[:2]
    assert robot.parameters["require_permit"] is True
    assert (safety.name, safety.respawn) == ("safety", True)
    assert safety.nice < robot.nice
    assert safety.parameters["required"] == "console intervention"
    assert safety.parameters["awaited"] == "intervention"
    alone = node_table(GraphOptions(clock="realtime", person="none", console=True))[1]
    assert (alone.parameters["required"], alone.parameters["awaited"]) == ("console", "console")
    assert node_table(GraphOptions())[0].parameters["require_permit"] is False
    assert "safety" not in names()


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="Linux without autogroups")
def test_a_process_is_as_nice_as_its_session(graph, tmp_path):
    supervisor = graph({"a": FOREVER, "b": FOREVER}, a={"nice": 7})
    supervisor.start()
    niceness = {}
    for name, process in supervisor.processes.items():
        wait_for(tmp_path / f"{name}.pid", supervisor)
        text = Path(f"/proc/{process.popen.pid}/autogroup").read_text()
        niceness[name] = int(text.split()[-1])
    assert niceness == {"a": 7, "b": 0}


@pytest.mark.parametrize(("limit", "user", "allowed"), [(0, 0, True), (0, 1000, False), (30, 1000, True)])
def test_only_who_may_raises_a_priority(monkeypatch, limit, user, allowed):
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr("resource.getrlimit", lambda which: (limit, limit))
    assert priority(NodeEntry("a", "m", nice=-10)) == (["nice", "-n", "-10"] if allowed else [])
    assert priority(NodeEntry("a", "m", nice=10))[:3] == ["nice", "-n", "10"]
    assert priority(NodeEntry("a", "m")) == []


@pytest.mark.parametrize(("cpus", "expected"), [({0, 1, 3}, ["taskset", "-c", "1,3"]), ({2}, [])])
def test_the_learner_keeps_off_the_first_cpu(monkeypatch, cpus, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: cpus)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert priority(NodeEntry("a", "m", nice=10)) == ["nice", "-n", "10", *expected]
