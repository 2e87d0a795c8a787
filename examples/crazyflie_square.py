"""Fly a square with the Crazyflie of `robot-rl up crazyflie`, and land: services and topics alone.

robot-rl up crazyflie                        # in one terminal: an emulated one, or the real one at --uri
python examples/crazyflie_square.py          # in another
"""

import argparse
import sys
import time

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from std_srvs.srv import Trigger

PERIOD = 0.05
"""Between two setpoints [s]: a stream that pauses for 0.3 s is ended, and the vehicle holds its place."""
PATIENCE = 20.0
"""Longest time until a service answers [s]."""


class Pilot(Node):
    """Asks for take-off and landing, and in between says where to be."""

    def __init__(self) -> None:
        super().__init__("pilot")
        self.place = (0.0, 0.0, 0.0)
        self.setpoints = self.create_publisher(PoseStamped, "setpoint", 10)
        self.create_subscription(PoseStamped, "pose", self.on_pose, 10)

    def on_pose(self, message: PoseStamped) -> None:
        p = message.pose.position
        self.place = (p.x, p.y, p.z)

    def ask(self, service: str) -> None:
        """Call a service, and end the program when it is refused."""
        client = self.create_client(Trigger, service)
        if not client.wait_for_service(PATIENCE):
            sys.exit(
                f"nobody offers the service {service!r}: is `robot-rl up crazyflie` running, "
                "with the same ROS_DOMAIN_ID?"
            )
        answer = client.call_async(Trigger.Request())
        rclpy.spin_until_future_complete(self, answer, timeout_sec=PATIENCE)
        result = answer.result()
        if result is None or not result.success:
            sys.exit(f"{service} was refused: {result.message if result else f'no answer in {PATIENCE:g} s'}")

    def wait(self, seconds: float) -> None:
        """Listen for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0.0:
            rclpy.spin_once(self, timeout_sec=left)

    def wait_for_height(self, low: float, high: float) -> None:
        """Listen until it is between two heights [m]."""
        end = time.monotonic() + PATIENCE
        while not low < self.place[2] < high:
            if time.monotonic() > end:
                sys.exit(f"it is {self.place[2]:.2f} m high after {PATIENCE:g} s, not {low:g} to {high:g} m")
            self.wait(PERIOD)

    def fly_to(self, x: float, y: float, z: float, seconds: float) -> None:
        """Say for a while where to be [m]."""
        goal = PoseStamped()
        goal.header.frame_id = "world"
        goal.pose.position.x, goal.pose.position.y, goal.pose.position.z = x, y, z
        goal.pose.orientation.w = 1.0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.setpoints.publish(goal)
            self.wait(PERIOD)
        off = sum((a - b) ** 2 for a, b in zip(self.place, (x, y, z), strict=True)) ** 0.5
        print(f"at {x:.1f}, {y:.1f}, {z:.1f} m: {100 * off:.0f} cm off")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--side", type=float, default=0.5, help="of the square [m]")
parser.add_argument("--seconds", type=float, default=2.0, help="for each side")
arguments = parser.parse_args()

rclpy.init()
pilot = Pilot()
pilot.ask("arm")
pilot.ask("take_off")
try:
    pilot.wait_for_height(0.4, 0.6)
    for x, y in ((1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)):
        pilot.fly_to(arguments.side * x, arguments.side * y, 0.5, arguments.seconds)
finally:
    pilot.ask("land")
pilot.wait_for_height(-0.1, 0.05)
print(f"landed at {pilot.place[2]:.2f} m")
rclpy.shutdown()
