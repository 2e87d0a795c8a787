"""What the actor does while the robot is held: say why, and wait until it is mended."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.node import Node
from std_srvs.srv import Trigger

from robot_rl.control.safety import EMERGENCY_STOP
from robot_rl.core.errors import RobotFaultError, RobotRlError, StaleStateError
from robot_rl.nodes.announcer import Announcer
from robot_rl.nodes.session_desk import SessionDesk
from robot_rl.nodes.topic_robot import TopicRobot

RECOVERY_PERIOD = 0.5
"""Time between two requests to the simulator to recover the arm [s]."""


class Standstill:
    """Gets a session through faults, and through times without news."""

    def __init__(
        self,
        node: Node,
        robot: TopicRobot,
        desk: SessionDesk,
        announcer: Announcer,
        recover: bool,
        timeout: float,
    ) -> None:
        """Stand by.

        Args:
            node: The actor's.
            robot: Says whether there is a fault, and how old its state is.
            desk: Is told that the robot is held.
            announcer: Tells the others.
            recover: Ask the simulator to stand in for the person who clears faults.
            timeout: Silence of the simulator that ends in an error [s].
        """
        self._node = node
        self._robot = robot
        self._desk = desk
        self._announcer = announcer
        self._recover = recover
        self._timeout = timeout
        self._service = node.create_client(Trigger, "plant/recover")

    def until_cleared(self, fault: RobotFaultError) -> None:
        """Get the robot going again after a fault, by the simulator's stand-in or by a person.

        Clearing an emergency stop moves nothing by itself (ISO 13850): an operator starts anew.
        """
        self._begin(str(fault))
        if self._recover and not fault.reason.startswith(EMERGENCY_STOP):
            self._ask_simulator(fault)
        last = self._robot.wait_for_fault_to_clear() or fault.reason
        if last.startswith(EMERGENCY_STOP):
            self._desk.halt("the emergency stop was cleared")
        self._end()

    def until_fresh(self, error: StaleStateError, fresh: Callable[[], bool]) -> None:
        """Wait for a new state of the robot, and until `fresh()` says the same of all else."""
        self._begin(str(error))
        before = self._robot.sensors.arrived_at
        while self._robot.sensors.arrived_at == before or not fresh():
            self._robot.spinner.spin_once()
        self._end()

    def _ask_simulator(self, fault: RobotFaultError) -> None:
        spinner = self._robot.spinner
        if not self._service.wait_for_service(timeout_sec=5.0):
            raise RobotRlError(
                f"{fault} There is no service plant/recover: set the parameter recover to false"
            )
        while self._robot.sensors.fault:
            answer = self._service.call_async(Trigger.Request())
            spinner.wait(answer.done, lambda: "the service plant/recover", self._timeout)
            if (response := answer.result()) is not None and response.success:
                return
            # A process that the arm needs is not back yet, or somebody pressed the stop meanwhile.
            spinner.spin_until(time.monotonic() + RECOVERY_PERIOD)

    def _begin(self, reason: str) -> None:
        self._node.get_logger().error(reason)
        self._desk.held = reason
        self._announcer.tell()

    def _end(self) -> None:
        self._desk.held = ""
        self._announcer.tell()
