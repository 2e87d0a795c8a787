"""The graph of a Crazyflie, for `ros2 launch robot_rl crazyflie.launch.py uri:=radio://0/80/2M/E7E7E7E7E7`.

Without a URI a simulated one is started, behind the device's own protocol. Topics: `pose`, `twist`, `state`;
`setpoint`, `setpoint/velocity`, `external_pose`. Services: `arm`, `take_off`, `land`, `hold`, `disarm`,
`safety/e_stop`, `safety/clear_fault`.
"""

# ROS's launch comes with ROS alone, and the type checker may run without it.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import sys

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from robot_rl.nodes.crazyflie_table import EMULATED, CrazyflieOptions, crazyflie_table
from robot_rl.nodes.supervisor import DEFAULT_ENVIRONMENT, priority

ARGUMENTS = {
    "uri": (EMULATED, "Where it is: radio://0/80/2M/E7E7E7E7E7, usb://0; emulated: start a simulated one"),
    "positioning": ("lighthouse", "lighthouse, flow, or external: by the topic external_pose"),
    "vehicle": ("gpd-cf2x", "Parameter set, or YAML file, of the simulated one"),
    "port": ("19850", "UDP port of the simulated one"),
    "loss": ("0.0", "Part of the packets that its link loses, each way"),
    "latency": ("0.0", "Delay of its link, each way, in seconds"),
    "seed": ("0", "Seeds its noise and the accidents of its link"),
    "flight_log": ("", "CSV file for `robot-rl calibrate quadrotor`. Empty: none"),
    "config": ("", "ROS parameter file for the nodes. Empty: their defaults"),
}
"""Argument: default, description."""
LANDED = "12"
"""Seconds after Ctrl-C in which the driver lands the vehicle; launch's own patience is 5."""


def start(context: LaunchContext) -> list[Node]:
    """One action for each process of the node table."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    options = CrazyflieOptions(
        uri=given["uri"],
        positioning=given["positioning"],
        vehicle=given["vehicle"],
        port=int(given["port"]),
        loss=float(given["loss"]),
        latency=float(given["latency"]),
        seed=int(given["seed"]),
        flight_log=given["flight_log"],
    )
    files = [given["config"]] if given["config"] else []
    return [
        Node(
            executable=sys.executable,
            arguments=["-m", entry.module],
            parameters=[*files, dict(entry.parameters)],
            remappings=list(entry.remappings),
            output="screen",
            emulate_tty=True,
            respawn=entry.respawn,
            respawn_delay=1.0,
            additional_env=DEFAULT_ENVIRONMENT,
            prefix=" ".join(priority(entry)) or None,
            on_exit=Shutdown(),
            sigterm_timeout=LANDED,
        )
        for entry in crazyflie_table(options)
    ]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
