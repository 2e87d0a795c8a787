"""What the console costs a run of its own length, and what stops a run that nobody touches."""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

from robot_rl import tasks
from robot_rl.core.config import replace

from .graph import graph
from .latency import TICK

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def cost(folder: Path, seconds: float, console: bool) -> dict[str, float]:
    """CPU share of the console, pictures a second that a page got, and how punctual the ticks were."""
    steps = round(seconds / TICK)
    quiet = {"session.max_steps": steps, "session.evaluation_episodes": 0, "session.final_episodes": 0}
    quiet |= {"learner.demonstrations": 0, "max_object_age": 5.0}
    config = replace(tasks.load("franka_pick_cube:pixels"), quiet)
    name = f"console-{console}"
    choices: dict[str, Any] = {"task": "franka_pick_cube:pixels", "policy": "random", "person": "none"}
    figures = {}
    with graph(folder, name, config, console=console, **choices) as running:
        page = running.open_page(cameras=True) if console else None
        running.wait(lambda: len(running.heard.commands) > 20, "commands")
        if page is not None:
            pid, began, pictures = running.pid("console"), time.monotonic(), page.pictures
            before = cpu_seconds(pid)
            time.sleep(seconds / 2)
            elapsed = time.monotonic() - began
            figures["share"] = (cpu_seconds(pid) - before) / elapsed
            figures["pictures"] = (page.pictures - pictures) / elapsed
        deadline = time.monotonic() + 3 * seconds + 60
        while not running.supervisor.poll() and time.monotonic() < deadline:
            time.sleep(0.05)
        if page is not None:
            page.close()
    timing = json.loads((running.out / "summary.json").read_text())["realtime"]
    return figures | timing


def soak(folder: Path, minutes: float) -> tuple[list[str], int]:
    """A training with a scripted person on the real clock: reasons of its faults; holds without a permit."""
    config = replace(tasks.load("franka_pick_cube"), {"session.max_steps": 10_000_000})
    with graph(folder, "soak", config, console=True) as running:
        running.wait(lambda: running.moves(), "an arm that moves")
        page = running.open_page()
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            running.supervisor.poll()
            time.sleep(0.05)
        page.close()
        states = [state for _, state in running.heard.safety]
    faults = [b.fault for a, b in itertools.pairwise(states) if b.fault and not a.fault]
    return faults, states[-1].denials - states[0].denials
