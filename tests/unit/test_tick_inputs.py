"""The synchroniser: a tick is complete when exactly the messages that it names are there."""

from __future__ import annotations

import itertools

import pytest

from robot_rl.core.errors import ConfigError
from robot_rl.nodes.inputs import KEPT, TickInputs
from robot_rl.nodes.messages import Tick


def tick(stamp, **inputs):
    return Tick(stamp, stamp - 1, "r", 0, 0, "train", inputs)


def test_every_order_of_arrival_gives_the_same_inputs():
    """Also with a tracker whose newest measurement stays the same over both ticks."""
    arrivals = [
        ("add", "pose", 1, "p1"),
        ("add", "cube", 0, "c0"),
        ("tick", tick(1, pose=1, cube=0)),
        ("add", "pose", 2, "p2"),
        ("tick", tick(2, pose=2, cube=0)),
    ]
    for order in itertools.permutations(arrivals):
        inputs = TickInputs(["pose", "cube"])
        seen = {}
        for kind, *values in order:
            inputs.add(*values) if kind == "add" else inputs.add_tick(*values)
            newest = inputs.newest_complete()
            if newest is not None:
                seen[newest.stamp] = inputs.take(newest)
        assert seen
        for stamp, messages in seen.items():
            assert messages == {"pose": f"p{stamp}", "cube": "c0"}


def test_a_tick_waits_for_its_inputs_and_names_what_is_missing():
    inputs = TickInputs(["pose", "cube"])
    wanted = tick(5, pose=5, cube=3)
    inputs.add_tick(wanted)
    inputs.add("pose", 4, "old")
    assert inputs.newest_complete() is None
    assert inputs.missing(wanted) == ["pose", "cube"]
    inputs.add("pose", 5, "new")
    assert inputs.missing(wanted) == ["cube"]
    inputs.add("cube", 3, "c")
    assert inputs.newest_complete() == wanted
    assert inputs.take(wanted) == {"pose": "new", "cube": "c"}


def test_an_older_complete_tick_serves_until_the_newest_is_complete():
    inputs = TickInputs(["pose"])
    inputs.add("pose", 1, "a")
    inputs.add_tick(tick(1, pose=1))
    inputs.add_tick(tick(2, pose=2))
    assert inputs.newest_complete().stamp == 1
    inputs.add("pose", 2, "b")
    assert inputs.newest_complete().stamp == 2


def test_topics_that_nobody_subscribed_to_do_not_count():
    inputs = TickInputs(["pose"])
    inputs.add("pose", 1, "a")
    inputs.add_tick(tick(1, pose=1, camera=1))
    newest = inputs.newest_complete()
    assert newest is not None
    assert inputs.take(newest) == {"pose": "a"}


def test_a_message_that_comes_again_counts_as_new():
    inputs = TickInputs(["pose"])
    inputs.add("pose", 0, "first")
    for stamp in range(1, KEPT):
        inputs.add("pose", stamp, "other")
    inputs.add("pose", 0, "again")
    inputs.add("pose", KEPT, "last")
    again = tick(0, pose=0)
    inputs.add_tick(again)
    assert inputs.take(again) == {"pose": "again"}
    assert inputs.missing(tick(1, pose=1)) == ["pose"]  # the oldest has made room


def test_an_unknown_topic_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'arm/pose'"):
        TickInputs(["arm/pose"]).add("arm/poes", 1, None)
