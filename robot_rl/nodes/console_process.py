"""The process of the operator's console: serves its web page, and stands between it and the graph.

Run as `python -m robot_rl.nodes.console_process --ros-args -p task:=franka_pick_cube -p out:=runs/a`; it
prints where the page is. It can come and go while the graph runs.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rclpy.node import Node

from robot_rl import tasks
from robot_rl.core.errors import ConfigError, MissingDependencyError
from robot_rl.nodes.executor import Spinner, StopFlag, collect_garbage, run
from robot_rl.nodes.messages import COMMANDS
from robot_rl.nodes.params import Parameters

if TYPE_CHECKING:
    from robot_rl.console.access import Access

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
    person: Literal["scripted", "operator", "none", "look"] = "operator"
    """"operator" when the page may move the robot; for a scripted person or none it commands the session; to
    "look" it can only stop the robot."""
    host: str = "127.0.0.1"
    """Address that the page is served on; others than this machine's own want a token."""
    port: int = 8080
    """Port of the page; 0: any that is free."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port {self.port} is not valid: 1 to 65535, or 0 for any that is free")


def body(stop: StopFlag) -> None:
    """Serve the page until the process is asked to end."""
    node = Node("console")
    parameters = Parameters(node)
    settings = parameters.read(ConsoleSettings())
    config = parameters.read(tasks.load(settings.task))
    parameters.check_all_known()
    try:
        from robot_rl.console.desk import Notice
        from robot_rl.console.handle import Handle
        from robot_rl.console.model import Model, Setup
        from robot_rl.console.scene import Scene3D
        from robot_rl.console.server import Server
    except ModuleNotFoundError as error:
        how = "pip install 'robot-rl[console]'"
        raise MissingDependencyError(str(error.name), "the operator's console", how) from None
    from robot_rl.nodes.console_curves import Curves
    from robot_rl.nodes.console_graph import RosGraph
    from robot_rl.nodes.console_log import ConsoleLog
    from robot_rl.nodes.console_view import ConsoleView

    with contextlib.ExitStack() as stack:
        spinner = Spinner(stop, node)
        stack.callback(spinner.close)
        looker = Node("console_view", start_parameter_services=False)
        stack.callback(looker.destroy_node)
        model = Model()
        scene = stack.enter_context(Scene3D(config.arm, config.cameras))
        server = Server(
            RosGraph(node),
            model,
            Setup.of(settings.task, settings.out, settings.person, COMMANDS, config),
            access(settings),
            settings.host,
            settings.port,
            node.get_logger().warning,
            scene.port,
            Handle(scene, config.teleop, model.target),
        )
        curves = Curves(model)
        view = ConsoleView(looker, config, model, scene.update, curves.on_event, curves.on_metrics)
        log = ConsoleLog(looker, lambda text: server.tell_all(Notice(text)), node.get_name())
        # After subscribing: an episode that ends now is known twice, and counted once.
        if settings.out and (problem := curves.restore(Path(settings.out))):
            node.get_logger().warning(problem)
        server.start()
        stack.callback(server.close)
        stack.callback(spinner.say_goodbye)
        # The server's threads shall not keep the loop, and with it the heartbeat, from its turn.
        sys.setswitchinterval(SWITCH_INTERVAL)
        collect_garbage()
        sys.stdout.write(f"console: {server.url}\n")
        sys.stdout.flush()
        for _ in spinner.turns(1.0 / LOOK_RATE):
            view.look()
            curves.show()
            log.look()
            server.check()


def access(settings: ConsoleSettings) -> Access:
    """Who may open the page: beyond this machine, who has the token that the run directory keeps."""
    from robot_rl.console.access import Access, is_loopback, new_token, stored_token

    if is_loopback(settings.host):
        return Access("")
    return Access(stored_token(Path(settings.out) / TOKEN_FILE) if settings.out else new_token())


def main() -> int:
    """Entry point."""
    return run("console", body)


if __name__ == "__main__":
    sys.exit(main())
