"""`robot-rl up TASK`: the ROS 2 graph of a task, or of a Crazyflie, without ROS's `launch`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from robot_rl.cli import up_crazyflie
from robot_rl.cli.arguments import default_out, parse_with_task
from robot_rl.cli.graph import finish, interrupted, run_with_progress
from robot_rl.cli.record_live import with_this_terminal
from robot_rl.cli.report import print_json, print_summary
from robot_rl.nodes.table import GraphOptions


@dataclass(frozen=True)
class UpOptions:
    """Options of `robot-rl up`."""

    seed: int = 0
    """Seeds everything: scenes, person, exploration, learner."""
    out: Path | None = None
    """Run directory; by default a new one below runs/."""
    resume: bool = False
    """Go on with the run in --out."""
    clock: Literal["auto", "lockstep", "realtime"] = "auto"
    """lockstep: as fast as the CPU allows and reproducible; realtime: with the wall clock, as an operator
    needs it; auto: realtime with an operator, else lockstep."""
    policy: str = "learner"
    """Who acts: "learner", "random", "hold", or the directory of a policy bundle."""
    person: Literal["auto", "scripted", "operator", "none"] = "auto"
    """Who demonstrates and corrects: a scripted person; an operator at the devices of --teleop.devices;
    nobody; auto: an operator with --console, else the scripted person."""
    console: bool = False
    """Serve the operator's web page, and say where."""
    console_host: str = "127.0.0.1"
    """Address to serve it on; others than this machine's own make a token that the page asks for."""
    console_port: int = 8080
    """Port to serve it on; 0: any that is free."""
    learner_host: str = "local"
    """"local" starts the learner here; any other name leaves it to be started there."""
    camera_host: str = "local"
    """"local" draws the cameras of a simulated scene here; for any other name they are elsewhere."""
    perception_host: str = "local"
    """"local" starts encoder and reward classifier here, where the task has cameras; else as learner_host."""
    view: bool = False
    """Show the simulated arm in a window."""
    echo: bool = False
    """Print what the nodes say instead of a progress bar."""
    json: bool = False
    """Print the summary as one JSON object instead of a table."""


def main(argv: list[str]) -> int:
    """Run the command."""
    if argv[:1] == [up_crazyflie.NAME]:
        return up_crazyflie.main(argv[1:])
    task, options, config = parse_with_task(UpOptions, argv, "up", "Start the ROS 2 graph of a task.")
    out = options.out or default_out(task)
    person = options.person
    if person == "auto":
        person = "operator" if options.console else "scripted"
    if person == "operator":
        config = with_this_terminal(config)
    clock = options.clock
    if clock == "auto":
        clock = "realtime" if person == "operator" else "lockstep"
    graph = GraphOptions(
        task=task,
        seed=options.seed,
        out=str(out),
        clock=clock,
        headless=not options.view,
        learner_host=options.learner_host,
        camera_host=options.camera_host,
        perception_host=options.perception_host,
        policy=options.policy,
        person=person,
        console=options.console,
        console_host=options.console_host,
        console_port=options.console_port,
    )
    if not run_with_progress(graph, config, options.resume, options.json, options.echo):
        return interrupted(out)
    summary = finish(out, config)
    if options.json:
        print_json(summary)
    else:
        print_summary(summary, {"summary": out / "summary.json", "curves": out / "curves.png"})
    return 0
