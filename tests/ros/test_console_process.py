"""The console's process beside a graph that it does not belong to, met by its WebSocket."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from robot_rl.cli.console import ConsoleOptions, attach
from tests.ros.graphs import PATIENCE, Graph, reach, running


class Page:
    """A page without a browser."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket

    def say(self, kind: str, **rest: Any) -> None:
        self._socket.send(json.dumps({"type": kind, **rest}))

    def hears(self, kind: str, wanted: Any = lambda message: True) -> Any:
        """The next message of a type that is wanted."""
        for _ in range(10_000):
            data = self._socket.recv(timeout=PATIENCE)
            message = json.loads(data) if isinstance(data, str) else {"type": "picture"}
            if message["type"] == kind and wanted(message):
                return message
        raise AssertionError(f"no {kind} that is wanted")


@contextmanager
def attached(graph: Graph, **options: Any) -> Iterator[Page]:
    """A page of a console that was started beside the graph."""
    words, _ = attach(ConsoleOptions(graph.out, port=0, **options), os.environ)
    console = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert console.stdout is not None
        address = re.fullmatch(r"console: http://(\S+)/\n", console.stdout.readline())
        assert address is not None
        with connect(f"ws://{address.group(1)}/ws") as socket:
            yield Page(socket)
    finally:
        console.terminate()
        assert console.wait(PATIENCE) == 0
        assert console.stdout is not None
        console.stdout.close()


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    config = reach(session__max_steps=100_000, learner__demonstrations=0)
    with running(tmp_path / "run", config, policy="random", record=False, clock="realtime") as graph:
        yield graph


def test_a_console_that_comes_later_shows_the_graph_and_can_stop_it(graph):
    with attached(graph, look=True) as page:
        setup = page.hears("setup")
        assert setup["task"] == "franka_reach" and setup["person"] == "look"
        state = page.hears("state", lambda s: s["arm"] and s["session"] and s["episode"])
        assert state["session"]["phase"] == "practice" and state["safety"]["fault"] == ""
        assert 0.2 < state["arm"]["position"][0] < 0.8
        page.hears("state", lambda s: {"robot", "actor", "intervention"} <= (s["processes"] or {}).keys())
        later = page.hears("state", lambda s: s["episode"]["index"] > state["episode"]["index"] + 1)
        assert later["arm"]["stamp"] > state["arm"]["stamp"]
        curves = {chart["title"]: chart for chart in page.hears("curves")["curves"]}
        assert curves["Success"]["series"][0]["points"]

        page.say("control", take=True)
        page.hears("notice", lambda n: "only to look" in n["text"])
        page.say("e_stop")
        stopped = page.hears("state", lambda s: s["safety"]["fault"])
        assert "on the console" in stopped["safety"]["fault"] and stopped["safety"]["advice"]
        page.say("clear_fault")
        page.hears("notice", lambda n: "Only the page in control" in n["text"])
    with attached(graph) as page:
        page.hears("state", lambda s: s["safety"] and s["safety"]["fault"])
        page.say("control", take=True)
        page.say("clear_fault")
        page.hears("state", lambda s: s["safety"] and not s["safety"]["fault"])


def test_a_robot_that_does_not_answer_is_told_of(graph):
    """Its process is stopped; it does as it was asked when it goes on."""
    with attached(graph) as page:
        page.say("e_stop")
        page.hears("state", lambda s: s["safety"] and s["safety"]["fault"])
        graph.kill("robot", signal.SIGSTOP)
        page.say("control", take=True)
        page.say("clear_fault")
        page.hears("notice", lambda n: "has not answered for 3 s" in n["text"])
        graph.kill("robot", signal.SIGCONT)
        page.hears("notice", lambda n: n["text"] == "The fault is cleared.")
