"""Recording with an operator: the graph on the real clock, without a learner; she starts each episode.

A demonstration is kept when it succeeds and she does not take it back. She ends the recording early with
Ctrl-C; what she has kept until then stays.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from drivers.teleop.settings import DEVICES
from robot_rl.cli.graph import run_with_progress
from robot_rl.cli.report import print_json, print_table, steps
from robot_rl.core.config import replace
from robot_rl.core.errors import ConfigError, nearest
from robot_rl.core.types import EpisodeResult
from robot_rl.env.session import evaluate
from robot_rl.nodes.results_file import read_results
from robot_rl.nodes.table import GraphOptions
from robot_rl.tasks.arm import ArmTaskConfig

HOW_TO_START = (
    "While the session waits, the button that takes over starts the next episode, and the one that hands "
    "back takes the last one back."
)
HOW_TO_END = "Ctrl-C ends the recording and keeps what there is."


@dataclass(frozen=True)
class Recording:
    """What an operator records."""

    task: str
    """Name of the task."""
    out: Path
    """Run directory."""
    device: str
    """In her hand, as in `TeleopConfig.devices`."""
    episodes: int
    """Episodes to keep."""
    labels: bool
    """Whether she labels frames for a reward classifier, or demonstrates."""
    seed: int
    """Seeds the scenes."""
    console: bool
    """Serve the web page for another device too."""
    host: str
    """Address of the page."""
    port: int
    """Port of the page."""


def run(recording: Recording, config: ArmTaskConfig, as_json: bool) -> int:
    """Record until she has kept enough, or ends it; the exit status."""
    device = device_at(this_terminal(), recording.device)
    options = GraphOptions(
        task=recording.task,
        seed=recording.seed,
        out=str(recording.out),
        clock="realtime",
        policy="hold",
        person="operator",
        console=recording.console or device == "console",
        console_host=recording.host,
        console_port=recording.port,
    )
    if not as_json:
        print(HOW_TO_END if options.console else f"{HOW_TO_START} {HOW_TO_END}", flush=True)
    run_with_progress(options, course(config, recording, device), quiet=as_json)
    kept = [result for result in read_results(recording.out / "results.jsonl") if is_kept(recording, result)]
    evaluation = evaluate(0, kept)
    report = {
        "task": recording.task,
        "out": str(recording.out),
        "device": device,
        "episodes": len(kept),
        "taken_back": len(list((recording.out / "episodes" / "undone").glob("*.mcap"))),
        "success_length": evaluation.mean_steps if evaluation.successes else None,
    }
    if as_json:
        print_json(report)
        return 0
    what = "labels" if recording.labels else "demonstrations"
    rows = [("kept", f"{len(kept)} of {recording.episodes}"), ("taken back", str(report["taken_back"]))]
    print_table(
        f"{what} of {recording.task}", [*rows, ("length of a success", steps(report["success_length"]))]
    )
    print(f"logs     {recording.out / 'episodes'}")
    return 0


def device_at(terminal: str, device: str) -> str:
    """The device as the graph's processes know it: they have no terminal, so a keyboard's is named.

    Args:
        terminal: Path of this terminal's device, "" where there is none.
        device: As in `TeleopConfig.devices`.
    """
    kind = device.partition(":")[0]
    if kind not in DEVICES:
        raise ConfigError(f"--device {device!r}: {nearest(kind, ('script', *DEVICES))}")
    if device == "keyboard" and not terminal:
        raise ConfigError("the keyboard of which terminal? This is none; name one, as in keyboard:/dev/pts/3")
    return f"keyboard:{terminal}" if device == "keyboard" else device


def with_this_terminal(config: ArmTaskConfig) -> ArmTaskConfig:
    """The task's settings with the device "keyboard", if it is among them, as that of this terminal."""
    devices = [device_at(this_terminal(), device) for device in config.teleop.devices]
    return replace(config, {"teleop.devices": devices})


def this_terminal() -> str:
    """Path of the terminal that this process reads from, "" for none."""
    return os.ttyname(sys.stdin.fileno()) if sys.stdin.isatty() else ""


def course(config: ArmTaskConfig, recording: Recording, device: str) -> ArmTaskConfig:
    """The task's settings for a session that records and ends."""
    labels = recording.episodes if recording.labels else 0
    settings = {
        "teleop.devices": [device],
        "learner.demonstrations": recording.episodes - labels,
        "session.label_episodes": labels,
        "session.max_steps": 0,
        "session.evaluation_episodes": 0,
        "session.final_episodes": 0,
    }
    return replace(config, settings)


def is_kept(recording: Recording, result: EpisodeResult) -> bool:
    """Whether an episode is one that she wanted to record."""
    return result.success or recording.labels
