"""The JSON messages of the graph."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rl.core.errors import CodecError
from robot_rl.core.types import Episode, Mode
from robot_rl.data.json_messages import Intervention, decode, encode
from robot_rl.nodes import messages
from robot_rl.nodes.messages import EpisodeEvent, SafetyState, Tick

TICK = Tick(300, 200, "actor/0/1", 4, 17, "train", {"arm/pose": 300, "cube/pose": 280})


@given(
    st.integers(0, 2**62),
    st.text(),
    st.dictionaries(st.text(), st.integers(-(2**62), 2**62), max_size=5),
    st.dictionaries(st.text(), st.floats(allow_nan=False), max_size=5),
)
def test_messages_come_back_equal(stamp, text, inputs, result):
    tick = Tick(stamp, -1, text, 0, 5, "demo", inputs)
    assert decode(Tick, encode(tick)) == tick
    event = EpisodeEvent(stamp, "end", 1, 2, "eval", result, text)
    assert decode(EpisodeEvent, encode(event)) == event
    assert decode(SafetyState, encode(SafetyState(stamp, text))) == SafetyState(stamp, text)


def test_a_tick_knows_its_episode():
    assert TICK.episode == Episode(4, 17, Mode.TRAIN)


def change(**changes):
    return json.dumps(json.loads(encode(TICK)) | changes)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        (encode(TICK)[:-5], "not JSON"),
        ("[1]", "expected an object"),
        (change(v=2), "version 2, expected 1"),
        ("{}", "version None"),
        (change(stamps=1), "unknown key 'stamps', did you mean 'stamp'"),
        (change(stamp="1"), "stamp is '1', expected int"),
        (change(stamp=True), "stamp is True, expected int"),
        (change(inputs={"a": 1.5}), "inputs is"),
        ('{"v": 1, "stamp": 1}', "missing"),
    ],
)
def test_damage_is_named(text, reason):
    with pytest.raises(CodecError, match=reason):
        decode(Tick, text)


def test_an_unknown_mode_names_the_valid_ones():
    with pytest.raises(CodecError, match=r"did you mean 'train'\? Valid: demo, eval, label, train"):
        messages.mode("trian")


def test_messages_of_one_kind_are_not_taken_for_another():
    with pytest.raises(CodecError, match="unknown key"):
        decode(SafetyState, encode(Intervention(1, True, 0, "")))
