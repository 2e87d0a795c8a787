"""What a person at her devices wants: modes, gripper, verdicts, labels, e-stop, and devices that fail her."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from drivers.teleop.person import Change, DevicePerson
from drivers.teleop.settings import TeleopConfig
from robot_rl.core.errors import ConfigError
from robot_rl.core.types import Episode, Mode, TeleopCommand
from tests.unit.teleop_samples import Hand, Time, arm


class Desk:
    """A person with two devices, asked a hundred times a second."""

    def __init__(self, mode: Mode = Mode.TRAIN, closed: bool = False, **settings: Any) -> None:
        self.time = Time()
        self.mouse = Hand(self.time)
        self.pad = Hand(self.time, "gamepad")
        self.stops: list[str] = []
        self.changes: list[Change] = []
        self.notices: list[str] = []
        self.state = arm(closed=closed)
        self.person = DevicePerson(
            {"spacemouse": self.mouse, "gamepad": self.pad},
            TeleopConfig(**settings),
            on_e_stop=self.stops.append,
            on_change=self.changes.append,
            on_notice=self.notices.append,
            clock=self.time,
            stages=2,
        )
        self.begin(mode)

    def begin(self, mode: Mode) -> None:
        self.person.reset(Episode(0, 0, mode), self.state)
        self.read()

    def read(self, times: int = 1) -> TeleopCommand:
        for _ in range(times - 1):
            self.time.pass_by(0.01)
            self.person.read(self.state)
        self.time.pass_by(0.01)
        return self.person.read(self.state)

    def tap(self, *buttons: str) -> TeleopCommand:
        """Press and let go; returns what was wanted at the press."""
        self.mouse.hold(*buttons)
        command = self.read()
        self.mouse.hold()
        return command


def test_in_practice_she_acts_while_her_hand_does() -> None:
    desk = Desk(linear_speed=0.2)
    assert not desk.read().active
    desk.mouse.push(1.0)
    command = desk.read()
    assert (command.active, command.who, command.lost) == (True, "spacemouse", False)
    np.testing.assert_allclose(command.twist, [0.2, 0, 0, 0, 0, 0])
    desk.mouse.push(0.0)
    assert not desk.read(60).active
    assert desk.changes == [
        Change("spacemouse", "policy", "motion"),
        Change("policy", "spacemouse", "still"),
    ]


def test_in_a_demonstration_she_acts_throughout_and_a_hand_at_rest_holds_still() -> None:
    desk = Desk(Mode.DEMO, take_over="button")
    command = desk.read(200)
    assert command.active and not command.lost
    np.testing.assert_array_equal(command.twist, np.zeros(6))
    desk.pad.push(0.0, -1.0)
    assert desk.read().twist[1] < 0.0
    assert desk.changes == [
        Change("spacemouse", "policy", "episode"),
        Change("gamepad", "spacemouse", "motion"),
    ]
    desk.begin(Mode.TRAIN)
    assert not desk.read(3).active  # the hand is held over, and does not take control by accident
    assert desk.changes[-1] == Change("policy", "gamepad", "episode")


def test_in_an_evaluation_nobody_acts_but_an_e_stop_is_heard() -> None:
    desk = Desk(Mode.EVAL)
    desk.mouse.push(1.0)
    desk.mouse.hold("success")
    command = desk.read(5)
    assert (command.active, command.outcome) == (False, "")
    desk.mouse.hold("e_stop")
    desk.read(5)
    assert desk.stops == ["the e-stop button of spacemouse"]


def test_an_e_stop_that_is_held_down_at_the_start_counts() -> None:
    time, stops = Time(), []
    mouse = Hand(time)
    mouse.hold("e_stop", "success")
    person = DevicePerson({"spacemouse": mouse}, TeleopConfig(), on_e_stop=stops.append, clock=time)
    person.poll()
    assert stops == ["the e-stop button of spacemouse"]
    person.reset(Episode(0, 0, Mode.TRAIN), arm())
    assert person.read(arm()).outcome == ""


@pytest.mark.parametrize("closed", [False, True])
def test_the_gripper_stays_as_it_was_when_she_takes_over(closed: bool) -> None:
    desk = Desk(closed=closed)
    assert desk.read().gripper == 0
    # The policy moves the gripper, and she takes over after that.
    desk.state = arm(closed=not closed)
    desk.read()
    desk.mouse.push(0.5)
    assert desk.read().gripper == (1 if closed else -1)


def test_gripper_buttons_latch() -> None:
    desk = Desk()
    assert desk.tap("close").gripper == -1
    assert desk.read(3).gripper == -1
    assert desk.tap("toggle").gripper == 1
    assert desk.read().gripper == 1
    desk.read()
    assert desk.tap("toggle").gripper == -1
    assert desk.tap("open").gripper == 1


def test_a_second_hand_is_refused_and_moves_neither_arm_nor_gripper() -> None:
    desk = Desk()
    desk.mouse.push(0.5)
    desk.read()
    desk.pad.push(-1.0)
    desk.pad.hold("close")
    command = desk.read(3)
    assert command.who == "spacemouse" and command.twist[0] > 0.0 and command.gripper == 1
    assert desk.notices == ["gamepad wants control; spacemouse has it"]


def test_a_verdict_is_given_once_whoever_is_in_control() -> None:
    desk = Desk()
    assert desk.tap("success").outcome == "success"
    assert desk.read().outcome == ""
    desk.mouse.hold("failure")
    assert [desk.read().outcome for _ in range(3)] == ["failure", "", ""]
    desk.mouse.hold()
    desk.read()
    assert desk.tap("success", "failure").outcome == ""
    assert "neither counts" in desk.notices[-1]
    assert not desk.changes


def test_a_verdict_of_the_episode_before_is_forgotten() -> None:
    desk = Desk()
    desk.mouse.hold("success")
    desk.person.poll(desk.state)
    desk.begin(Mode.TRAIN)
    assert desk.read().outcome == ""


@pytest.mark.parametrize(
    ("buttons", "label"), [((), -1), (("label",), 2), (("not_reached",), 0), (("label", "not_reached"), -1)]
)
def test_labels_are_the_keys_that_are_held(buttons: tuple[str, ...], label: int) -> None:
    desk = Desk(Mode.LABEL)
    desk.mouse.hold(*buttons)
    assert [desk.read().label for _ in range(3)] == [label] * 3
    desk.begin(Mode.TRAIN)
    assert desk.read().label == -1


def test_a_device_unplugged_while_it_is_in_control_holds_the_arm_still() -> None:
    desk = Desk()
    desk.mouse.push(0.0, 1.0)
    desk.read()
    desk.mouse.plugged = False
    command = desk.read(300)
    assert (command.active, command.who, command.lost) == (True, "spacemouse", True)
    np.testing.assert_array_equal(command.twist, np.zeros(6))
    assert len(desk.notices) == 1
    assert desk.notices[0].startswith("spacemouse is lost, and the arm holds still: it was unplugged")
    desk.mouse.plugged = True
    desk.mouse.push(0.0)
    assert desk.read(10).active
    assert not desk.read(60).active
    assert [c.reason for c in desk.changes] == ["motion", "lost", "back", "still"]
    assert {c.who for c in desk.changes[:3]} == {"spacemouse"}


def test_a_silent_device_is_lost_while_it_is_in_control_and_else_nobodys_trouble() -> None:
    desk = Desk()
    desk.mouse.silent_since = desk.time.now
    assert not desk.read(100).active
    assert desk.notices == []
    desk.mouse.silent_since = None
    desk.read()
    desk.mouse.push(0.5)
    desk.read()
    desk.mouse.silent_since = desk.time.now
    assert not desk.read(10).lost
    assert desk.read(1).lost
    assert "not heard of for 0.11 s" in desk.notices[0]


def test_what_she_did_in_a_pause_of_her_device_counts_when_it_is_heard_again() -> None:
    desk = Desk()
    desk.mouse.silent_since = desk.time.now
    desk.read(100)
    desk.mouse.silent_since = None
    desk.mouse.push(0.5)
    desk.mouse.hold("success")
    command = desk.read()
    assert (command.active, command.outcome) == (True, "success")


def test_what_a_device_that_was_unplugged_comes_back_with_does_not_count() -> None:
    desk = Desk()
    desk.mouse.plugged = False
    desk.read(100)
    desk.mouse.plugged = True
    desk.mouse.push(0.5)
    desk.mouse.hold("success")
    command = desk.read(10)
    assert (command.active, command.outcome) == (False, "")


@pytest.mark.parametrize(
    ("axes", "what"),
    [
        ([np.nan] * 6, "not finite"),
        ([np.inf, 0, 0, 0, 0, 0], "not finite"),
        ([1.5, 0, 0, 0, 0, 0], "leave"),
        ([0.5] * 5, "shape"),
    ],
)
def test_nonsense_counts_as_a_lost_device_and_is_told_once(axes: list[float], what: str) -> None:
    desk = Desk()
    desk.mouse.push(0.5)
    desk.read()
    desk.mouse.axes = np.array(axes)
    command = desk.read(20)
    assert command.lost
    np.testing.assert_array_equal(command.twist, np.zeros(6))
    assert len(desk.notices) == 1 and what in desk.notices[0]


@pytest.mark.parametrize("trouble", ["nonsense", "late"])
def test_an_e_stop_counts_whatever_else_is_wrong_with_its_device(trouble: str) -> None:
    desk = Desk(lost_after=0.1)
    if trouble == "nonsense":
        desk.mouse.axes = np.full(6, np.nan)
    else:
        desk.mouse.silent_since = desk.time.now - 500_000_000
    desk.mouse.hold("e_stop")
    desk.read(5)
    assert desk.stops == ["the e-stop button of spacemouse"]
    desk.mouse.hold()
    desk.read()
    desk.mouse.hold("e_stop")
    desk.read()
    assert len(desk.stops) == 2


@pytest.mark.parametrize("wrong", ["button", "frame"])
def test_unknown_words_count_as_a_lost_device(wrong: str) -> None:
    desk = Desk()
    if wrong == "button":
        desk.mouse.hold("warp")
    else:
        desk.mouse.frame = "camera"
    desk.read(3)
    assert len(desk.notices) == 1
    assert {"button": "warp", "frame": "camera"}[wrong] in desk.notices[0]


def test_a_demonstration_without_any_device_is_lost_not_the_policys() -> None:
    desk = Desk(Mode.DEMO)
    desk.mouse.plugged = desk.pad.plugged = False
    command = desk.read()
    assert (command.active, command.lost, command.who) == (True, True, "spacemouse")
    desk.pad.plugged = True
    command = desk.read()
    assert (command.lost, command.who) == (False, "gamepad")


def test_the_dead_mans_switch_stops_a_demonstration_and_hands_practice_back() -> None:
    demonstrating = Desk(Mode.DEMO, dead_man=True)
    demonstrating.mouse.push(1.0)
    assert not demonstrating.read().twist.any()
    demonstrating.mouse.push(0.0)
    demonstrating.read()
    demonstrating.mouse.push(1.0)
    demonstrating.mouse.hold("dead_man")
    assert demonstrating.read().twist.any()
    demonstrating.mouse.hold()
    assert not demonstrating.read().twist.any()

    practising = Desk(dead_man=True)
    practising.mouse.push(1.0)
    practising.mouse.hold("dead_man")
    assert practising.read().active
    practising.mouse.hold()
    assert not practising.read().active
    assert practising.changes[-1] == Change("policy", "spacemouse", "dead man")


def test_control_outlives_an_episode_of_practice() -> None:
    desk = Desk()
    desk.tap("take_over")
    desk.state = replace(desk.state, gripper_closed=True)
    desk.begin(Mode.TRAIN)
    command = desk.read()
    assert command.active and command.gripper == -1


def test_a_person_without_a_device_is_told_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r'teleop\.devices is empty; the default is \["console"\]'):
        DevicePerson({}, TeleopConfig())
