"""The graph under measurement: its processes on the real clock, and what is heard of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robot_rl.nodes.domain import reserved_domain
from robot_rl.nodes.run import prepare
from robot_rl.nodes.supervisor import Supervisor
from robot_rl.nodes.table import GraphOptions, node_table
from robot_rl.tasks.arm import ArmTaskConfig

from .hands import Page
from .listener import Heard, Listener

PATIENCE = 120.0
"""Longest wait for anything [s]."""


class Graph:
    """A running graph with its console and the benchmark's ears."""

    def __init__(self, supervisor: Supervisor, out: Path, heard: Heard) -> None:
        self.supervisor = supervisor
        self.out = out
        self.heard = heard

    def pid(self, name: str) -> int:
        return self.supervisor.processes[name].popen.pid

    def kill(self, name: str) -> float:
        """Kill a process; the steady time [s]."""
        now = time.monotonic()
        os.kill(self.pid(name), signal.SIGKILL)
        return now

    def wait(self, ready: Callable[[], Any], what: str, timeout: float = PATIENCE) -> None:
        """Wait until `ready()`, starting again what crashes."""
        deadline = time.monotonic() + timeout
        while not ready():
            if time.monotonic() > deadline:
                logs = "\n".join(p.read_text()[-800:] for p in (self.out / "logs").glob("*.log"))
                raise TimeoutError(f"waited {timeout:g} s for {what}\n{logs}")
            self.supervisor.poll()
            time.sleep(0.002)

    def first(self, find: Callable[[], float | None], what: str, timeout: float) -> float:
        """Wait until `find` finds something; what it found."""
        found: list[float] = []

        def ready() -> bool:
            if (value := find()) is not None:
                found.append(value)
            return bool(found)

        self.wait(ready, what, timeout)
        return found[0]

    def port(self) -> int:
        """The port that the console serves its page on, once it does."""
        log = self.out / "logs" / "console.log"

        def served() -> str:
            lines = log.read_text().splitlines() if log.exists() else []
            return next((line for line in reversed(lines) if "http://" in line), "")

        self.wait(served, "the console")
        return int(served().split("http://")[1].split("/")[0].rpartition(":")[2])

    def open_page(self, cameras: bool = False) -> Page:
        """A page of the console; waits until it can be had."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return Page(self.port(), cameras)  # another one after each start
            except OSError:
                if time.monotonic() > deadline:
                    raise
                self.supervisor.poll()
                time.sleep(0.05)

    def held_after(self, start: float, faulty: bool = False) -> float:
        """Time from `start` until the arm is said to hold [s]; with `faulty`, by a fault."""
        safety = self.heard.safety

        def when() -> float | None:
            for at, state in reversed(safety[-400:]):
                if at < start or not state.holding or (faulty and not state.fault):
                    break
            for at, state in safety[-400:]:
                if at >= start and state.holding and (state.fault or not faulty):
                    return at
            return None

        return self.first(when, "an arm that holds", 5.0) - start

    def get_going(self, page: Page) -> None:
        """Let the policy practise: after a restart the session waits for the operator's start."""
        deadline = time.monotonic() + PATIENCE
        page.control(True)
        while not self.moves():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the arm does not move: see {self.out / 'logs'}")
            page.control(True)
            if self.heard.safety and self.heard.safety[-1][1].fault:
                page.clear_fault()
            page.command("start")
            pause = time.monotonic() + 1.0
            while not self.moves() and time.monotonic() < pause:
                self.supervisor.poll()
                time.sleep(0.01)

    def moves(self) -> bool:
        """Whether the newest safety state has a command in force."""
        return bool(self.heard.safety) and not self.heard.safety[-1][1].holding


@contextmanager
def graph(folder: Path, name: str, config: ArmTaskConfig, **choices: Any) -> Iterator[Graph]:
    """Start a graph on the real clock; stop it at the end."""
    with reserved_domain() as domain:
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        options = GraphOptions(out=str(folder / name), clock="realtime", console_port=0, **choices)
        variables = {"ROS_DOMAIN_ID": str(domain)}
        out = Path(options.out)
        table = node_table(options, config)
        supervisor = Supervisor(table, out / "logs", prepare(options, config), variables)
        profiles = supervisor.environment.get("FASTDDS_DEFAULT_PROFILES_FILE")
        if profiles:
            os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = profiles
        listener = Listener()
        try:
            supervisor.start()
            yield Graph(supervisor, out, listener.heard)
        finally:
            supervisor.stop()
            listener.close()
