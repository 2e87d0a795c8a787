"""The node of the person: says at every tick who is in control, and what the person wants.

Run as `python -m robot_rl.nodes.intervention`. A scripted person answers every tick; an operator with
devices in her hands (`robot_rl.nodes.operator_stream`) is asked all the time. The scripted one sees the
simulator's truth, as a person in the room sees the scene; no other node but the evaluation reads it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from std_msgs.msg import String

from drivers.teleop.settings import TeleopConfig
from robot_rl import tasks
from robot_rl.core.clock import NANOSECONDS, Rate, SteadyClock
from robot_rl.core.protocols import Teleop
from robot_rl.core.types import Mode, Pose, TeleopCommand
from robot_rl.data.json_messages import POLICY, ControlChange
from robot_rl.nodes.convert import json_message, teleop_messages
from robot_rl.nodes.executor import Spinner, StopFlag, collect_garbage_only_when_told, run
from robot_rl.nodes.messages import Tick
from robot_rl.nodes.params import Parameters
from robot_rl.nodes.qos import LATCHED, STREAM
from robot_rl.nodes.topic_robot import StateInputs
from robot_rl.tasks.arm import ArmTaskConfig


@dataclass(frozen=True)
class InterventionSettings:
    """Settings of the intervention node beside the task's own."""

    task: str = "franka_pick_cube"
    """Name of the task."""
    clock: Literal["lockstep", "realtime"] = "lockstep"
    """Whether every tick is answered, or the newest one at the control rate."""
    person: Literal["scripted", "operator"] = "scripted"
    """Who acts: a scripted person, or an operator at the devices of the task's settings."""


class TickTruth:
    """The `GroundTruth` of the tick that is being answered."""

    def __init__(self) -> None:
        self.poses: Mapping[str, Pose] = {}

    def truth(self) -> Mapping[str, Pose]:
        return self.poses


class PersonAtTicks:
    """Asks a person once at each tick, and resets her when a new episode begins."""

    def __init__(self, node: Node, sensors: StateInputs, person: Teleop, truth: TickTruth) -> None:
        self._sensors = sensors
        self._person = person
        self._truth = truth
        self._twist = node.create_publisher(TwistStamped, "intervention/twist", STREAM)
        self._event = node.create_publisher(String, "intervention/event", STREAM)
        self._control = node.create_publisher(String, "intervention/control", LATCHED)
        self._who = POLICY
        self._request: str | None = None
        self._stamp = -1
        self._answer: tuple[TwistStamped, String] | None = None

    def see(self, tick: Tick) -> None:
        """Answer a tick. One that comes again is given the same answer: a peer may have missed it."""
        if not tick.request or tick.episode.mode is Mode.EVAL:
            self._announce(tick.stamp, POLICY)
            return
        if tick.stamp != self._stamp or tick.request != self._request or self._answer is None:
            command = self._ask(tick, self._sensors.inputs.take(tick))
            self._announce(command.stamp, command.who or POLICY)
            self._answer = teleop_messages(command)
            self._stamp = tick.stamp
        twist, event = self._answer
        self._twist.publish(twist)
        self._event.publish(event)

    def _announce(self, stamp: int, who: str) -> None:
        """Tell who is in control, when it is another than before."""
        if who != self._who:
            self._control.publish(json_message(ControlChange(stamp, who, self._who)))
            self._who = who

    def _ask(self, tick: Tick, messages: Mapping[str, Any]) -> TeleopCommand:
        state = self._sensors.state(messages)
        self._truth.poses = self._sensors.truth(messages)
        if tick.request != self._request:
            self._request = tick.request
            self._person.reset(tick.episode, state)
        return self._person.read(state)


def run_lockstep(spinner: Spinner, sensors: StateInputs, person: PersonAtTicks) -> None:
    """Answer every tick as soon as its inputs are there, for ever."""
    seen: Tick | None = None
    while True:
        spinner.spin_once()
        tick = sensors.newest()
        if tick is not None and tick is not seen:
            seen = tick
            person.see(tick)


def run_realtime(spinner: Spinner, sensors: StateInputs, person: PersonAtTicks, control_rate: float) -> None:
    """Answer the newest tick at the control rate, for ever."""
    rate = Rate(SteadyClock(), control_rate)
    seen: Tick | None = None
    while True:
        spinner.spin_until(rate.next_tick / NANOSECONDS)
        rate.sleep()
        tick = sensors.newest()
        if tick is not None and tick is not seen:
            seen = tick
            person.see(tick)


def work_for_operator(node: Node, spinner: Spinner, config: TeleopConfig) -> None:
    """Say what the operator wants at her devices, for ever."""
    from robot_rl.nodes.operator_stream import OperatorStream  # its drivers are not needed by a script

    # Where the objects are she sees for herself.
    stream = OperatorStream(node, StateInputs(node, ()), config)
    collect_garbage_only_when_told()
    try:
        stream.work(spinner)
    finally:
        stream.close()


def work_for_script(node: Node, spinner: Spinner, config: ArmTaskConfig, clock: str) -> None:
    """Say what the scripted person wants, for ever."""
    sensors, truth = StateInputs(node, config.objects), TickTruth()
    person = PersonAtTicks(node, sensors, config.person_for(truth), truth)
    if clock == "lockstep":
        run_lockstep(spinner, sensors, person)
    else:
        run_realtime(spinner, sensors, person, config.control_rate)


def body(stop: StopFlag) -> None:
    """Make the node and run it until the process is asked to end."""
    node = Node("intervention")
    parameters = Parameters(node)
    settings = parameters.read(InterventionSettings())
    config = parameters.read(tasks.load(settings.task))
    parameters.check_all_known()
    spinner = Spinner(stop, node)
    try:
        if settings.person == "operator":
            work_for_operator(node, spinner, config.teleop)
        else:
            work_for_script(node, spinner, config, settings.clock)
    finally:
        spinner.close()


def main() -> int:
    """Entry point."""
    return run("intervention", body)


if __name__ == "__main__":
    sys.exit(main())
