"""An emulated Crazyflie in the graph: the simulator's quadrotor behind the device's own protocol, on UDP.

The driver connects to it as to any other. What only a simulator knows, `ground_truth/pose`, may stand in for
a motion capture system: remap it to `external_pose`.

Run as `python -m robot_rl.nodes.crazyflie_emulator`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node

from drivers.emulators.crazyflie.firmware import EmulatedCrazyflie, EmulatorSettings
from drivers.emulators.crazyflie.link import LinkConditions
from drivers.emulators.crazyflie.server import PORT, CrazyflieServer
from robot_rl.core.types import Pose
from robot_rl.nodes.crazyflie_convert import world_pose
from robot_rl.nodes.executor import Spinner, StopFlag, run
from robot_rl.nodes.params import Parameters
from robot_rl.nodes.qos import STREAM
from robot_rl.nodes.simulated_crazyflie import SimulatedVehicle, airframe_of
from sim.quadrotor.parameters import load_parameters

PERIOD = 0.01
"""Between two messages [s]."""
LONGEST_LANDING = 8.0
"""It goes on flying for this long when the process shall end [s]."""


@dataclass(frozen=True)
class VehicleSettings:
    """Settings of the emulated vehicle's process."""

    vehicle: str = "gpd-cf2x"
    """Parameter set, or YAML file, of what flies; its firmware knows the same numbers."""
    port: int = PORT
    """UDP port."""
    firmware: EmulatorSettings = field(default_factory=EmulatorSettings)
    """The firmware."""
    link: LinkConditions = field(default_factory=LinkConditions)
    """The link to it."""


class VehicleNode(Node):
    """Publishes where the vehicle really is."""

    def __init__(self) -> None:
        super().__init__("crazyflie_emulator")
        parameters = Parameters(self)
        settings = parameters.read(VehicleSettings())
        parameters.check_all_known()
        quadrotor = load_parameters(settings.vehicle)
        firmware = EmulatedCrazyflie(airframe_of(quadrotor), SimulatedVehicle(quadrotor), settings.firmware)
        self.server = CrazyflieServer(firmware, settings.port, settings.link, settings.firmware.seed)
        self._publisher = self.create_publisher(PoseStamped, "ground_truth/pose", STREAM)

    def publish(self) -> None:
        """Publish the pose now."""
        truth = self.server.truth
        now = self.get_clock().now().nanoseconds
        self._publisher.publish(world_pose(now, Pose(truth.position, truth.quaternion)))


def body(stop: StopFlag) -> None:
    """Serve the vehicle until the process is asked to end."""
    node = VehicleNode()
    spinner = Spinner(stop, node)
    node.get_logger().info(f"an emulated Crazyflie is at {node.server.uri}")
    try:
        with node.server:
            try:
                for _ in spinner.turns(PERIOD):
                    node.publish()
            finally:
                # Ctrl-C under ROS's launch ends all processes at once, and the driver has yet to land it.
                node.server.let_land(LONGEST_LANDING)
    finally:
        spinner.close()


def main() -> int:
    """Entry point."""
    return run("vehicle", body)


if __name__ == "__main__":
    sys.exit(main())
