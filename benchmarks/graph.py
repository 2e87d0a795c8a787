"""How fast the ROS 2 graph runs: real processes, real messages, on this machine.

Lockstep: practice steps a second of `franka_pick_cube` with robot, person, recorder and actor, first with a
random policy and nobody learning, then with the learner. Real time: control ticks at 10 Hz beside a learner
that works, how many came more than 20 ms late, how long a command took from its tick, and whether every
transition reached the learner's journal. The lockstep runs take turns; figures are medians.

Beside the real-time run a bare process sleeps for 5 ms at a time, at the priority of the control loop. Its
pauses are the machine's own: a host that takes the processors away, a kernel that cannot be preempted. Ticks
that are late by them no program could have met.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from report import Result, main, result

from robot_rl import tasks
from robot_rl.core.config import replace
from robot_rl.data.journal import read_journal
from robot_rl.nodes.run import JOURNAL
from robot_rl.nodes.supervisor import priority, run_graph
from robot_rl.nodes.table import GraphOptions, NodeEntry, node_table


def run(folder: Path, name: str, overrides: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Run a graph to its end and return its summary."""
    quiet = {"session.evaluation_episodes": 0, "session.final_episodes": 0, "session.good_evaluations": 0}
    config = replace(tasks.load("franka_pick_cube"), quiet | overrides)
    out = folder / name
    if not run_graph(GraphOptions(out=str(out), **options), config):
        raise KeyboardInterrupt
    return json.loads((out / "summary.json").read_text())


WATCH = """
import signal, sys, time
running, pauses, before = True, 0, time.monotonic()
def stop(*_):
    global running
    running = False
signal.signal(signal.SIGTERM, stop)
while running:
    time.sleep(0.005)
    now = time.monotonic()
    pauses += now - before > 0.02
    before = now
print(pauses)
"""


@contextmanager
def watched() -> Iterator[list[int]]:
    """Count the machine's own pauses over 20 ms; the list holds the count at the end."""
    entry = NodeEntry("watch", "", nice=node_table(GraphOptions(clock="realtime"))[0].nice)
    command = [*priority(entry), sys.executable, "-c", WATCH]
    watch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    count: list[int] = []
    try:
        yield count
    finally:
        watch.terminate()
        count.append(int(watch.communicate()[0] or 0))


def steps_per_second(summary: dict[str, Any]) -> float:
    """Practice steps per second of practice."""
    return summary["env_steps"] / summary["phase_s"]["practice"]


def measure(arguments: argparse.Namespace) -> list[Result]:
    """All figures."""
    rounds, steps, live_seconds = (1, 600, 15) if arguments.quick else (3, 2000, 300)
    frozen, learning = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for turn in range(rounds):
            length = {"session.max_steps": steps}
            fast = {"learner.demonstrations": 1} | length
            frozen.append(steps_per_second(run(folder, f"frozen{turn}", fast, policy="random", seed=turn)))
            learning.append(steps_per_second(run(folder, f"learning{turn}", length, seed=turn)))
        with watched() as pauses:
            live = run(folder, "live", {"session.max_steps": live_seconds * 10}, clock="realtime")
        timing = live["realtime"]
        arrived = sum(1 for _ in read_journal(folder / "live" / JOURNAL))
    return [
        result("lockstep, nobody learning", statistics.median(frozen), "steps/s", target=80.0, runs=frozen),
        result("lockstep, with the learner", statistics.median(learning), "steps/s", runs=learning),
        result(
            "real time, ticks over 20 ms late", timing["late_ticks"], "ticks", "lower", 0, of=timing["ticks"]
        ),
        result("real time, the machine's own pauses over 20 ms", pauses[0], "pauses", "lower"),
        result("real time, tick to command, median", timing["latency_p50_ms"], "ms", "lower"),
        result("real time, tick to command, 99 %", timing["latency_p99_ms"], "ms", "lower"),
        result("real time, transitions lost", live["transitions"] - arrived, "transitions", "lower", 0),
    ]


if __name__ == "__main__":
    sys.exit(main("graph", __doc__, measure))
