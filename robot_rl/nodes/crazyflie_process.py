"""The Crazyflie's process: its driver, with its limits and faults, behind topics and services.

It publishes `pose`, `twist` and `state`, and obeys `setpoint` (a pose, of which position and yaw count) and
`setpoint/velocity` (a twist, of which the linear part and the yaw rate count), both in the frame `world`.
`external_pose`, from a motion capture system, is handed on to the vehicle. Services: `arm`, `disarm`,
`take_off`, `land`, `hold`, `safety/e_stop`, `safety/clear_fault`. The emergency stop does not wait for any of
the others, which take turns, nor for setpoints, of which the newest is sent. A stream of setpoints that
pauses is ended by the driver, which then holds the place.

Run as `python -m robot_rl.nodes.crazyflie_process --ros-args -p device.uri:=radio://0/80/2M/E7E7E7E7E7`.
"""

from __future__ import annotations

import math
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.executors import Executor
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

from calibration.flight_log import FlightLogWriter
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
from robot_rl.nodes.newest_action import NewestAction
from robot_rl.nodes.params import Parameters
from robot_rl.nodes.qos import LATCHED, STREAM
from robot_rl.nodes.triggers import OneByOne, answered

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
    """New CSV file for `robot-rl calibrate quadrotor`, written as it flies; "" for none."""

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
        path = self.settings.flight_log
        self._flight = FlightLogWriter(Path(path)) if path else None
        self.vehicle = Crazyflie(self.settings.device, NodeClock(self))
        self._samples: queue.SimpleQueue[FlightSample] = queue.SimpleQueue()
        if self._flight is not None:
            self.vehicle.record(self._samples.put)
        volts = self.vehicle.health.battery
        self.get_logger().info(f"connected to {self.settings.device.uri}; the battery has {volts:.2f} V")
        self._log = FaultLog(self, "the Crazyflie")
        self._setpoints = FaultLog(self, "a setpoint")
        self._sender = NewestAction("sending setpoints")
        self._stamp = 0
        self._status_at = 0.0
        self._pose = self.create_publisher(PoseStamped, "pose", STREAM)
        self._twist = self.create_publisher(TwistStamped, "twist", STREAM)
        self._status = self.create_publisher(String, "state", LATCHED)
        self.create_subscription(PoseStamped, "setpoint", self._on_setpoint, STREAM)
        self.create_subscription(TwistStamped, "setpoint/velocity", self._on_velocity, STREAM)
        self.create_subscription(PoseStamped, "external_pose", self._on_pose, STREAM)
        self.create_service(Trigger, "safety/e_stop", answered(self.vehicle.emergency_stop))

    def serve(self, one_by_one: OneByOne) -> None:
        """Offer the services that wait for the vehicle's answers."""
        vehicle, height = self.vehicle, self.settings.take_off_height
        in_turn = one_by_one.answered
        self.create_service(Trigger, "arm", in_turn(vehicle.arm))
        self.create_service(Trigger, "disarm", in_turn(vehicle.disarm))
        self.create_service(Trigger, "take_off", in_turn(lambda: vehicle.take_off(height)))
        self.create_service(Trigger, "land", in_turn(vehicle.land))
        self.create_service(Trigger, "hold", in_turn(vehicle.hold))
        self.create_service(Trigger, "safety/clear_fault", in_turn(vehicle.clear_fault))

    def _on_setpoint(self, message: PoseStamped) -> None:
        def send() -> None:
            pose = pose_in_world(message)
            self.vehicle.send_position(pose.position, swing_twist(pose.quaternion)[1])

        self._sender.put("setpoint", lambda: self._obey(send))

    def _on_velocity(self, message: TwistStamped) -> None:
        def send() -> None:
            twist = twist_in_world(message)
            self.vehicle.send_velocity(twist[:3], float(twist[5]))

        self._sender.put("setpoint", lambda: self._obey(send))

    def _on_pose(self, message: PoseStamped) -> None:
        def send() -> None:
            self.vehicle.send_pose(pose_in_world(message))

        self._sender.put("pose", lambda: self._obey(send))

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
        self._sender.check()
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
            if state.stamp != self._stamp:
                self._stamp = state.stamp
                self._pose.publish(world_pose(state.stamp, Pose(state.position, state.quaternion)))
                self._twist.publish(world_twist(state))
        if now >= self._status_at:
            self._status_at = now + STATUS_PERIOD
            self._status.publish(json_message(self._summary(fault)))
            self._write_flight()

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

    def _write_flight(self) -> None:
        if self._flight is None:
            return
        samples = [self._samples.get() for _ in range(self._samples.qsize())]
        try:
            self._flight.add([(s.time, *s.motors, s.lift, *s.rates, s.battery) for s in samples])
        except LogError as error:
            self._flight = None
            self.get_logger().error(f"the flight log ends here: {error}")

    def close(self, executor: Executor) -> None:
        """Land if it flies, let go of the vehicle, and write the end of the flight's log.

        Args:
            executor: It goes on meanwhile: an emergency stop is heard, and poses from outside are handed on.
        """
        if self.vehicle.is_flying and not self.vehicle.fault:
            self.get_logger().info("it lands before this process ends")
        landing = threading.Thread(target=self.vehicle.close, name="landing")
        landing.start()
        while landing.is_alive():
            executor.spin_once(timeout_sec=TURN)
        self._write_flight()
        if self._flight is not None:
            self._flight.close()


def body(stop: StopFlag) -> None:
    """Connect to the vehicle and serve it until the process is asked to end."""
    node = CrazyflieNode()
    spinner = Spinner(stop, node)
    node.serve(OneByOne(spinner.executor))
    try:
        for now in spinner.turns(TURN):
            node.look(now)
    finally:
        node.close(spinner.executor)
        spinner.close()


def main() -> int:
    """Entry point."""
    return run("crazyflie", body)


if __name__ == "__main__":
    sys.exit(main())
