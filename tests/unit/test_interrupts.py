from __future__ import annotations

import gc
import signal
import sys
import time

import pytest

from robot_rl.cli.interrupts import interrupts_heard


@pytest.fixture
def dropping():
    """The next collection of garbage drops an interrupt, as the callback of a library does."""

    def interrupted(phase, info):
        gc.callbacks.remove(interrupted)
        raise KeyboardInterrupt

    # Whoever started the tests may have told them to ignore Ctrl-C, as a shell does in the background.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.callbacks.append(interrupted)
    yield
    signal.signal(signal.SIGINT, before)
    if interrupted in gc.callbacks:
        gc.callbacks.remove(interrupted)


def test_an_interrupt_that_python_drops_is_raised_again(dropping):
    with pytest.raises(KeyboardInterrupt), interrupts_heard():
        gc.collect()
        time.sleep(20.0)


def test_what_else_is_dropped_is_reported_as_before(monkeypatch):
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: reported.append(dropped.exc_type))

    class Careless:
        def __del__(self):
            raise ValueError

    with interrupts_heard():
        Careless()
    assert reported == [ValueError]
