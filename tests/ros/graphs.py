"""Small graphs of real processes for the tests: short episodes, tiny networks, fresh run directories."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robot_rl import tasks
from robot_rl.core.config import replace
from robot_rl.data.run_directory import RunDirectory
from robot_rl.nodes.supervisor import Supervisor
from robot_rl.nodes.table import GraphOptions, NodeEntry, node_table
from robot_rl.tasks.arm import ArmTaskConfig

REACH: Mapping[str, Any] = {
    "goal.time_limit": 2.0,
    "learner.hidden": [8],
    "learner.demonstrations": 1,
    "learner.bc_steps": 5,
    "learner.batch_size": 16,
    "learner.capacity": 1000,
    "learner.demo_capacity": 1000,
    "learner.learning_starts": 10,
    "session.max_steps": 60,
    "session.evaluate_every": 40,
    "session.evaluation_episodes": 2,
    "session.final_episodes": 2,
    "session.good_evaluations": 0,
}
"""Settings that make franka_reach a matter of seconds."""

PIXELS = "franka_pick_cube:pixels"
"""The task that the tests see through cameras."""

PATIENCE = 120.0
"""Longest time that a test waits for something [s]."""


def reach(**changes: Any) -> ArmTaskConfig:
    """Settings of franka_reach for tests; dots in names are written as two underscores."""
    dotted = {name.replace("__", "."): value for name, value in changes.items()}
    return replace(tasks.load("franka_reach"), {**REACH, **dotted})


def pixels(**changes: Any) -> ArmTaskConfig:
    """Settings of franka_pick_cube:pixels for tests, with an encoder that needs no file."""
    dotted = {name.replace("__", "."): value for name, value in changes.items()}
    few = {"encoder.kind": "random", "goal.time_limit": 4.0, "learner.demonstrations": 1}
    few |= {"session.max_steps": 50, "session.evaluation_episodes": 0, "session.final_episodes": 0}
    return replace(tasks.load(PIXELS), {**few, **dotted})


class Graph:
    """A running graph."""

    def __init__(self, supervisor: Supervisor, out: Path) -> None:
        self.supervisor = supervisor
        self.out = out

    def run(self) -> None:
        """Wait until the actor is done."""
        deadline = time.monotonic() + PATIENCE
        while not self.supervisor.poll():
            assert time.monotonic() < deadline, f"no end; the logs say\n{self.all_logs()}"
            time.sleep(0.02)

    def wait(self, ready: Callable[[], Any]) -> None:
        """Wait until `ready()`; processes that crash meanwhile are started again."""
        deadline = time.monotonic() + PATIENCE
        while not ready():
            self.supervisor.poll()
            assert time.monotonic() < deadline, f"nothing came; the logs say\n{self.all_logs()}"
            time.sleep(0.02)

    def check(self) -> bool:
        """Start crashed processes again, raise when one has failed for good; True when the actor is done."""
        return self.supervisor.poll()

    def pid(self, name: str) -> int:
        return self.supervisor.processes[name].popen.pid

    def log(self, name: str) -> str:
        path = self.out / "logs" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def all_logs(self) -> str:
        return "\n".join(f"== {p.name}\n{p.read_text()}" for p in sorted((self.out / "logs").glob("*.log")))

    def kill(self, name: str, number: int) -> None:
        """Send a signal to a process of the graph."""
        os.kill(self.pid(name), number)


@contextmanager
def running(
    out: Path,
    config: ArmTaskConfig,
    task: str = "franka_reach",
    only: tuple[str, ...] = (),
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    **options: Any,
) -> Iterator[Graph]:
    """Start a graph and stop it at the end; `only` names the processes to start, all without it."""
    RunDirectory.create(out, config, task, options.get("seed", 0))
    table = []
    for entry in node_table(GraphOptions(task=task, out=str(out), **options), config):
        if not only or entry.name in only:
            extra = dict((parameters or {}).get(entry.name, {}))
            if entry.name == "actor" and only and "recorder" not in only:
                extra["with_recorder"] = False
            if entry.name == "robot" and only and "safety" not in only:
                extra["require_permit"] = False
            table.append(
                NodeEntry(
                    entry.name,
                    entry.module,
                    {**entry.parameters, **extra},
                    respawn=entry.respawn,
                    leads=entry.leads,
                    listens=entry.listens,
                )
            )
    supervisor = Supervisor(table, out / "logs", out / "config.yaml")
    try:
        supervisor.start()
        yield Graph(supervisor, out)
    finally:
        supervisor.stop()
