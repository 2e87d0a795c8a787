"""Transitions reach a learner exactly once, over a channel that loses what it likes."""

from __future__ import annotations

import random

import pytest

from robot_rl.data.codec import Ack, TransitionCodec
from robot_rl.nodes.outbox import BATCH, Outbox
from tests.unit.data_samples import small_spec, transition

SPEC = small_spec()


def make_transition(sequence):
    return transition(SPEC, sequence, run=0)


class Wire:
    """A clock, and what was sent."""

    def __init__(self):
        self.time = 0.0
        self.codec = TransitionCodec(SPEC)
        self.sent = []
        self.outbox = Outbox(self.codec, self.sent.append, lambda: self.time, resend_after=1.0)

    def sequences(self):
        numbers = [[t.key.sequence for t in self.codec.decode(data)] for data in self.sent]
        self.sent.clear()
        return numbers


@pytest.fixture
def wire():
    return Wire()


def acknowledge(wire, last, run=0):
    wire.outbox.acknowledge(Ack({("actor", run): last}, 0))


def test_what_is_new_is_sent_once(wire):
    wire.outbox.add(make_transition(0))
    wire.outbox.add(make_transition(1))
    assert wire.sent == []
    wire.outbox.flush()
    assert wire.sequences() == [[0, 1]]
    wire.outbox.flush()
    assert wire.sequences() == []
    assert len(wire.outbox) == 2


def test_silence_makes_it_send_everything_again(wire):
    wire.outbox.add(make_transition(0))
    wire.outbox.flush()
    wire.outbox.add(make_transition(1))
    wire.outbox.flush()
    wire.sequences()
    wire.time = 1.5
    wire.outbox.flush()
    assert wire.sequences() == [[0, 1]]
    wire.outbox.flush()
    assert wire.sequences() == []
    assert wire.outbox.resent == 2


def test_an_acknowledgement_counts_as_news(wire):
    for i in range(3):
        wire.outbox.add(make_transition(i))
    wire.outbox.flush()
    wire.time = 0.9
    acknowledge(wire, 0)
    wire.time = 1.5
    wire.sequences()
    wire.outbox.flush()
    assert wire.sequences() == []
    wire.time = 2.0
    wire.outbox.flush()
    assert wire.sequences() == [[1, 2]]
    acknowledge(wire, 2)
    assert len(wire.outbox) == 0


def test_acknowledgements_of_other_runs_change_nothing(wire):
    wire.outbox.add(make_transition(0))
    acknowledge(wire, 7, run=3)
    assert len(wire.outbox) == 1


def test_a_pause_is_no_silence(wire):
    wire.time = 100.0
    wire.outbox.add(make_transition(0))
    wire.outbox.flush()
    wire.outbox.flush()
    assert wire.sequences() == [[0]]


def test_large_batches_are_split(wire):
    for i in range(BATCH + 3):
        wire.outbox.add(make_transition(i))
    wire.outbox.flush()
    assert [len(batch) for batch in wire.sequences()] == [BATCH, 3]


@pytest.mark.parametrize("seed", range(5))
def test_a_lossy_channel_delivers_everything_once_and_in_order(wire, seed):
    """A receiver that takes only the next in sequence, as the journal does."""
    rng = random.Random(seed)
    received = []
    for i in range(200):
        if i < 100:
            wire.outbox.add(make_transition(i))
        wire.outbox.flush()
        wire.time += 0.3
        for data in wire.sent:
            if rng.random() < 0.5:
                continue
            for arrived in wire.codec.decode(data):
                if arrived.key.sequence == len(received):
                    received.append(arrived.key.sequence)
        wire.sent.clear()
        if received and rng.random() < 0.5:
            acknowledge(wire, received[-1])
    assert received == list(range(100))
