"""The node table: which processes make the graph of a task, as plain data.

`launch/*.launch.py` and the supervisor behind `robot-rl up` both read it, so they start the same graph. It
imports no ROS, because the one runs where ROS's `launch` is, and the other where only pip is.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from robot_rl import tasks
from robot_rl.core.errors import ConfigError, nearest
from robot_rl.nodes.camera_topics import is_encoded
from robot_rl.tasks.arm import ArmTaskConfig

Value = bool | int | float | str
Clock = Literal["lockstep", "realtime"]
Person = Literal["scripted", "operator", "none"]

LOCAL = "local"
"""The host on which the graph is started."""


@dataclass(frozen=True)
class NodeEntry:
    """One process of the graph."""

    name: str
    """Names the process and its log file."""
    module: str
    """Started as `python -m MODULE`."""
    parameters: Mapping[str, Value] = field(default_factory=dict)
    """ROS parameters beside those of the configuration file."""
    remappings: tuple[tuple[str, str], ...] = ()
    """(from, to) of topics and services."""
    host: str = LOCAL
    """Where it runs; an entry of another host is not started here."""
    respawn: bool = False
    """Start it again after a crash. Not for the robot's process: after that a person has to look."""
    leads: bool = False
    """The graph ends when this process has done its work."""
    listens: bool = False
    """Ends after the others: it keeps what they say last."""
    nice: int = 0
    """Added to its niceness on the real clock: below zero for the control loop, where the user may do that,
    above zero for what must not take the CPU from it."""


@dataclass(frozen=True)
class GraphOptions:
    """What can be chosen about a graph beside the task's settings."""

    task: str = "franka_pick_cube"
    """Name of the task."""
    seed: int = 0
    """Seeds everything: scenes, person, exploration, learner."""
    out: str = "runs/graph"
    """Run directory."""
    clock: Clock = "lockstep"
    """As fast as the CPU allows and reproducible, or with the wall clock."""
    headless: bool = True
    """Without a window that shows the simulated arm."""
    learner_host: str = LOCAL
    """Host of the learner: "local" starts it here; for any other, start it there with the same arguments and
    the same ROS_DOMAIN_ID."""
    camera_host: str = LOCAL
    """Where the cameras are: "local" draws the simulated scene here; for any other name nothing is drawn, and
    real cameras (`robot_rl.nodes.camera_driver`) or the camera process are started there."""
    perception_host: str = LOCAL
    """Host of the encoder and the reward classifier of a task with cameras, as `learner_host`."""
    policy: str = "learner"
    """Who acts: "learner", "random", "hold", or the directory of a policy bundle."""
    person: Person = "scripted"
    """Who demonstrates and corrects: a scripted person; an operator at the devices of the task's settings, on
    the real clock, who starts each demonstration; or nobody."""
    console: bool = False
    """With the operator's web page."""
    console_host: str = "127.0.0.1"
    """Address that the page is served on; others than this machine's own want a token."""
    console_port: int = 8080
    """Port of the page; 0: any that is free."""
    record: bool = True
    """With the recorder."""


def node_table(options: GraphOptions, config: ArmTaskConfig | None = None) -> tuple[NodeEntry, ...]:
    """The processes of a task on a simulated arm.

    Args:
        options: The graph.
        config: Settings of the task; None for its defaults.
    """
    config = tasks.load(options.task) if config is None else config
    if options.clock not in ("lockstep", "realtime"):
        raise ConfigError(f"clock {options.clock!r}: {nearest(options.clock, ('lockstep', 'realtime'))}")
    if options.person not in ("scripted", "operator", "none"):
        valid = ("scripted", "operator", "none")
        raise ConfigError(f"person {options.person!r}: {nearest(options.person, valid)}")
    live = options.clock == "realtime"
    if options.person == "operator" and not live:
        raise ConfigError('an operator needs time to act: choose the clock "realtime"')
    common: dict[str, Value] = {"task": options.task}
    timed = common | {"clock": options.clock}
    stored = common | {"out": options.out}
    urgent, idle = (-10, 10) if live else (0, 0)
    at_hand = options.person == "operator"
    robot = timed | {"viewer": not options.headless, "require_permit": live, "guide_home": at_hand}
    entries = [NodeEntry("robot", "robot_rl.nodes.arm_process", robot, nice=urgent)]
    if live:
        hands = [] if options.person == "none" else ["intervention"]
        watched = {
            "required": " ".join(["console", *hands]),
            "awaited": " ".join([*["console"] * options.console, *hands]),
        }
        module, watch = "robot_rl.nodes.safety_process", common | watched
        entries.append(NodeEntry("safety", module, watch, respawn=True, nice=2 * urgent))
    if config.cameras:
        module, host = "robot_rl.nodes.camera_process", options.camera_host
        entries.append(NodeEntry("cameras", module, timed, host=host, respawn=True))
    if is_encoded(config):
        module, host = "robot_rl.nodes.perception_process", options.perception_host
        entries.append(NodeEntry("perception", module, timed, host=host, respawn=True))
    if options.person != "none":
        module = "robot_rl.nodes.intervention"
        person = timed | {"person": options.person}
        entries.append(NodeEntry("intervention", module, person, respawn=True, nice=urgent))
    if options.record:
        entries.append(NodeEntry("recorder", "robot_rl.nodes.recorder", stored, respawn=True, listens=True))
    if options.policy == "learner":
        entries.append(
            NodeEntry(
                "learner",
                "robot_rl.nodes.learner",
                timed | stored | {"seed": options.seed},
                host=options.learner_host,
                respawn=True,
                nice=idle,
            )
        )
    session: dict[str, Value] = {"seed": options.seed, "policy": options.policy}
    session |= {"person": options.person, "with_recorder": options.record, "recover": not at_hand}
    if options.console:
        page = {"host": options.console_host, "port": options.console_port}
        parameters = stored | {"clock": options.clock, "person": options.person} | page
        module = "robot_rl.nodes.console_process"
        # Not nice, for the arm holds while its heartbeat is late, and not before the control loop.
        entries.append(NodeEntry("console", module, parameters, respawn=True))
    parameters = timed | stored | session
    entries.append(
        NodeEntry("actor", "robot_rl.nodes.actor", parameters, respawn=True, leads=True, nice=urgent)
    )
    return tuple(entries)


def arguments(entry: NodeEntry, config: Path | None = None) -> list[str]:
    """The arguments that start an entry, after the Python executable; `config` is a parameter file."""
    words = ["-m", entry.module, "--ros-args"]
    if config is not None:
        words += ["--params-file", str(config)]
    for name, value in entry.parameters.items():
        words += ["-p", f"{name}:={_text(value)}"]
    for source, target in entry.remappings:
        words += ["-r", f"{source}:={target}"]
    return words


def command(entry: NodeEntry, config: Path | None = None) -> list[str]:
    """The whole command of an entry."""
    return [sys.executable, *arguments(entry, config)]


def _text(value: Value) -> str:
    """A value as ROS's command line reads it back with the same type."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # Quoted, or a path such as "1" or "true" would become a number or a truth value.
        return "'" + value.replace("'", "''") + "'"
    text = repr(value)
    # To YAML 1e-05 is text.
    return text.replace("e", ".0e") if "e" in text and "." not in text else text
