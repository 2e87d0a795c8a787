"""The process of the operator's console: serves its web page, and stands between it and the graph.

Run as `python -m robot_rl.nodes.console_process --ros-args -p task:=franka_pick_cube -p out:=runs/a`; it
prints where the page is. It can come and go while the graph runs.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rclpy.node import Node

from robot_rl import tasks
from robot_rl.core.errors import MissingDependencyError
from robot_rl.nodes.executor import Spinner, StopFlag, collect_garbage, run
from robot_rl.nodes.messages import COMMANDS
from robot_rl.nodes.params import Parameters

LOOK_RATE = 15.0
"""Looks at the graph a second [Hz]."""

TOKEN_FILE = "console.token"
"""File of the run directory that holds the token, where one is asked for."""


SWITCH_INTERVAL = 0.0005
"""Longest that one thread of Python keeps the others waiting [s]."""


@dataclass(frozen=True)
class ConsoleSettings:
    """Settings of the console beside the task's own."""

    task: str = "franka_pick_cube"
    """Name of the task."""
    out: str = ""
    """Run directory, whose curves so far are shown; "" for none."""
    clock: Literal["lockstep", "realtime"] = "realtime"
    """Of the graph."""
    person: Literal["scripted", "operator", "none"] = "operator"
    """"operator" when the page may move the robot; for anybody else it looks on, and can stop it."""
    host: str = "127.0.0.1"
    """Address that the page is served on; others than this machine's own want a token."""
    port: int = 8080
    """Port of the page; 0: any that is free."""


def body(stop: StopFlag) -> None:
    """Serve the page until the process is asked to end."""
    node = Node("console")
    parameters = Parameters(node)
    settings = parameters.read(ConsoleSettings())
    config = parameters.read(tasks.load(settings.task))
    parameters.check_all_known()
    try:
        from robot_rl.console.access import Access, is_loopback, stored_token
        from robot_rl.console.handle import Handle
        from robot_rl.console.model import Model, Setup
        from robot_rl.console.scene import Scene3D
        from robot_rl.console.server import Server
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            str(error.name), "the operator's console", "pip install 'robot-rl[console]'"
        ) from None
    from robot_rl.nodes.console_curves import Curves
    from robot_rl.nodes.console_graph import RosGraph
    from robot_rl.nodes.console_view import ConsoleView

    token = "" if is_loopback(settings.host) else stored_token(Path(settings.out) / TOKEN_FILE)
    model = Model()
    setup = Setup.of(settings.task, settings.out, settings.person, COMMANDS, config)
    scene = Scene3D(config.arm, config.cameras)
    handle = Handle(scene, config.teleop, model.target)
    server = Server(
        RosGraph(node),
        model,
        setup,
        Access(token),
        settings.host,
        settings.port,
        node.get_logger().warning,
        scene.port,
        handle,
    )
    looker = Node("console_view", start_parameter_services=False)
    curves = Curves(model)
    view = ConsoleView(looker, config, model, scene.update, curves.on_event, curves.on_metrics)
    # After subscribing: an episode that ends now is known twice, and counted once.
    if settings.out and (problem := curves.restore(Path(settings.out))):
        node.get_logger().warning(problem)
    spinner = Spinner(stop, node)
    # The server's threads shall not keep the loop, and with it the heartbeat, from its turn.
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        server.start()
        collect_garbage()
        sys.stdout.write(f"console: {server.url}\n")
        sys.stdout.flush()
        due = time.monotonic()
        while True:
            spinner.spin_until(due)
            due = max(due + 1.0 / LOOK_RATE, time.monotonic())
            view.look()
            curves.show()
            server.check()
    finally:
        spinner.say_goodbye()
        server.close()
        scene.close()
        spinner.close()
        looker.destroy_node()


def main() -> int:
    """Entry point."""
    return run("console", body)


if __name__ == "__main__":
    sys.exit(main())
