"""The dead-man's watches, on times that are nothing but numbers."""

from __future__ import annotations

import pytest

from robot_rl.control.watch import (
    FAULT_AFTER,
    HEARTBEAT_TIMEOUT,
    NOT_YET,
    PERMIT_TIMEOUT,
    WAITING,
    HeartbeatWatch,
    ListeningClock,
    PermitWatch,
)
from robot_rl.core.clock import nanoseconds

MS = 1_000_000
BEAT = 50
"""Time between two heartbeats [ms]."""


def watching(**silent_from: int) -> HeartbeatWatch:
    """Processes that beat until the given times [ms]; the console and the intervention node are required."""
    watch = HeartbeatWatch(["console", "intervention"])
    for now in range(0, max(silent_from.values()), BEAT):
        for pid, (process, end) in enumerate(silent_from.items()):
            if now < end:
                watch.hear(process, pid, now * MS)
    return watch


def test_an_arm_may_move_while_all_that_it_needs_are_heard() -> None:
    watch = watching(intervention=5000, console=5000, learner=5000)
    verdict = watch.verdict(5000 * MS)
    assert (verdict.reason, verdict.late) == ("", {})


def test_a_silent_process_that_is_required_denies_the_permit() -> None:
    watch = watching(intervention=4000, console=5000)
    last = (4000 - BEAT) * MS
    timeout = nanoseconds(HEARTBEAT_TIMEOUT)
    assert watch.verdict(last + timeout).reason == ""
    verdict = watch.verdict(last + timeout + MS)
    assert verdict.reason == "the process 'intervention' is silent for 0.16 s"
    assert verdict.late == {"intervention": pytest.approx(0.161)}
    watch.hear("intervention", 0, 5000 * MS)
    assert watch.verdict(5000 * MS).reason == ""


def test_all_that_are_silent_are_named() -> None:
    reason = watching(intervention=4000, console=4000).verdict(4500 * MS).reason
    assert "'intervention'" in reason and "'console'" in reason


def test_others_are_called_late_and_stop_nothing() -> None:
    watch = watching(intervention=5000, learner=2000)
    assert watch.verdict(3000 * MS).late == {}
    verdict = watch.verdict(5000 * MS)
    assert verdict.reason == ""
    assert verdict.late == {"learner": pytest.approx(3.05)}


def test_a_process_is_required_once_it_has_kept_time() -> None:
    """While it starts it may pause for long, again and again."""
    watch = HeartbeatWatch(["intervention"])
    assert watch.verdict(10_000 * MS).reason == ""
    now = 10_000
    for pause in (600, 900, 700, 3000):
        for _ in range(8):
            watch.hear("intervention", 1, now * MS)
            now += BEAT
        now += pause
        assert watch.verdict(now * MS).reason == ""
    for _ in range(25):
        watch.hear("intervention", 1, now * MS)
        now += BEAT
    assert watch.verdict((now + 200) * MS).reason != ""


def test_a_process_that_was_started_again_takes_the_place_of_the_one_before() -> None:
    watch = watching(intervention=3000)
    assert watch.verdict(4000 * MS).reason != ""
    watch.hear("intervention", 77, 4000 * MS)
    verdict = watch.verdict(4001 * MS)
    assert (verdict.reason, verdict.late) == ("", {})


def test_a_watch_that_was_started_again_does_not_take_the_silent_for_absent() -> None:
    watch = HeartbeatWatch(["console", "intervention"], awaited=["console", "intervention"])
    assert watch.verdict(0).reason == (
        f"the process 'console' {NOT_YET}; the process 'intervention' {NOT_YET}"
    )
    watch.hear("intervention", 1, 10 * MS)
    assert watch.verdict(11 * MS).reason == f"the process 'console' {NOT_YET}"
    watch.hear("console", 2, 20 * MS)
    assert watch.verdict(21 * MS).reason == ""
    watch.let_go("console", 2)
    watch.hear("intervention", 1, 4000 * MS)
    assert watch.verdict(4001 * MS).reason == ""


def test_of_two_consoles_each_counts() -> None:
    watch = HeartbeatWatch(["console"])
    for now in range(0, 3000, BEAT):
        watch.hear("console", 1, now * MS)
        if now < 2000:
            watch.hear("console", 2, now * MS)
    assert "'console'" in watch.verdict(3000 * MS).reason


def test_nobody_waits_for_a_console_that_was_closed() -> None:
    watch = watching(console=3000, intervention=6000)
    watch.let_go("console", 0)
    assert watch.verdict(6000 * MS).late == {}
    watch.hear("console", 9, 6000 * MS)
    for now in range(6000, 9000, BEAT):
        watch.hear("console", 9, now * MS)
        watch.hear("intervention", 1, now * MS)
    assert "'console'" in watch.verdict(9500 * MS).reason


def test_a_pause_of_the_listener_is_not_held_against_the_others() -> None:
    at = [0]
    clock = ListeningClock(0.02, lambda: at[0] * MS)
    for at[0] in (10, 20, 30):
        clock.turn()
    assert clock.now == 30 * MS
    at[0] = 5030
    assert clock.turn() == 50 * MS


def permits(until: int) -> PermitWatch:
    """One that was given until `until` [ms]."""
    watch = PermitWatch()
    for now in range(0, until, 20):
        watch.hear(True, "", now * MS)
    return watch


def test_before_the_first_permit_the_arm_waits_without_a_fault() -> None:
    watch = PermitWatch()
    assert watch.verdict(60_000 * MS) == (WAITING, False)
    watch.hear(False, "the process 'console' is silent for 0.20 s", 60_000 * MS)
    assert watch.verdict(60_100 * MS) == ("the process 'console' is silent for 0.20 s", False)
    watch.hear(True, "", 60_200 * MS)
    assert watch.verdict(60_201 * MS) == ("", False)


def test_silence_holds_and_long_silence_is_a_fault() -> None:
    watch = permits(2000)
    last = 1980 * MS
    assert watch.verdict(last + nanoseconds(PERMIT_TIMEOUT)) == ("", False)
    reason, fault = watch.verdict(last + nanoseconds(PERMIT_TIMEOUT) + MS)
    assert (reason, fault) == ("the safety process is silent for 0.16 s", False)
    assert not watch.verdict(last + nanoseconds(FAULT_AFTER))[1]
    assert watch.verdict(last + nanoseconds(FAULT_AFTER) + MS)[1]
    watch.hear(True, "", 9000 * MS)
    assert watch.verdict(9001 * MS) == ("", False)


def test_a_denied_permit_holds_at_once_and_is_a_fault_when_it_stays_denied() -> None:
    watch = permits(2000)
    for now in range(2000, 2960, 20):
        watch.hear(False, "the process 'console' is silent for 0.20 s", now * MS)
        assert watch.verdict((now + 1) * MS) == ("the process 'console' is silent for 0.20 s", False)
    watch.hear(False, "", 2985 * MS)
    assert watch.verdict(2985 * MS) == ("the safety process gives no permit", True)


def test_the_chain_of_delays_is_shorter_than_a_fifth_of_a_second() -> None:
    """A heartbeat, the watch's turn and the robot's, one after the other; and the permit alone."""
    assert HEARTBEAT_TIMEOUT + 0.01 + 0.004 < 0.2
    assert PERMIT_TIMEOUT + 0.004 < 0.2
