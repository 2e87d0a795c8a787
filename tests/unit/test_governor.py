"""The replay-ratio governor never runs ahead, and never owes more than its limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rl.learn.governor import Plan, ReplayRatioGovernor


@given(
    utd=st.integers(1, 20),
    block=st.integers(1, 10),
    limit=st.integers(1, 5),
    rounds=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), max_size=40),
)
def test_updates_never_exceed_the_ratio_and_debt_stays_below_the_limit(
    utd: int, block: int, limit: int, rounds: list[tuple[int, int]]
) -> None:
    governor = ReplayRatioGovernor(utd, block, limit * block)
    taken = 0
    for steps, capacity in rounds:
        governor.arrive(steps)
        before = governor.due
        plan = governor.plan(capacity)
        assert plan.learn <= capacity
        assert plan.store + plan.learn + governor.due == before
        assert governor.due <= limit
        assert plan.store == 0 or before > limit
        taken += plan.store + plan.learn
        assert taken * block <= governor.arrived
        metrics = governor.metrics()
        assert metrics["replay_ratio"] <= utd
        assert metrics["updates_owed"] == governor.due * utd * block


def test_a_learner_that_keeps_up_learns_from_everything() -> None:
    governor = ReplayRatioGovernor(4, 10, 100)
    for _ in range(200):
        governor.arrive()
        governor.plan(1)
    assert governor.metrics() == {"replay_ratio": 4.0, "updates_owed": 0.0, "updates_written_off": 0.0}


def test_a_late_learner_catches_up_and_what_is_too_old_is_only_stored() -> None:
    governor = ReplayRatioGovernor(2, 10, 50)
    governor.arrive(40)
    assert governor.plan(0) == Plan(0, 0)
    assert governor.plan(3) == Plan(0, 3)
    governor.arrive(90)
    assert governor.plan(1) == Plan(5, 1)
    assert governor.metrics()["updates_written_off"] == 100.0


@pytest.mark.parametrize("arguments", [(0, 10, 100), (1, 0, 100), (1, 10, 9)])
def test_senseless_settings_are_refused(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        ReplayRatioGovernor(*arguments)
