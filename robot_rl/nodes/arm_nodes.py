"""The nodes of the robot's process: what each publishes, subscribes to and serves.

They share one process and one executor, because the impedance loop never crosses a topic
(`robot_rl.nodes.arm_process`). None of them decides anything: they hand out what the arm reports and keep the
newest of what they are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from robot_rl.control.safety import EMERGENCY_STOP
from robot_rl.core.errors import CodecError
from robot_rl.core.types import ArmCommand, Pose, StampedPose
from robot_rl.nodes.convert import (
    STATE_TYPES,
    arm_command,
    json_from,
    pose_message,
    time_message,
)
from robot_rl.nodes.messages import EpisodeRequest, Permit
from robot_rl.nodes.messages import mode as check_mode
from robot_rl.nodes.qos import STREAM
from robot_rl.nodes.triggers import answered

LONGEST_REASON = 200
"""What is kept of the reason of an emergency stop [characters]."""


def state_publishers(node: Node, topics: Iterable[str]) -> dict[str, Publisher]:
    """A publisher for each of these topics of the arm's state."""
    return {topic: node.create_publisher(STATE_TYPES[topic], topic, STREAM) for topic in topics}


class RobotDriver(Node):
    """Joints, TCP, wrench and gripper; reset requests; the tick that ends each control period."""

    TOPICS = ("joint_states", "arm/pose", "arm/twist", "arm/wrench", "gripper/state")

    def __init__(self) -> None:
        super().__init__("robot_driver")
        self.state = state_publishers(self, self.TOPICS)
        self.tick = self.create_publisher(String, "sync/tick", STREAM)
        self.gripper: JointState | None = None
        """The newest gripper command."""
        self.request: EpisodeRequest | None = None
        """The newest reset request."""
        self.create_subscription(JointState, "gripper/command", self._on_gripper, STREAM)
        self.create_subscription(String, "episode/command", self._on_request, STREAM)

    def _on_gripper(self, message: JointState) -> None:
        self.gripper = message

    def _on_request(self, message: String) -> None:
        try:
            request = json_from(EpisodeRequest, message)
            check_mode(request.mode)
            self.request = request
        except CodecError as error:
            self.get_logger().error(f"episode/command ignored: {error}")


class ImpedanceController(Node):
    """Takes the target pose and says which one the controller holds after the safety limits."""

    TOPICS = ("arm/controller_state",)

    def __init__(self) -> None:
        super().__init__("impedance_controller")
        self.state = state_publishers(self, self.TOPICS)
        self.target: PoseStamped | None = None
        """The newest target."""
        self.create_subscription(PoseStamped, "arm/target_pose", self._on_target, STREAM)

    def _on_target(self, message: PoseStamped) -> None:
        self.target = message

    def command(self, gripper: JointState | None) -> ArmCommand | None:
        """The newest command, once both of its halves are there; each command is given out once."""
        target = self.target
        if target is None or gripper is None or target.header.stamp != gripper.header.stamp:
            return None
        self.target = None
        try:
            return arm_command(target, gripper)
        except CodecError as error:
            self.get_logger().error(f"gripper/command ignored, the arm holds: {error}")
            return None


class SafetySupervisorNode(Node):
    """The latched fault, on a topic and behind two services; the stop as a topic too; and the permit."""

    TOPICS = ("safety/state",)

    def __init__(
        self,
        e_stop: Callable[[str], None],
        clear_fault: Callable[[], None],
        permit: Callable[[Permit], None] | None = None,
    ) -> None:
        """Serve the safety limits of an arm.

        Args:
            e_stop: Latches a fault for the reason that it is given.
            clear_fault: Gives control back, or raises `RobotFaultError` when the cause is still there.
            permit: Takes the permits of the safety process; None where none is asked for.
        """
        super().__init__("safety_supervisor")
        self.state = state_publishers(self, self.TOPICS)
        self._e_stop = e_stop
        self.changed = False
        """Somebody stopped the arm, or cleared a fault, since this was last set to False."""
        self.create_service(Trigger, "safety/e_stop", self._on_e_stop)
        self.create_service(Trigger, "safety/clear_fault", answered(clear_fault, self._mark))
        self.create_subscription(String, "safety/e_stop_request", self._on_e_stop_request, STREAM)
        if permit is not None:
            self._permit = permit
            self.create_subscription(String, "safety/permit", self._on_permit, STREAM)

    def _on_permit(self, message: String) -> None:
        try:
            self._permit(json_from(Permit, message))
        except CodecError as error:
            # Not one that counts: after some of them the arm holds.
            self.get_logger().error(f"safety/permit ignored: {error}", throttle_duration_sec=5.0)

    def _on_e_stop_request(self, message: String) -> None:
        # Whatever the text is, it is a stop.
        why = " ".join(message.data.split())[:LONGEST_REASON]
        self._e_stop(f"{EMERGENCY_STOP} ({why or 'topic safety/e_stop_request'})")
        self.changed = True

    def _on_e_stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._e_stop(f"{EMERGENCY_STOP} (service safety/e_stop)")
        self.changed = True
        response.success = True
        response.message = "the arm holds; call safety/clear_fault to go on"
        return response

    def _mark(self) -> None:
        self.changed = True


class PlantNode(Node):
    """What a simulator has beside a robot's driver: the clock, the marker tracker and the truth.

    Its service `plant/recover` stands for the person who, after a fault, guides the arm home and clears it.
    It is refused after an emergency stop, which a real person has to clear, and without a permit.
    """

    def __init__(self, objects: Iterable[str], recover: Callable[[], None]) -> None:
        super().__init__("plant")
        self.changed = False
        """The service was called since this was last set to False."""
        self.create_service(Trigger, "plant/recover", answered(recover, self._mark))
        self._clock_publisher = self.create_publisher(Clock, "/clock", STREAM)
        self._measured = {n: self.create_publisher(PoseStamped, f"{n}/pose", STREAM) for n in objects}
        self._true = {n: self.create_publisher(PoseStamped, f"truth/{n}", STREAM) for n in objects}

    def _mark(self) -> None:
        self.changed = True

    def messages(
        self, stamp: int, measured: Mapping[str, StampedPose], truth: Mapping[str, Pose]
    ) -> list[tuple[str, Publisher, Any]]:
        """Topic, publisher and message of the clock, of each measured pose and of each true one."""
        rows: list[tuple[str, Publisher, Any]] = [
            ("/clock", self._clock_publisher, Clock(clock=time_message(stamp)))
        ]
        rows += [(f"{n}/pose", self._measured[n], pose_message(p)) for n, p in measured.items()]
        rows += [(f"truth/{n}", self._true[n], pose_message(StampedPose(stamp, p))) for n, p in truth.items()]
        return rows
