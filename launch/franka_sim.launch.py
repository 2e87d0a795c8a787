"""The graph of a task on a simulated Franka, for `ros2 launch robot_rl franka_sim.launch.py task:=...`.

It starts the processes of `robot_rl.nodes.table`, as `robot-rl up` does. Give `learner_host` any name but
"local" to leave the learner out, and start it on that machine with the same ROS_DOMAIN_ID, and with the
config.yaml of the run directory as its parameter file:

    python -m robot_rl.nodes.learner --ros-args --params-file config.yaml -p task:=TASK -p out:=runs/a

So it is with `perception_host`, for encoder and reward classifier, and with `camera_host`, where real cameras
may stand in for the simulated ones (`robot_rl.nodes.camera_driver`).
"""

# ROS's launch comes with ROS alone, and the type checker may run without it.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import sys
import time
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from robot_rl import tasks
from robot_rl.core.config import load_yaml
from robot_rl.nodes.run import prepare
from robot_rl.nodes.supervisor import DEFAULT_ENVIRONMENT, priority
from robot_rl.nodes.table import LOCAL, GraphOptions, node_table

ARGUMENTS = {
    "task": ("franka_pick_cube", "Name of the task, TASK:pixels through cameras: " + ", ".join(tasks.TASKS)),
    "seed": ("0", "Seeds everything: scenes, person, exploration, learner"),
    "out": ("", "Run directory; one that holds a run is gone on with. Empty: a new one below runs/"),
    "headless": ("true", "Without a window that shows the simulated arm"),
    "clock": ("lockstep", "lockstep: as fast as the CPU allows; realtime: with the wall clock"),
    "person": ("scripted", "scripted: a script demonstrates and corrects; operator: a person; none: nobody"),
    "console": ("false", "Serve the operator's web page"),
    "console_host": ("127.0.0.1", "Address of the page; others than this machine's own want a token"),
    "console_port": ("8080", "Port of the page"),
    "learner_host": (LOCAL, "local: start the learner here; any other name: it is started there"),
    "camera_host": (LOCAL, "local: draw the cameras of the simulated scene here; else they are elsewhere"),
    "perception_host": (LOCAL, "local: start encoder and reward classifier here; else as learner_host"),
    "config": ("", "YAML file with settings of the task. Empty: its defaults"),
}
"""Argument: default, description."""


def start(context: LaunchContext) -> list[Node]:
    """One action for each process of the node table."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    task = given["task"]
    options = GraphOptions(
        task=task,
        seed=int(given["seed"]),
        out=given["out"] or str(Path("runs") / f"{task.replace(':', '-')}-{time.strftime('%Y%m%d-%H%M%S')}"),
        clock=given["clock"],
        headless=given["headless"].lower() in ("true", "1"),
        person=given["person"],
        console=given["console"].lower() in ("true", "1"),
        console_host=given["console_host"],
        console_port=int(given["console_port"]),
        learner_host=given["learner_host"],
        camera_host=given["camera_host"],
        perception_host=given["perception_host"],
    )
    config = tasks.load(task)
    if given["config"]:
        config = load_yaml(type(config), Path(given["config"]), config)
    parameters = prepare(options, config)
    return [
        Node(
            executable=sys.executable,
            arguments=["-m", entry.module],
            parameters=[str(parameters), dict(entry.parameters)],
            remappings=list(entry.remappings),
            output="screen",
            emulate_tty=True,
            respawn=entry.respawn and not entry.leads,
            respawn_delay=1.0,
            additional_env=DEFAULT_ENVIRONMENT,
            prefix=" ".join(priority(entry)) or None,
            on_exit=Shutdown() if entry.leads or not entry.respawn else None,
        )
        for entry in node_table(options, config)
        if entry.host == LOCAL
    ]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
