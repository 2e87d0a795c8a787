"""Who is in control: thresholds, delays, buttons, the dead-man's switch, and two hands at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.teleop.settings import TeleopConfig
from drivers.teleop.takeover import Hand, Takeover
from robot_rl.core.clock import nanoseconds

STEP = 0.01
"""Between two updates [s]."""


class Script:
    """Feeds a `Takeover` hands at a fixed rate; buttons go down when they are first named."""

    def __init__(self, **settings: Any) -> None:
        self.takeover = Takeover(TeleopConfig(**settings))
        self.now = 0
        self.held: dict[str, frozenset[str]] = {}
        self.reasons: list[str] = []
        self.refused: list[str] = []

    def see(self, times: int = 1, **hands: tuple[float, str] | float | None) -> str:
        """Show the same hands some times; a hand is a deflection, or one with buttons, or None for lost."""
        for _ in range(times):
            self.now += nanoseconds(STEP)
            verdict = self.takeover.update(self.now, {n: self._hand(n, h) for n, h in hands.items()})
            self.reasons += [verdict.reason] if verdict.reason else []
            self.refused += verdict.refused
        return self.takeover.holder

    def _hand(self, name: str, hand: tuple[float, str] | float | None) -> Hand | None:
        if hand is None:
            self.held.pop(name, None)
            return None
        deflection, words = hand if isinstance(hand, tuple) else (hand, "")
        buttons = frozenset(words.split())
        pressed = buttons - self.held.get(name, frozenset())
        self.held[name] = buttons
        return Hand(deflection, buttons, pressed)


def test_a_moving_hand_takes_control_and_a_resting_one_gives_it_back_later() -> None:
    script = Script(engage=0.12, dead_zone=0.06, release_time=0.5)
    assert script.see(a=0.11) == ""
    assert script.see(a=0.0) == ""
    assert script.see(a=0.12) == "a"
    assert script.see(49, a=0.06) == "a"
    assert script.see(a=0.07) == "a"  # it moves again: the time starts anew
    assert script.see(49, a=0.0) == "a"
    assert script.see(a=0.0) == ""
    assert script.reasons == ["motion", "still"]


@given(st.lists(st.floats(0.0, 0.1199), min_size=1, max_size=300))
def test_noise_below_the_upper_threshold_never_takes_control(noise: list[float]) -> None:
    script = Script()
    for value in noise:
        script.see(a=value)
    assert script.reasons == []


@given(st.lists(st.floats(0.0, 0.1199), min_size=1, max_size=300))
def test_noise_about_the_dead_zone_gives_control_back_at_most_once(noise: list[float]) -> None:
    script = Script(release_time=0.05)
    script.see(a=0.0)
    script.see(a=0.5)
    for value in noise:
        script.see(a=value)
    assert script.reasons in (["motion"], ["motion", "still"])


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.floats(0.02, 0.3))
def test_even_noise_across_both_thresholds_does_not_chatter(seed: int, scale: float) -> None:
    """Between two changes back to the policy lies at least the time that a hand has to rest."""
    script = Script(release_time=0.2)
    rng = np.random.default_rng(seed)
    released: list[int] = []
    for value in np.abs(rng.normal(0.0, scale, 1000)):
        before = script.takeover.holder
        if before and not script.see(a=float(value)):
            released.append(script.now)
        elif not before:
            script.see(a=float(value))
    assert script.reasons.count("still") == len(released)
    assert all(b - a >= nanoseconds(0.2) for a, b in itertools.pairwise(released))


def test_control_taken_by_the_button_stays_until_it_is_given_back() -> None:
    script = Script()
    assert script.see(a=(0.0, "take_over")) == "a"
    assert script.see(500, a=0.0) == "a"
    assert script.see(a=(0.0, "hand_back")) == ""
    assert script.reasons == ["button", "button"]


def test_the_same_button_gives_back_what_it_took_and_keeps_what_motion_took() -> None:
    script = Script()
    script.see(a=(0.0, "take_over"))
    script.see(a=0.0)
    assert script.see(a=(0.0, "take_over")) == ""
    script.see(a=0.0)
    assert script.see(a=0.5) == "a"
    script.see(a=(0.5, "take_over"))
    assert script.see(100, a=0.0) == "a"


def test_after_giving_back_by_button_the_hand_has_to_rest_before_it_takes_control() -> None:
    script = Script()
    script.see(a=0.0)
    script.see(a=0.5)
    assert script.see(a=(0.5, "hand_back")) == ""
    assert script.see(100, a=0.5) == ""
    script.see(a=0.0)
    assert script.see(a=0.5) == "a"


def test_a_device_that_is_found_deflected_does_not_take_control() -> None:
    script = Script()
    assert script.see(50, a=0.9) == ""
    script.see(a=0.0)
    assert script.see(a=0.9) == "a"


def test_where_the_button_is_wanted_motion_is_not_enough() -> None:
    script = Script(take_over="button")
    script.see(a=0.0)
    assert script.see(10, a=1.0) == ""
    assert script.see(a=(0.0, "close")) == ""
    assert script.see(a=(1.0, "take_over")) == "a"


def test_a_gripper_button_takes_control_and_keeps_it_while_it_is_held() -> None:
    script = Script(release_time=0.1)
    assert script.see(30, a=(0.0, "close")) == "a"
    assert script.see(9, a=0.0) == "a"
    assert script.see(2, a=0.0) == ""


def test_the_dead_mans_switch_lets_go_at_once() -> None:
    script = Script(dead_man=True)
    script.see(a=0.0)
    assert script.see(a=0.5) == ""
    assert script.see(a=(0.0, "take_over")) == ""
    assert script.see(a=(0.5, "dead_man")) == "a"
    assert script.see(a=0.5) == ""
    assert script.reasons == ["motion", "dead man"]


def test_the_first_hand_has_control_and_the_second_is_told_so_once_an_attempt() -> None:
    script = Script(release_time=0.1)
    script.see(a=0.0, b=0.0)
    script.see(a=0.5, b=0.0)
    assert script.see(20, a=0.5, b=0.9) == "a"
    assert script.refused == ["b"]
    script.see(a=0.5, b=0.0)
    script.see(5, a=0.5, b=0.9)
    assert script.refused == ["b", "b"]
    # The first lets go; the second, which is held over, has to come to rest first.
    assert script.see(20, a=0.0, b=0.9) == ""
    script.see(a=0.0, b=0.0)
    assert script.see(a=0.0, b=0.9) == "b"


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_two_hands_at_the_same_instant_go_by_the_order_of_the_devices(order: Iterable[str]) -> None:
    script = Script()
    script.see(1, **dict.fromkeys(order, 0.0))
    first, second = order
    assert script.see(1, **dict.fromkeys(order, 0.8)) == first
    assert script.refused == [second]


def test_a_lost_device_stays_in_control_until_it_rests_again() -> None:
    script = Script(release_time=0.1)
    script.see(a=0.0)
    script.see(a=0.5)
    assert script.see(500, a=None) == "a"
    assert script.takeover.lost
    assert script.see(5, a=0.0) == "a"
    assert not script.takeover.lost
    assert script.see(10, a=0.0) == ""
    assert script.reasons == ["motion", "still"]


def test_another_hand_takes_over_from_a_lost_device() -> None:
    script = Script()
    script.see(a=0.0, b=0.0)
    script.see(a=0.5, b=0.0)
    script.see(a=None, b=0.0)
    assert script.see(a=None, b=0.4) == "b"
    assert not script.takeover.lost
    assert script.see(a=0.0, b=0.4) == "b"
    assert script.refused == []
