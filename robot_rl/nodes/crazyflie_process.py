"""The Crazyflie's process: its driver, with its limits and faults, behind topics and services.

It publishes `pose`, `twist` and `state`, and obeys `setpoint` (a pose, of which position and yaw count) and
`setpoint/velocity` (a twist, of which the linear part and the yaw rate count), both in the frame `world`.
`external_pose`, from a motion capture system, is handed on to the vehicle. Services: `arm`, `disarm`,
`take_off`, `land`, `hold`, `safety/e_stop`, `safety/clear_fault`. A stream of setpoints that pauses is ended
by the driver, which then holds the place.

Run as `python -m robot_rl.nodes.crazyflie_process --ros-args -p device.uri:=radio://0/80/2M/E7E7E7E7E7`.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

from calibration.flight_log import flight_log, write_flight_log
from drivers.crazyflie.driver import Crazyflie
from drivers.crazyflie.settings import CrazyflieConfig
from drivers.crazyflie.state import FlightSample
from robot_rl.core.errors import ConfigError, LogError, RobotRlError, StaleStateError
from robot_rl.core.frames import swing_twist
from robot_rl.core.types import Pose
from robot_rl.nodes.camera_driver import NodeClock
from robot_rl.nodes.convert import json_message
from robot_rl.nodes.crazyflie_convert import (
    CrazyflieStatus,
    flag_names,
    pose_in_world,
    twist_in_world,
    world_pose,
    world_twist,
)
from robot_rl.nodes.executor import Spinner, StopFlag, run
from robot_rl.nodes.fault_log import FaultLog
from robot_rl.nodes.params import Parameters
from robot_rl.nodes.qos import LATCHED, STREAM

STATUS_PERIOD = 0.1
"""Between two messages of `state` [s]."""
TURN = 0.005
"""Between two looks for a new state [s]."""


@dataclass(frozen=True)
class CrazyflieProcessSettings:
    """Settings of the Crazyflie's process."""

    device: CrazyflieConfig = field(default_factory=CrazyflieConfig)
    """The vehicle and its limits."""
    take_off_height: float = 0.5
    """Of the service `take_off` [m]."""
    flight_log: str = ""
    """CSV file for `robot-rl calibrate quadrotor`, written at the end; "" for none."""

    def __post_init__(self) -> None:
        if not 0.0 < self.take_off_height < math.inf:
            raise ConfigError(f"take_off_height must be more than 0 m, not {self.take_off_height}")


class CrazyflieNode(Node):
    """Topics and services around the driver."""

    def __init__(self) -> None:
        super().__init__("crazyflie")
        parameters = Parameters(self)
        self.settings = parameters.read(CrazyflieProcessSettings())
        parameters.check_all_known()
        self.vehicle = Crazyflie(self.settings.device, NodeClock(self))
        self.samples: list[FlightSample] = []
        if self.settings.flight_log:
            self.vehicle.record(self.samples.append)
        self._log = FaultLog(self, "the Crazyflie")
        self._setpoints = FaultLog(self, "a setpoint")
        self._stamp = 0
        self._status_at = 0.0
        self._pose = self.create_publisher(PoseStamped, "pose", STREAM)
        self._twist = self.create_publisher(TwistStamped, "twist", STREAM)
        self._status = self.create_publisher(String, "state", LATCHED)
        self.create_subscription(PoseStamped, "setpoint", self._on_setpoint, STREAM)
        self.create_subscription(TwistStamped, "setpoint/velocity", self._on_velocity, STREAM)
        self.create_subscription(PoseStamped, "external_pose", self._on_pose, STREAM)
        vehicle, height = self.vehicle, self.settings.take_off_height
        self.create_service(Trigger, "arm", answered(vehicle.arm))
        self.create_service(Trigger, "disarm", answered(vehicle.disarm))
        self.create_service(Trigger, "take_off", answered(lambda: vehicle.take_off(height)))
        self.create_service(Trigger, "land", answered(vehicle.land))
        self.create_service(Trigger, "hold", answered(vehicle.hold))
        self.create_service(Trigger, "safety/e_stop", answered(vehicle.emergency_stop))
        self.create_service(Trigger, "safety/clear_fault", answered(vehicle.clear_fault))

    def _on_setpoint(self, message: PoseStamped) -> None:
        def send() -> None:
            pose = pose_in_world(message)
            self.vehicle.send_position(pose.position, swing_twist(pose.quaternion)[1])

        self._obey(send)

    def _on_velocity(self, message: TwistStamped) -> None:
        def send() -> None:
            twist = twist_in_world(message)
            self.vehicle.send_velocity(twist[:3], float(twist[5]))

        self._obey(send)

    def _on_pose(self, message: PoseStamped) -> None:
        self._obey(lambda: self.vehicle.send_pose(pose_in_world(message)))

    def _obey(self, send: Callable[[], None]) -> None:
        try:
            send()
        except RobotRlError as error:
            self._setpoints.bad(error)
        else:
            self._setpoints.good()

    def look(self, now: float) -> None:
        """Publish what is new.

        Args:
            now: `time.monotonic()` [s].
        """
        fault = self.vehicle.fault
        if fault:
            self._log.bad(RobotRlError(fault))
        else:
            self._log.good()
        try:
            state = self.vehicle.state()
        except StaleStateError:
            pass  # nothing is published of a state that is old; the fault tells why
        else:
            if state.stamp > self._stamp:
                self._stamp = state.stamp
                self._pose.publish(world_pose(state.stamp, Pose(state.position, state.quaternion)))
                self._twist.publish(world_twist(state))
        if now >= self._status_at:
            self._status_at = now + STATUS_PERIOD
            self._status.publish(json_message(self._summary(fault)))

    def _summary(self, fault: str) -> CrazyflieStatus:
        try:
            health = self.vehicle.health
        except StaleStateError:
            return CrazyflieStatus(self._stamp, 0.0, "", math.inf, fault, self._setpoints.fault)
        return CrazyflieStatus(
            self._stamp,
            health.battery,
            flag_names(health.flags),
            health.deviation,
            fault,
            self._setpoints.fault,
        )

    def close(self) -> None:
        """Land if it flies, let go of the vehicle, and write the log of the flight."""
        self.vehicle.close()
        samples = self.samples
        if self.settings.flight_log:
            log = flight_log(
                [s.time for s in samples],
                [s.motors for s in samples],
                [s.lift for s in samples],
                [np.asarray(s.rates) for s in samples],
            )
            write_flight_log(log, Path(self.settings.flight_log))


def answered(action: Callable[[], None]) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
    """The callback of a service that does this, and answers why it could not."""

    def on_call(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            action()
        except RobotRlError as error:
            response.success, response.message = False, str(error)
        else:
            response.success = True
        return response

    return on_call


def body(stop: StopFlag) -> None:
    """Connect to the vehicle and serve it until the process is asked to end."""
    node = CrazyflieNode()
    spinner = Spinner(stop, node)
    due = time.monotonic()
    try:
        while True:
            spinner.spin_once(0.0)
            spinner.spin_until(due)
            now = time.monotonic()
            node.look(now)
            due = max(due, now) + TURN
    finally:
        try:
            node.close()
        except LogError as error:
            node.get_logger().error(f"no flight log is written: {error}")
        spinner.close()


def main() -> int:
    """Entry point."""
    return run("crazyflie", body)


if __name__ == "__main__":
    sys.exit(main())
