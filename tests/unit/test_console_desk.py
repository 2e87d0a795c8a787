"""Which page may do what, with a graph that writes down what it is told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from drivers.teleop.mapping import shape
from drivers.teleop.settings import TeleopConfig
from robot_rl.console.desk import CLEAR_TIMEOUT, Desk, Notice
from robot_rl.console.handle import Handle
from robot_rl.console.lease import LOSS, SILENCE, Lease
from robot_rl.console.model import Setup
from robot_rl.console.protocol import ClearFault, Command, Control, EStop, Hands
from robot_rl.core.frames import DOWN_QUATERNION
from robot_rl.core.types import DeviceState, Pose

TAKE, GIVE = Control(True), Control(False)
PUSH = Hands((1.0, 0, 0, 0, 0, 0), frozenset({"close"}))


class Graph:
    """Satisfies the console's `Graph`."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, DeviceState]] = []
        self.commands: list[tuple[str, str]] = []
        self.stops: list[str] = []
        self.clears = 0
        self.hears = True
        self.answer: tuple[bool, str] | None = (True, "")
        self.asked: Callable[[bool, str], None]

    def command(self, who: str, name: str) -> None:
        self.commands.append((who, name))

    def e_stop(self, reason: str) -> bool:
        self.stops.append(reason)
        return self.hears

    def clear_fault(self, on_answer: Callable[[bool, str], None]) -> None:
        self.clears += 1
        self.asked = on_answer
        if self.answer is not None:
            on_answer(*self.answer)

    def send(self, who: str, hands: DeviceState) -> None:
        self.sent.append((who, hands))

    @property
    def hands(self) -> DeviceState:
        return self.sent[-1][1]


class View:
    """Satisfies `HandleView`."""

    def __init__(self) -> None:
        self.visible = False
        self.wanted: Pose | None = None

    def show_handle(self, visible: bool) -> None:
        self.visible, self.wanted = visible, None

    def drag(self, wanted: Pose | None) -> None:
        self.wanted = wanted


class Room:
    """A desk with two pages."""

    def __init__(self, person: str = "operator") -> None:
        self.graph, self.view = Graph(), View()
        self.told: dict[str, list[Notice]] = {}
        self.target = Pose(np.array([0.5, 0.0, 0.2]), DOWN_QUATERNION)
        setup = Setup("reach", "", person, ("start", "pause"), (), (), 10.0, False)
        handle = Handle(self.view, TeleopConfig(), lambda: self.target)
        self.desk = Desk(self.graph, setup, lambda who, n: self.told.setdefault(who, []).append(n), handle)
        self.ann, self.bob = self.desk.join(), self.desk.join()

    def last(self, who: str) -> str:
        return self.told[who][-1].text


@pytest.fixture
def room() -> Room:
    return Room()


def test_one_page_controls_and_the_other_is_told_who():
    lease = Lease()
    assert lease.take("ann", 0.0) and lease.take("ann", 0.5)
    assert not lease.take("bob", 0.6)
    assert not lease.give_back("bob") and lease.holder == "ann"
    assert lease.give_back("ann") and lease.take("bob", 0.7)


def test_a_silent_holder_lets_go_and_then_loses_the_lease():
    lease = Lease()
    lease.take("ann", 0.0)
    assert not lease.is_silent(SILENCE) and lease.is_silent(SILENCE + 0.01)
    lease.hear("ann", 5.0)
    assert not lease.is_silent(5.0) and not lease.hear("bob", 5.0)
    assert lease.expire(5.0 + LOSS) == ""
    assert lease.expire(5.01 + LOSS) == "ann"
    assert lease.holder == "" and not lease.is_silent(99.0) and lease.expire(99.0) == ""


def test_a_lease_that_has_run_out_can_be_taken_before_anybody_looked():
    lease = Lease()
    lease.take("ann", 0.0)
    assert lease.take("bob", LOSS + 0.01)
    assert lease.holder == "bob"


def test_only_the_page_in_control_moves_the_robot(room):
    room.desk.hear(room.ann, PUSH, 0.0)
    assert not room.graph.sent and not room.told
    room.desk.hear(room.ann, TAKE, 0.0)
    room.desk.hear(room.bob, TAKE, 0.01)
    assert room.last(room.bob) == f"{room.ann} has control, and has to give it back first."
    room.desk.hear(room.bob, PUSH, 0.02)
    assert not room.graph.sent
    room.desk.hear(room.ann, PUSH, 0.03)
    who, hands = room.graph.sent[0]
    assert who == room.ann and hands.stamp == 30_000_000 and hands.frame == ""
    assert hands.axes.tolist() == [1, 0, 0, 0, 0, 0] and hands.buttons == {"close"}


def test_only_the_page_in_control_commands_and_clears(room):
    for message in (Command("start"), ClearFault()):
        room.desk.hear(room.bob, message, 0.0)
        assert "Nobody has it" in room.last(room.bob)
    room.desk.hear(room.ann, TAKE, 0.0)
    room.desk.hear(room.bob, Command("start"), 0.0)
    assert f"{room.ann} has it" in room.last(room.bob)
    assert not room.graph.commands
    room.desk.hear(room.ann, Command("pause"), 0.0)
    assert room.graph.commands == [(room.ann, "pause")]
    room.desk.hear(room.ann, ClearFault(), 0.0)
    assert room.told[room.ann][-1] == Notice("The fault is cleared.", False)
    room.graph.answer = False, "joint 4 is at its limit"
    room.desk.hear(room.ann, ClearFault(), 0.0)
    assert room.last(room.ann) == "The fault stays: joint 4 is at its limit"


def test_a_robot_that_does_not_answer_is_told_of_once(room):
    room.desk.hear(room.ann, TAKE, 0.0)
    room.graph.answer = None
    room.desk.hear(room.ann, ClearFault(), 0.0)
    room.desk.look_after(CLEAR_TIMEOUT)
    assert room.ann not in room.told or "answered" not in room.last(room.ann)
    for now in (CLEAR_TIMEOUT + 0.02, 2 * CLEAR_TIMEOUT):
        room.desk.look_after(now)
    silent = [n for n in room.told[room.ann] if "has not answered for 3 s" in n.text]
    assert len(silent) == 1 and silent[0].bad
    room.graph.asked(True, "")
    assert room.told[room.ann][-1] == Notice("The fault is cleared.", False)


def test_a_robot_that_answers_in_time_is_not_told_of(room):
    room.desk.hear(room.ann, TAKE, 0.0)
    room.graph.answer = None
    room.desk.hear(room.ann, ClearFault(), 0.0)
    room.graph.asked(False, "the wrist is pressed")
    room.desk.look_after(CLEAR_TIMEOUT + 1.0)
    assert [n.text for n in room.told[room.ann] if "fault" in n.text] == [
        "The fault stays: the wrist is pressed"
    ]


def test_every_page_stops_the_robot(room):
    room.desk.hear(room.ann, TAKE, 0.0)
    room.desk.hear(room.bob, EStop(), 0.0)
    assert room.graph.stops == [f"{room.bob}, on the console"] and not room.told
    room.graph.hears = False
    room.desk.hear(room.bob, EStop(), 0.0)
    assert "emergency stop" in room.last(room.bob)


def test_a_silent_page_lets_go_once_and_is_then_no_device_any_more(room):
    room.desk.hear(room.ann, TAKE, 0.0)
    room.desk.hear(room.ann, PUSH, 0.0)
    room.desk.look_after(SILENCE)
    assert len(room.graph.sent) == 1
    for now in (0.12, 0.2, 0.9):
        room.desk.look_after(now)
    assert len(room.graph.sent) == 2
    assert not room.graph.hands.axes.any() and not room.graph.hands.buttons
    room.desk.hear(room.ann, PUSH, 0.95)
    assert room.graph.hands.axes.any()
    room.desk.look_after(0.95 + LOSS + 0.1)
    assert not room.graph.hands.axes.any() and len(room.graph.sent) == 4
    assert "silent" in room.last(room.ann) and not room.view.visible
    room.desk.hear(room.bob, TAKE, 3.0)
    assert room.desk.lease.holder == room.bob


def test_a_page_that_goes_lets_go(room):
    room.desk.hear(room.ann, TAKE, 0.0)
    room.desk.hear(room.ann, PUSH, 0.0)
    room.desk.leave(room.bob, 0.01)
    assert room.desk.lease.holder == room.ann
    room.desk.leave(room.ann, 0.02)
    assert not room.graph.hands.axes.any() and room.desk.lease.holder == ""


def test_giving_control_back_hands_the_robot_back_as_the_last_word(room):
    room.desk.hear(room.ann, TAKE, 0.0)
    room.desk.hear(room.ann, PUSH, 0.0)
    room.desk.hear(room.ann, GIVE, 0.05)
    room.desk.hear(room.bob, GIVE, 0.05)
    room.desk.look_after(0.5)
    assert len(room.graph.sent) == 2
    assert room.graph.hands.buttons == {"hand_back"} and not room.graph.hands.axes.any()


@pytest.mark.parametrize("person", ["scripted", "none"])
def test_where_no_operator_helps_the_page_looks_and_stops(person):
    room = Room(person)
    room.desk.hear(room.ann, TAKE, 0.0)
    assert "--console" in room.last(room.ann) and room.desk.lease.holder == ""
    room.desk.hear(room.ann, EStop(), 0.0)
    assert room.graph.stops
    room.desk.hear(room.bob, ClearFault(), 0.0)
    room.desk.hear(room.bob, Command("pause"), 0.0)
    room.desk.hear(room.bob, Hands((1.0, 0, 0, 0, 0, 0), frozenset()), 0.0)
    assert room.graph.clears == 1 and room.graph.commands == [(room.bob, "pause")]
    assert not room.graph.sent


def test_a_page_that_may_only_look_stops_and_clears_nothing():
    room = Room("look")
    for message in (TAKE, ClearFault(), Command("pause"), EStop()):
        room.desk.hear(room.ann, message, 0.0)
    assert room.graph.stops and not room.graph.clears and not room.graph.commands
    assert room.desk.lease.holder == ""


def test_the_handle_is_for_the_page_in_control(room):
    ahead = Pose(np.array([0.6, 0.0, 0.2]), DOWN_QUATERNION)
    assert not room.desk.drag(room.ann, ahead, 0.0)
    room.desk.hear(room.ann, TAKE, 0.0)
    assert room.view.visible
    assert not room.desk.drag(room.bob, ahead, 0.01) and room.view.wanted is None
    assert room.desk.drag(room.ann, ahead, 0.01) and room.view.wanted is ahead
    assert room.graph.hands.frame == "base"
    assert room.graph.hands.axes[0] == 1.0 and not room.graph.hands.axes[1:].any()
    room.desk.hear(room.ann, Hands((0, 1.0, 0, 0, 0, 0), frozenset({"close"})), 0.02)
    assert room.graph.hands.axes[0] == 1.0 and room.graph.hands.buttons == {"close"}
    assert room.desk.drag(room.ann, None, 0.03)
    assert room.graph.hands.frame == "" and room.graph.hands.axes.tolist() == [0, 1, 0, 0, 0, 0]


def test_a_handle_that_is_held_still_keeps_control_and_moves_nothing(room):
    config = TeleopConfig()
    room.desk.hear(room.ann, TAKE, 0.0)
    room.desk.drag(room.ann, room.target, 0.01)
    axes = room.graph.hands.axes
    assert config.dead_zone < np.abs(axes).max() < config.engage
    assert np.abs(shape(config, axes)).max() * config.linear_speed < 1e-4  # m/s


def test_the_handle_of_a_silent_page_is_let_go(room):
    room.desk.hear(room.ann, TAKE, 0.0)
    room.desk.drag(room.ann, Pose(np.array([0.6, 0.0, 0.2]), DOWN_QUATERNION), 0.01)
    room.desk.look_after(0.2)
    assert room.view.wanted is None and not room.graph.hands.axes.any()
    assert not room.desk.drag(room.ann, room.target, 0.25)
