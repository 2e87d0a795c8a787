"""Stages are rewarded once each, in order, when they hold."""

from __future__ import annotations

import math

import pytest

from robot_rl.core.errors import ConfigError, SpecError
from robot_rl.env.stages import StageCounter


def test_success_needs_the_probability_to_hold() -> None:
    counter = StageCounter(1, 0.5, 3)
    seen = [0.9, 0.9, 0.1, 0.5, 0.6, 0.7]
    rewards = [counter.update((p,)) for p in seen]
    assert [r.reward for r in rewards] == [0, 0, 0, 0, 0, 1]
    assert [r.success for r in rewards] == [False] * 5 + [True]
    assert [r.fraction for r in rewards] == pytest.approx([1 / 3, 2 / 3, 0, 1 / 3, 2 / 3, 1])


def test_stages_are_rewarded_once_and_in_order() -> None:
    counter = StageCounter(2, (0.5, 0.8), 2)
    late = (0.1, 0.9)  # the second stage looks reached before the first
    assert [counter.update(late).reward for _ in range(3)] == [0, 0, 0]
    assert [counter.update((0.6, 0.7)).reward for _ in range(4)] == [0, 0.5, 0, 0]
    assert counter.fraction == 0.5
    assert [counter.update((0.0, 0.8)) for _ in range(3)] == [(0, False, 0.75), (0.5, True, 1), (0, True, 1)]
    counter.reset()
    assert (counter.reached, counter.fraction) == (0, 0)


def test_what_is_not_a_number_holds_nothing() -> None:
    counter = StageCounter(1, 0.5, 2)
    assert [counter.update((p,)).success for p in (0.9, math.nan, 0.9, 0.9)] == [False, False, False, True]


@pytest.mark.parametrize("arguments", [(0, 0.5, 3), (1, 0.5, 0), (2, (0.5,), 3), (1, 1.0, 3)])
def test_settings_are_checked(arguments: tuple) -> None:
    with pytest.raises(ConfigError, match="threshold"):
        StageCounter(*arguments)


def test_a_classifier_of_another_task_is_refused() -> None:
    with pytest.raises(SpecError, match="2 stages, got 1"):
        StageCounter(2, 0.5, 3).update((0.9,))
