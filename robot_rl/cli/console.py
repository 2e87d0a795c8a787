"""`robot-rl console`: the operator's web page for a graph that runs already."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from robot_rl import tasks
from robot_rl.cli.arguments import parse
from robot_rl.core.errors import ConfigError, MissingDependencyError
from robot_rl.nodes.run import GRAPH
from robot_rl.nodes.table import NodeEntry, Value, command

MOST_PORT = 65535


@dataclass(frozen=True)
class ConsoleOptions:
    """Options of `robot-rl console`."""

    run: Annotated[Path | None, tyro.conf.Positional] = None
    """Run directory of a graph on this machine. Without one: the graph of this ROS_DOMAIN_ID, whose task
    --task names."""
    task: str = ""
    """Name of the task, TASK:pixels through cameras; by default the one of RUN."""
    look: bool = False
    """Only look, and stop the robot."""
    host: str = "127.0.0.1"
    """Address to serve the page on; others than this machine's own make a token that the page asks for."""
    port: int = 8080
    """Port to serve it on; 0: any that is free."""


def main(argv: list[str]) -> int:
    """Run the command: this process becomes the console's."""
    options = parse(ConsoleOptions, argv, "console", "Serve the operator's web page for a graph that runs.")
    words, variables = attach(options, os.environ)
    check_page(options.host, options.port, "--port")
    if options.run is not None and running(options.run) is None:
        sys.stderr.write(
            f"no graph of {options.run} runs on this machine: the page is empty until one does\n"
        )
    sys.stdout.flush()
    os.execve(words[0], words, {**os.environ, **variables})


def check_page(host: str, port: int, option: str) -> None:
    """Raise what would keep the page from being served, before anything is started.

    Args:
        host: Address to serve it on.
        port: Of the page.
        option: Of the command line, that sets the port.
    """
    for package, extra in (("rclpy", "ros"), ("aiohttp", "console"), ("viser", "console")):
        if importlib.util.find_spec(package) is None:
            how = f"pip install 'robot-rl[{extra}]'" + (", or source ROS 2" if extra == "ros" else "")
            raise MissingDependencyError(package, "the operator's console", how)
    if not 0 <= port <= MOST_PORT:
        raise ConfigError(f"{option} {port} is not valid: 1 to {MOST_PORT}, or 0 for any that is free")
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        socket.create_server(address, family=family).close()
    except OSError as error:
        raise ConfigError(
            f"the console cannot be served on {host}:{port} ({error.strerror}): choose another {option}, 0 "
            "for any that is free"
        ) from None


def attach(options: ConsoleOptions, given: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The command of the console's process, and the variables that let it hear the graph.

    Args:
        options: Which graph, and where to serve the page.
        given: Variables of this process, which outrank those that the run was started with.
    """
    task, person, clock = options.task, "operator", "realtime"
    variables, config = dict[str, str](), None
    if options.run is not None:
        config = options.run / "config.yaml"
        if not config.exists():
            raise ConfigError(f"{options.run} is no run directory: it has no config.yaml")
        task = task or _task_of(options.run)
        if (graph := running(options.run)) is not None:
            person, clock = graph["person"], graph["clock"]
            variables = {n: v for n, v in graph["environment"].items() if n not in given}
    elif not task:
        raise ConfigError("which graph? Name its run directory, or its task: robot-rl console --task TASK")
    tasks.load(task)
    parameters: dict[str, Value] = {"task": task, "clock": clock}
    parameters["out"] = str(options.run or "")
    parameters["person"] = "look" if options.look else person
    parameters |= {"host": options.host, "port": options.port}
    return command(NodeEntry("console", "robot_rl.nodes.console_process", parameters), config), variables


def running(run: Path) -> dict[str, Any] | None:
    """What the run directory says of its graph; None when it does not run on this machine.

    Then the graph may still run elsewhere, or be one of `ros2 launch`, which says nothing.
    """
    path = run / GRAPH
    graph = _read(path) if path.exists() else None
    if graph is None or not Path(f"/proc/{graph['pid']}").exists():
        return None
    return graph


def _task_of(run: Path) -> str:
    path = run / "provenance.json"
    if not path.exists():
        raise ConfigError(f"{run} does not say which task it is of: name it with --task")
    return _read(path)["task"]


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())
