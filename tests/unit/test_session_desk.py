"""What the operator's commands do to a session, whenever they come."""

from __future__ import annotations

from robot_rl.core.types import Episode, EpisodeResult, Mode
from robot_rl.env.session import Session, SessionConfig
from robot_rl.nodes.messages import COMMANDS, OperatorCommand
from robot_rl.nodes.session_desk import SHOWN, SessionDesk

CONFIG = SessionConfig(max_steps=100, evaluation_episodes=0, final_episodes=0)
DEMO = Episode(0, 1, Mode.DEMO)
TRAIN = Episode(1, 2, Mode.TRAIN)


def desk(operator: bool = True, **changes) -> SessionDesk:
    session = Session(CONFIG, seed=0, demonstrations=2, attempts=None)
    return SessionDesk(session, operator, changes.pop("can_show", SHOWN), **changes)


def tell(at: SessionDesk, *commands: str) -> list[str]:
    """Give commands; return the answers."""
    return [at.tell(OperatorCommand("page-1", command)) for command in commands]


def test_a_demonstration_waits_for_its_own_start():
    at = desk()
    assert not at.may_begin(Mode.DEMO)
    assert at.activity == "waiting"
    assert tell(at, "start") == [""]
    assert at.may_begin(Mode.DEMO)
    at.begin(DEMO)
    assert at.activity == "running"
    (answer,) = tell(at, "start")  # a double click
    assert "nothing waits" in answer
    at.end(cut=False)
    assert not at.may_begin(Mode.DEMO)


def test_practice_waits_only_while_a_demonstration_can_be_taken_back():
    at = desk()
    assert at.may_begin(Mode.TRAIN)
    at.undo = 0
    assert not at.may_begin(Mode.TRAIN)
    assert not at.may_begin(None)
    tell(at, "start")
    assert at.may_begin(Mode.TRAIN)
    at.begin(TRAIN)
    assert at.undo == -1
    assert "no demonstration to take back" in tell(at, "undo")[0]


def test_a_scripted_person_is_not_waited_for_but_can_be_paused():
    at = desk(operator=False)
    assert at.may_begin(Mode.DEMO)
    tell(at, "pause")
    assert not at.may_begin(Mode.DEMO)
    assert at.activity == "paused"
    assert not at.may_begin(Mode.TRAIN)
    tell(at, "start")
    assert at.may_begin(Mode.TRAIN)


def test_a_pause_ends_the_present_episode_and_lasts_until_start():
    at = desk()
    at.begin(TRAIN)
    assert not at.interrupts()
    tell(at, "pause")
    assert at.interrupts()
    assert at.activity == "running"  # until the step is over
    at.end(cut=True)
    assert at.activity == "paused"
    assert at.paused_by == "page-1"
    assert "no episode runs" in tell(at, "reset")[0]  # the arm does not move while it is paused
    tell(at, "start")
    assert at.may_begin(Mode.TRAIN)
    at.begin(TRAIN)
    assert not at.interrupts()


def test_commands_count_in_their_order():
    at = desk()
    at.begin(TRAIN)
    tell(at, "pause", "start")  # before the actor looks
    assert at.interrupts()
    at.end(cut=True)
    assert at.may_begin(Mode.TRAIN)
    at.begin(TRAIN)
    tell(at, "reset", "pause")
    at.end(cut=True)
    assert not at.may_begin(Mode.DEMO)


def test_reset_begins_another_episode_at_once():
    at = desk()
    at.begin(DEMO)
    tell(at, "reset")
    assert at.interrupts()
    at.end(cut=True)
    assert at.may_begin(Mode.DEMO)


def test_reset_after_the_last_step_begins_nothing():
    """The demonstration has succeeded meanwhile: it can still be taken back."""
    at = desk()
    at.begin(DEMO)
    tell(at, "reset")
    at.end(cut=False)
    at.undo = 0
    assert not at.may_begin(Mode.DEMO)


def test_undo_takes_back_what_has_ended_or_what_is_being_shown():
    at = desk()
    at.begin(DEMO)
    at.end(cut=False)
    at.undo = 0
    assert tell(at, "undo") == [""]
    assert at.take_undo()
    assert not at.take_undo()
    assert "no demonstration" in tell(at, "undo")[0]
    at.begin(DEMO)
    tell(at, "undo")
    assert at.interrupts()
    assert at.take_undo()
    at.begin(TRAIN)
    assert "no demonstration" in tell(at, "undo")[0]
    assert not at.interrupts()


def test_requests_come_next():
    at = desk(can_show=(Mode.DEMO,))
    assert tell(at, "demonstrate") == [""]
    assert at.session.requested is Mode.DEMO
    assert tell(at, "practise") == [""]
    assert at.session.requested is None
    assert "asked for" in tell(at, "practise")[0]
    assert "no camera to label for" in tell(at, "label")[0]
    assert at.session.requested is None


def test_a_hold_is_shown_and_a_pause_outlasts_it():
    at = desk()
    at.held = "the wrist hit the table"
    tell(at, "pause")
    assert at.activity == "held"
    at.held = ""
    assert at.activity == "paused"


def test_after_a_restart_the_arm_waits_for_the_operator():
    at = desk(restarted=True)
    assert not at.may_begin(Mode.TRAIN)
    tell(at, "start")
    assert at.may_begin(Mode.TRAIN)
    at.begin(TRAIN)
    at.end(cut=False)
    assert at.may_begin(Mode.TRAIN)
    assert desk(operator=False, restarted=True).may_begin(Mode.TRAIN)


def test_after_an_emergency_stop_too_and_not_before_it_is_cleared():
    at = desk()
    at.begin(TRAIN)
    at.end(cut=False)
    at.held = "emergency stop (operator 2, on the console)"
    assert "held" in tell(at, "start")[0]
    at.halt("the emergency stop was cleared")
    at.held = ""
    assert not at.may_begin(Mode.TRAIN)
    assert tell(at, "start") == [""]
    assert at.may_begin(Mode.TRAIN)


def test_nothing_is_asked_at_the_end():
    at = desk()
    tell(at, "pause")
    assert at.may_begin(None)


def test_unknown_commands_are_named():
    (answer,) = tell(desk(), "strat")
    assert "did you mean 'start'" in answer
    assert all("there is no command" not in tell(desk(), command)[0] for command in COMMANDS)


def test_a_request_is_met_by_a_success_and_revived_by_its_undo():
    session = Session(CONFIG, seed=0, demonstrations=0)
    session.request(Mode.DEMO)
    first = session.next_episode()
    assert first is not None and first.mode is Mode.DEMO
    assert session.phase == "demonstrations"
    session.add(EpisodeResult(first, 9, False, 0.0, 0, 9, 0))
    second = session.next_episode()
    assert second is not None and second.mode is Mode.DEMO
    result = EpisodeResult(second, 9, True, 1.0, 0, 9, 0)
    session.add(result)
    assert session.phase == "practice"
    session.take_back(result)
    third = session.next_episode()
    assert third is not None and (third.mode, third.index) == (Mode.DEMO, 2)
