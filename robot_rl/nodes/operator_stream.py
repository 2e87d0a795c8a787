"""What the operator wants, a hundred times a second while she acts, from the devices in her hands.

Between two states of the arm time goes on: each message has a stamp of its own, that of the newest state and
the time since it came. What comes from the console is answered at once, so that a key that is pressed waits
for the control tick and for nothing else.
"""

from __future__ import annotations

import time
from dataclasses import replace

from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from std_msgs.msg import String

from drivers.teleop.leader import LeaderArm
from drivers.teleop.opening import open_device
from drivers.teleop.person import POLICY, Change, DevicePerson
from drivers.teleop.settings import TeleopConfig
from robot_rl.core.clock import nanoseconds
from robot_rl.core.protocols import InputDevice
from robot_rl.core.types import ArmState
from robot_rl.data.json_messages import ControlChange
from robot_rl.nodes.convert import json_message, teleop_messages
from robot_rl.nodes.device_commands import DeviceCommands
from robot_rl.nodes.executor import Spinner, collect_garbage
from robot_rl.nodes.messages import Tick
from robot_rl.nodes.operator_device import ConsoleDevice, LeaderTopics
from robot_rl.nodes.qos import LATCHED, STREAM
from robot_rl.nodes.topic_robot import StateInputs

PERIOD = 0.01
"""Between two reads of the devices, at most [s]."""

PAUSE = 0.004
"""Between two reads, at least [s]: time to take in all that has come. To answer each message of a queue would
keep the queue from ever ending."""

NOTHING_NEW = 0.03
"""While the policy is in control, and stays so, that is said again after this long [s]."""


class Stamps:
    """Stamps between those of the states: each one is later than the last."""

    def __init__(self) -> None:
        self._state = self._came_at = 0
        self._last = -1

    def state(self, stamp: int, now: int) -> None:
        """A state has come. One that is older than the last is of a robot that was started again."""
        if stamp < self._state:
            self._last = -1
        self._state, self._came_at = stamp, now

    def next(self, now: int) -> int:
        """The stamp of what is said now [ns]."""
        self._last = max(self._state + now - self._came_at, self._last + 1)
        return self._last


class OperatorStream:
    """Publishes what an operator wants, and who is in control."""

    def __init__(self, node: Node, sensors: StateInputs, config: TeleopConfig) -> None:
        """Open the devices.

        Args:
            node: Owns publishers and subscriptions.
            sensors: The state of the arm.
            config: Names the devices.
        """
        self._node = node
        self._sensors = sensors
        self._twist = node.create_publisher(TwistStamped, "intervention/twist", STREAM)
        self._event = node.create_publisher(String, "intervention/event", STREAM)
        self._control = node.create_publisher(String, "intervention/control", LATCHED)
        self._e_stop_request = node.create_publisher(String, "safety/e_stop_request", STREAM)
        self._stamps = Stamps()
        self._stamp = 0
        self._tick: Tick | None = None
        self._request = ""
        self._state: ArmState | None = None
        self._heard = False
        self._said = (False, "")
        """Whether she acted, and her verdict, as it was last published."""
        self._said_at = 0
        self.person = DevicePerson(
            {name: self._open(name, config) for name in config.devices},
            config,
            on_e_stop=self._e_stop,
            on_change=self._on_change,
            on_notice=self._notice,
            on_press=DeviceCommands(node).press,
        )
        self._on_change(Change(POLICY, POLICY, ""))

    def _open(self, name: str, config: TeleopConfig) -> InputDevice:
        if name == "console":
            return ConsoleDevice(self._node, self._on_input, self._e_stop)
        if name == "leader":
            return LeaderArm(LeaderTopics(self._node), config)
        return open_device(name, config.dead_man)

    def answer(self) -> None:
        """Read the devices and say what she wants now."""
        self._heard = False
        tick, now, request = self._sensors.newest(), time.monotonic_ns(), self._request
        if tick is not None and tick is not self._tick:
            self._take(tick, now)
        if self._state is None:
            self.person.poll()
            return
        self._stamp = self._stamps.next(now)
        command = replace(self.person.read(self._state), stamp=self._stamp)
        begins = self._request != request
        says = (command.active, command.outcome)
        if begins or command.active or says != self._said or now - self._said_at > nanoseconds(NOTHING_NEW):
            self._said, self._said_at = says, now
            twist, event = teleop_messages(command, self._request)
            self._twist.publish(twist)
            self._event.publish(event)
        if begins:
            collect_garbage()

    def _take(self, tick: Tick, now: int) -> None:
        self._tick = tick
        self._state = state = self._sensors.state(self._sensors.inputs.take(tick))
        self._stamps.state(state.stamp, now)
        if tick.request and tick.request != self._request:
            self._request = tick.request
            self._stamp = state.stamp
            self.person.reset(tick.episode, state)

    def work(self, spinner: Spinner) -> None:
        """Answer what the console sends at once, and the other devices at their period, for ever."""
        while True:
            answered = time.monotonic()
            while (left := answered + (PAUSE if self._heard else PERIOD) - time.monotonic()) > 0:
                spinner.spin_once(left)
            self.answer()

    def _on_input(self) -> None:
        self._heard = True

    def _e_stop(self, reason: str) -> None:
        self._e_stop_request.publish(String(data=reason))
        self._node.get_logger().error(f"emergency stop: {reason}")

    def _on_change(self, change: Change) -> None:
        self._control.publish(json_message(ControlChange(self._stamp, *change)))
        if change.reason:
            self._node.get_logger().info(f"in control: {change.who} ({change.reason})")

    def _notice(self, text: str) -> None:
        self._node.get_logger().warning(text)

    def close(self) -> None:
        """Let go of the devices."""
        self.person.close()
