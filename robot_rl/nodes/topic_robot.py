"""The robot, its tracker, the person and the ground truth, as they look from the other side of the topics.

`RobotEnv` and `EpisodeRunner` run on these unchanged. In lockstep the state that answers a command is the one
whose tick says so, with all the inputs that its manifest names. On the real clock it is the newest complete
one at the next tick of the actor's own grid; when nothing new has come for too long, acting on it would be
acting blind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from robot_rl.core.clock import NANOSECONDS, Rate, nanoseconds
from robot_rl.core.errors import CodecError, RobotFaultError, RobotRlError, StaleStateError
from robot_rl.core.types import ArmCommand, ArmState, Episode, Mode, Pose, StampedPose, TeleopCommand
from robot_rl.data.json_messages import Intervention
from robot_rl.nodes.convert import (
    STATE_TYPES,
    arm_state,
    command_messages,
    json_from,
    json_message,
    nanoseconds_of,
    pose_from,
    teleop_command,
)
from robot_rl.nodes.executor import Spinner, collect_garbage
from robot_rl.nodes.inputs import TickInputs
from robot_rl.nodes.messages import EpisodeEvent, EpisodeRequest, SafetyState, Tick
from robot_rl.nodes.qos import STREAM

ROBOT = "the robot's process (robot_rl.nodes.arm_process)"
PERSON = "the intervention node (robot_rl.nodes.intervention)"


class StateInputs:
    """Subscribes to all that the robot's process publishes about one instant."""

    def __init__(self, node: Node, objects: tuple[str, ...]) -> None:
        self.objects = objects
        types = dict(STATE_TYPES)
        types |= {f"{name}/pose": PoseStamped for name in objects}
        types |= {f"truth/{name}": PoseStamped for name in objects}
        self.inputs = TickInputs(types)
        self.arrived_at = 0
        """Steady time at which the newest tick came [ns]."""
        self.fault = ""
        """The latched fault of the newest safety/state, complete tick or not."""
        self.unpermitted = False
        """As of that, the arm holds for want of a permit, without a fault."""
        self.problem: RobotRlError | None = None
        """What was wrong with a message; raised where the inputs are next asked for."""
        self._who: Callable[[str, int], str] = lambda topic, stamp: ROBOT
        for topic, kind in types.items():
            node.create_subscription(kind, topic, partial(self._on_state, topic), STREAM)
        node.create_subscription(String, "sync/tick", self._on_tick, STREAM)

    def expect(self, topics: Iterable[str], who: Callable[[str, int], str]) -> None:
        """Take part in the ticks for other peers too; whoever asks for it adds their messages to `inputs`.

        Args:
            topics: A tick whose manifest names these is complete when they are there.
            who: Names the peer that has not delivered a topic of the tick with this stamp [ns].
        """
        others = frozenset(topics)
        for topic in others:
            self.inputs.add_topic(topic)
        self._who = lambda topic, stamp: who(topic, stamp) if topic in others else ROBOT

    def _on_state(self, topic: str, message: Any) -> None:
        if topic == "safety/state":
            try:
                state = json_from(SafetyState, message)
            except CodecError as error:
                self.problem = error
                return
            self.fault = state.fault
            self.unpermitted = bool(state.advice) and not state.fault
            self.inputs.add(topic, state.stamp, message)
        else:
            self.inputs.add(topic, nanoseconds_of(message.header.stamp), message)

    def _on_tick(self, message: String) -> None:
        try:
            self.inputs.add_tick(json_from(Tick, message))
            self.arrived_at = time.monotonic_ns()
        except CodecError as error:
            self.problem = error

    def newest(self) -> Tick | None:
        """The newest complete tick."""
        if self.problem is not None:
            problem, self.problem = self.problem, None
            raise problem
        return self.inputs.newest_complete()

    def describe_missing(self) -> str:
        """Names what is missing, for an error message."""
        tick = self.inputs.newest()
        missing = self.inputs.missing(tick) if tick is not None else []
        if tick is not None and missing:
            who = self._who(missing[0], tick.stamp)
            late = ", ".join(topic for topic in missing if self._who(topic, tick.stamp) == who)
            return f"{late} of tick {tick.stamp} ns from {who}"
        return f"sync/tick from {ROBOT}"

    def state(self, messages: Mapping[str, Any]) -> ArmState:
        """The arm's state in a complete tick's messages."""
        return arm_state(messages)

    def measured(self, messages: Mapping[str, Any]) -> dict[str, StampedPose]:
        """The tracked objects' measured poses."""
        return {
            name: pose_from(messages[f"{name}/pose"]) for name in self.objects if f"{name}/pose" in messages
        }

    def truth(self, messages: Mapping[str, Any]) -> dict[str, Pose]:
        """The objects' true poses."""
        return {
            name: pose_from(messages[f"truth/{name}"]).pose
            for name in self.objects
            if f"truth/{name}" in messages
        }


class TopicRobot:
    """The `Robot` behind the topics; the classes below share its present tick."""

    def __init__(
        self,
        node: Node,
        spinner: Spinner,
        objects: tuple[str, ...],
        name: str,
        timeout: float,
        rate: Rate | None = None,
        max_state_age: float = 0.2,
    ) -> None:
        """Connect to the robot's process.

        Args:
            node: Owns the publishers and subscriptions.
            spinner: Spins the node.
            objects: Tracked objects.
            name: Prefix of reset requests, unique for each start of this process.
            timeout: Silence of a peer that ends in an error [s].
            rate: The grid of control ticks on the real clock; None in lockstep.
            max_state_age: On the real clock, age of the newest state that is too old to act on [s].
        """
        self.node = node
        self.spinner = spinner
        self.sensors = StateInputs(node, objects)
        self.timeout = timeout
        self.rate = rate
        self.max_state_age = max_state_age
        self.messages: Mapping[str, Any] = {}
        """The inputs of the present tick."""
        self.stamp = 0
        """Time of the present tick [ns]."""
        self._latencies: list[int] = []
        self._tick_at = 0
        self.before_wait: Callable[[], None] = lambda: None
        """Called before each wait, to send what is due."""
        self._name = name
        self._requests = 0
        self._request = EpisodeRequest("", 0, 0, "eval")
        self._target = node.create_publisher(PoseStamped, "arm/target_pose", STREAM)
        self._gripper = node.create_publisher(JointState, "gripper/command", STREAM)
        self._request_publisher = node.create_publisher(String, "episode/command", STREAM)
        self.events = node.create_publisher(String, "episode/event", STREAM)

    def reset(self, episode: Episode) -> ArmState:
        self._requests += 1
        self._request = EpisodeRequest(
            f"{self._name}/{self._requests}", episode.index, episode.seed, episode.mode.value
        )
        message = json_message(self._request)
        self._tick_at = 0

        def send() -> None:
            self._request_publisher.publish(message)

        def begins_or_waits() -> bool:
            return self._begins() or self.sensors.unpermitted

        send()
        while not self._begins():
            self._wait(begins_or_waits, self.sensors.describe_missing, send)
            while self.sensors.unpermitted:  # it takes the request once it is permitted, or has a fault
                self.spinner.spin_once()
        state = self._take()
        begin = EpisodeEvent(state.stamp, "begin", episode.index, episode.seed, episode.mode.value)
        self.events.publish(json_message(begin))
        if self.rate is not None:
            collect_garbage()
            self.rate.next_tick = self.rate.clock.now() + self.rate.period
        return state

    def step(self, command: ArmCommand) -> ArmState:
        target, gripper = command_messages(command)

        def send() -> None:
            self._target.publish(target)
            self._gripper.publish(gripper)

        send()
        if self._tick_at:
            self._latencies.append(time.monotonic_ns() - self._tick_at)
            self._tick_at = 0
        if self.rate is None:
            self._wait(lambda: self._answers(command.stamp), self.sensors.describe_missing, send)
        else:
            self._sleep(self.rate)
        return self._take()

    @property
    def request(self) -> str:
        """Identity of the newest reset request; "" before the first."""
        return self._request.request

    def close(self) -> None:
        """Nothing to release: the node belongs to the process."""

    def _begins(self) -> bool:
        tick = self.sensors.newest()
        return tick is not None and tick.request == self._request.request

    def _answers(self, stamp: int) -> bool:
        tick = self.sensors.newest()
        return tick is not None and tick.answers == stamp and tick.request == self._request.request

    def _take(self) -> ArmState:
        tick = self.sensors.newest()
        assert tick is not None
        self.messages = self.sensors.inputs.take(tick)
        state = self.sensors.state(self.messages)
        self.stamp = state.stamp
        if state.fault:
            raise RobotFaultError(state.fault)
        return state

    def _wait(self, ready: Callable[[], bool], missing: Callable[[], str], retry: Callable[[], None]) -> None:
        self.before_wait()
        self.spinner.wait(ready, missing, self.timeout, retry)

    def _sleep(self, rate: Rate) -> None:
        """Spin until the next control tick, and refuse to act on old news."""
        self.before_wait()
        self.spinner.spin_until(rate.next_tick / NANOSECONDS)
        self._tick_at = rate.next_tick
        rate.sleep()
        age = time.monotonic_ns() - self.sensors.arrived_at
        if age > nanoseconds(self.max_state_age) or self.sensors.newest() is None:
            raise StaleStateError(
                f"no new state from {ROBOT} for {age / NANOSECONDS:.2f} s "
                f"(at most {self.max_state_age:.2f} s): no command is sent, and the arm holds"
            )

    def timing(self, newest: int = 0) -> dict[str, float]:
        """How punctual the control ticks on the real clock were.

        `latency` is the time from a tick of the grid to the command that answers it [ms].

        Args:
            newest: Of the so many newest commands; 0 for all.
        """
        latencies = np.array(self._latencies[-newest:], dtype=float) / 1e6
        late = self.rate.late_ticks if self.rate is not None else 0
        figures = {"ticks": float(len(latencies)), "late_ticks": float(late)}
        if len(latencies):
            p50, p99 = np.percentile(latencies, [50, 99])
            figures |= {"latency_p50_ms": p50, "latency_p99_ms": p99, "latency_max_ms": latencies.max()}
        return {name: round(float(value), 3) for name, value in figures.items()}

    def wait_for_fault_to_clear(self) -> str:
        """Spin until the robot reports no fault, however long it takes: a person has to see to it.

        Returns:
            The fault that it reported last, "" for none.
        """
        last = ""
        while fault := self.sensors.fault:
            last = fault
            self.spinner.spin_once()
        return last


class TopicTracker:
    """The `Tracker` behind the topics: the measurements of the robot's present tick."""

    def __init__(self, robot: TopicRobot) -> None:
        self.robot = robot

    def read(self) -> Mapping[str, StampedPose]:
        return self.robot.sensors.measured(self.robot.messages)


class TopicTruth:
    """The `GroundTruth` of a simulator behind the topics."""

    def __init__(self, robot: TopicRobot) -> None:
        self.robot = robot

    def truth(self) -> Mapping[str, Pose]:
        return self.robot.sensors.truth(self.robot.messages)


class TopicTeleop:
    """The scripted person behind the topics: what the intervention node says about a tick.

    In lockstep her answer to the very tick is waited for. On the real clock the newest one of the episode
    counts, as long as it is not older than `max_age` [s]. Without one the policy is in control, but in a
    demonstration or while she labels, which is hers throughout, she is taken to hold still. An operator with
    devices is `robot_rl.nodes.topic_operator.TopicOperator`.
    """

    def __init__(self, robot: TopicRobot, max_age: float = 0.3) -> None:
        self.robot = robot
        self.max_age = max_age
        self._twists: dict[int, TwistStamped] = {}
        self._events: dict[int, Intervention] = {}
        self._problem: CodecError | None = None
        self._arrived_at = 0
        self._demonstrates = False
        node = robot.node
        node.create_subscription(TwistStamped, "intervention/twist", self._on_twist, STREAM)
        node.create_subscription(String, "intervention/event", self._on_event, STREAM)

    def reset(self, episode: Episode, state: ArmState) -> None:
        """Forget what she wanted in the episode before; the intervention node sees the same reset."""
        self._demonstrates = episode.mode in (Mode.DEMO, Mode.LABEL)
        self._forget(state.stamp)

    def read(self, state: ArmState) -> TeleopCommand:
        if self.robot.rate is None:
            self.robot.spinner.wait(lambda: self._complete(state.stamp), self._missing, self.robot.timeout)
            stamp = state.stamp
        else:
            stamp = max(self._events.keys() & self._twists.keys(), default=-1)
            age = time.monotonic_ns() - self._arrived_at
            if stamp < 0 or age > nanoseconds(self.max_age):
                return TeleopCommand(state.stamp, active=self._demonstrates, twist=np.zeros(6))
        command = teleop_command(self._twists[stamp], self._events[stamp])
        self._forget(stamp)
        return command

    def _complete(self, stamp: int) -> bool:
        if self._problem is not None:
            problem, self._problem = self._problem, None
            raise problem
        return stamp in self._twists and stamp in self._events

    def _missing(self) -> str:
        return f"intervention/twist and intervention/event from {PERSON}"

    def _on_twist(self, message: TwistStamped) -> None:
        self._twists[nanoseconds_of(message.header.stamp)] = message

    def _on_event(self, message: String) -> None:
        try:
            event = json_from(Intervention, message)
        except CodecError as error:
            self._problem = error
            return
        self._events[event.stamp] = event
        self._arrived_at = time.monotonic_ns()

    def _forget(self, stamp: int) -> None:
        """Drop what is older than `stamp`; the answer itself may be asked for again."""
        self._twists = {k: v for k, v in self._twists.items() if k >= stamp}
        self._events = {k: v for k, v in self._events.items() if k >= stamp}
