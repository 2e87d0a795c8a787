"""The operator as the actor meets her, and her page as a device: what they say, and that they fall silent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import String

from robot_rl.core.clock import nanoseconds
from robot_rl.core.errors import DeviceError, StaleStateError
from robot_rl.core.types import Episode, Mode, TeleopCommand
from robot_rl.nodes import convert
from robot_rl.nodes.executor import Spinner, StopFlag
from robot_rl.nodes.messages import OperatorInput
from robot_rl.nodes.operator_device import ConsoleDevice
from robot_rl.nodes.qos import STREAM
from robot_rl.nodes.topic_operator import TopicOperator
from robot_rl.nodes.topic_robot import TopicRobot
from tests.unit.teleop_samples import Time, arm

AWAY = np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.0])
MOVES = TeleopCommand(0, True, AWAY, 1, who="spacemouse")
WATCHES = TeleopCommand(0, False, np.zeros(6))


class Room:
    """A node that listens, and one that publishes, in this process."""

    def __init__(self) -> None:
        rclpy.init()
        self.node, self.other = Node("listener"), Node("talker")
        self.spinner = Spinner(StopFlag(), self.node, self.other)
        self.time = Time()
        self.sent = 0

    def publisher(self, topic: str, kind: type) -> Publisher:
        publisher = self.other.create_publisher(kind, topic, STREAM)
        self.spinner.wait(lambda: publisher.get_subscription_count() > 0, lambda: topic, 30.0)
        return publisher

    def close(self) -> None:
        self.spinner.close()
        rclpy.shutdown()


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    room.close()


class Line:
    """What an intervention node says, as a `TopicOperator` hears it."""

    def __init__(self, room: Room, mode: Mode = Mode.TRAIN) -> None:
        self.room = room
        robot = TopicRobot(room.node, room.spinner, (), "test", 5.0)
        self.operator = TopicOperator(robot, room.time)
        self.twist = room.publisher("intervention/twist", TwistStamped)
        self.event = room.publisher("intervention/event", String)
        self.say(WATCHES if mode is Mode.TRAIN else MOVES)
        self.operator.reset(Episode(0, 0, mode), arm())

    def say(self, command: TeleopCommand, request: str = "") -> None:
        """Publish, and wait until it is heard."""
        self.room.sent += 1
        stamped = replace(command, stamp=self.room.sent)
        twist, event = convert.teleop_messages(stamped, request)
        self.twist.publish(twist)
        self.event.publish(event)
        spinner, operator = self.room.spinner, self.operator
        spinner.wait(lambda: operator.heard == stamped.stamp, lambda: "the intervention", 30.0)

    def read(self, after: float = 0.0) -> TeleopCommand:
        self.room.time.pass_by(after)
        return self.operator.read(arm())


def test_what_she_wants_and_what_the_policy_is_left_to_do(room: Room) -> None:
    line = Line(room)
    assert not line.read().active
    line.say(MOVES)
    command = line.read()
    assert (command.active, command.gripper, command.who) == (True, 1, "spacemouse")
    np.testing.assert_array_equal(command.twist, AWAY)


def test_a_verdict_between_two_ticks_is_kept_until_it_is_read_once(room: Room) -> None:
    line = Line(room)
    line.say(replace(WATCHES, outcome="success"))
    line.say(WATCHES)
    line.say(WATCHES)
    assert [line.read().outcome for _ in range(2)] == ["success", ""]
    line.say(replace(WATCHES, outcome="failure"))
    line.operator.reset(Episode(1, 0, Mode.TRAIN), arm())
    assert line.read().outcome == ""


@pytest.mark.parametrize("mode", [Mode.TRAIN, Mode.DEMO])
def test_what_was_said_about_another_episode_does_not_move_the_arm(room: Room, mode: Mode) -> None:
    line = Line(room, mode)
    line.say(replace(MOVES, outcome="success"), "another")
    command = line.read()
    assert (command.active, command.outcome) == (True, "")
    assert not command.twist.any()


def test_in_a_demonstration_the_policy_never_acts(room: Room) -> None:
    line = Line(room, Mode.DEMO)
    line.say(WATCHES)
    command = line.read()
    assert command.active and not command.twist.any()


def test_silence_while_she_is_in_control_holds_the_arm_and_ends_the_episode(room: Room) -> None:
    line = Line(room)
    line.say(MOVES)
    assert line.read(after=0.09).twist.any()
    command = line.read(after=0.02)
    assert (command.active, command.lost, command.who) == (True, True, "spacemouse")
    assert not command.twist.any()
    assert line.read(after=0.8).lost
    with pytest.raises(
        StaleStateError, match=r"nothing from the intervention node .* spacemouse is in control"
    ):
        line.read(after=0.2)
    assert not line.operator.is_fresh()
    line.say(MOVES)
    assert line.operator.is_fresh()
    assert line.read().twist.any()


def test_a_node_that_forgot_that_she_is_in_control_does_not_give_it_to_the_policy(room: Room) -> None:
    line = Line(room)
    line.say(MOVES)
    assert line.read().twist.any()
    assert line.read(after=0.5).lost  # it is started again
    line.say(WATCHES)
    with pytest.raises(StaleStateError, match="spacemouse was in control when the intervention node"):
        line.read()
    line.operator.reset(Episode(1, 0, Mode.TRAIN), arm())
    line.say(WATCHES)
    assert not line.read().active
    # A pause of the node during which she keeps control is none of that.
    line.say(MOVES)
    assert line.read(after=0.5).lost
    line.say(MOVES)
    assert line.read().twist.any()


def test_what_comes_out_of_a_queue_is_as_old_as_it_is(room: Room) -> None:
    line = Line(room)
    line.say(MOVES)
    late = replace(arm(), stamp=line.operator.heard + nanoseconds(0.15))
    assert line.operator.read(late).lost
    line.say(WATCHES)
    assert not line.operator.read(late).lost
    late = replace(arm(), stamp=line.operator.heard + nanoseconds(0.4))
    assert line.operator.read(late).lost


def test_a_short_silence_while_the_policy_is_in_control_is_no_correction(room: Room) -> None:
    line = Line(room)
    assert not line.read(after=0.25).active
    assert line.read(after=0.1).lost
    with pytest.raises(StaleStateError, match="an operator looks after it"):
        line.read(after=1.0)


def test_a_lost_device_is_named_and_waited_for(room: Room) -> None:
    line = Line(room)
    lost = TeleopCommand(0, True, np.zeros(6), 1, who="console", lost=True)
    line.say(MOVES)
    line.read()
    for _ in range(10):
        room.time.pass_by(0.1)
        line.say(lost)
        assert line.read().lost
    room.time.pass_by(0.1)
    line.say(lost)
    with pytest.raises(StaleStateError, match=r"console is in control and has been gone for 1\.1 s"):
        line.read()
    assert not line.operator.is_fresh()


class Pages:
    """Browsers at a `ConsoleDevice`."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.heard = 0
        self.stops: list[str] = []
        self.device = ConsoleDevice(room.node, self._count, self.stops.append, room.time)
        self.input = room.publisher("operator/input", String)

    def _count(self) -> None:
        self.heard += 1

    def send(self, who: str, x: float, buttons: str = "", frame: str = "") -> None:
        self.room.sent += 1
        hands = OperatorInput(who, self.room.sent, x, 0.0, 0.0, 0.0, 0.0, 0.0, buttons, frame)
        self.input.publish(convert.json_message(hands))

    def wait(self, heard: int) -> None:
        self.room.spinner.wait(lambda: self.heard >= heard, lambda: "operator/input", 30.0)


def test_a_page_is_a_device(room: Room) -> None:
    pages = Pages(room)
    with pytest.raises(DeviceError, match="nobody has taken control"):
        pages.device.read()
    pages.send("anna", 0.5, "close", "base")
    pages.wait(1)
    state = pages.device.read()
    assert (state.stamp, state.axes[0], state.frame) == (room.time.now, 0.5, "base")
    assert state.buttons == {"close"}
    # Pressed and let go between two reads.
    pages.send("anna", 0.0, "success")
    pages.send("anna", 0.0)
    pages.wait(3)
    assert pages.device.read().buttons == {"success"}
    assert pages.device.read().buttons == frozenset()


def test_one_page_at_a_time_has_its_hands_on_it(room: Room) -> None:
    pages = Pages(room)
    pages.send("anna", 0.5)
    pages.wait(1)
    pages.send("ben", -1.0, "e_stop")
    room.spinner.wait(lambda: bool(pages.stops), lambda: "the e-stop", 30.0)
    assert pages.stops == ["the e-stop button of ben"]
    assert pages.device.read().axes[0] == 0.5
    room.time.pass_by(1.1)  # anna has closed hers
    pages.send("ben", -1.0)
    pages.wait(2)
    assert pages.device.read().axes[0] == -1.0


def test_what_is_no_input_is_ignored(room: Room) -> None:
    pages = Pages(room)
    for text in ("{", '{"v": 1, "who": "anna"}', '{"v": 9}', "[]"):
        pages.input.publish(String(data=text))
    pages.send("anna", 0.25)
    pages.wait(1)
    assert pages.device.read().axes[0] == 0.25
