"""`robot-rl up crazyflie`: the graph of a Crazyflie, real or emulated, until Ctrl-C."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from robot_rl.cli.arguments import default_out, parse
from robot_rl.cli.graph import check_ros
from robot_rl.core.config import read_yaml
from robot_rl.core.errors import ConfigError
from robot_rl.nodes.crazyflie_table import EMULATED, CrazyflieOptions, crazyflie_table
from robot_rl.nodes.supervisor import run_table

NAME = "crazyflie"
"""What takes the place of a task's name."""


@dataclass(frozen=True)
class UpCrazyflieOptions:
    """Options of `robot-rl up crazyflie`."""

    graph: Annotated[CrazyflieOptions, tyro.conf.arg(name="")] = field(default_factory=CrazyflieOptions)
    """The vehicle."""
    out: Path | None = None
    """Folder for what the nodes say and for the flight log; by default a new one below runs/."""
    config: Path | None = None
    """ROS parameter file with further settings of the nodes, such as device.max_speed of `crazyflie`."""


def main(argv: list[str]) -> int:
    """Run the command."""
    text = "Start the ROS 2 graph of a Crazyflie, and serve it until Ctrl-C, which lands it."
    options = parse(UpCrazyflieOptions, argv, f"up {NAME}", text)
    check_ros()
    if options.config is not None:
        check_parameters(options.config)
    out = options.out or default_out(NAME)
    flight = Path(options.graph.flight_log) if options.graph.flight_log else out / "flight.csv"
    graph = dataclasses.replace(options.graph, flight_log=str(flight))
    what = "an emulated Crazyflie" if graph.uri == EMULATED else f"the Crazyflie at {graph.uri}"
    _say(f"starting {what}; Ctrl-C lands it and ends\n  logs: {out / 'logs'}\n  flight log: {flight}")
    _say("once it is connected, call the services arm, take_off, land, as examples/crazyflie_square.py does")
    run_table(
        crazyflie_table(graph), out / "logs", options.config, lambda node, line: _say(f"[{node}] {line}")
    )
    # The emulated one's sensors have no filters.
    filters = "" if graph.uri == EMULATED else " --lift-delay 0.0075 --rates-delay 0.0028"
    how = f"robot-rl calibrate quadrotor {flight} --commands changing{filters} --mass KG"
    _say(f"stopped. To identify it: {how}")
    return 0


def check_parameters(path: Path) -> None:
    """Raise `ConfigError` for a file that ROS would not read as parameters."""
    data = read_yaml(path)
    for node, block in data.items():
        if not isinstance(block, dict) or not isinstance(block.get("ros__parameters"), dict):
            raise ConfigError(
                f"{path} is no ROS parameter file: below the name of a node, such as crazyflie, it must have "
                f"ros__parameters and below that the settings; {node!r} has not"
            )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
