"""What is overtaken while something takes long is dropped, and what fails is told."""

from __future__ import annotations

import threading
import time

import pytest

from robot_rl.core.errors import RobotRlError
from robot_rl.nodes.newest_action import NewestAction

PATIENCE = 10.0


def test_the_newest_of_each_kind_is_done() -> None:
    sender, done = NewestAction("sending"), []
    begun, free, ended = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        assert free.wait(PATIENCE)

    sender.put("setpoint", slow)
    assert begun.wait(PATIENCE)
    for i in range(5):
        sender.put("setpoint", lambda i=i: done.append(("setpoint", i)))
        sender.put("pose", lambda i=i: done.append(("pose", i)))
    sender.put("last", ended.set)
    assert not done
    free.set()
    assert ended.wait(PATIENCE)
    assert done == [("setpoint", 4), ("pose", 4)]
    sender.check()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_fails_is_told() -> None:
    sender = NewestAction("sending setpoints")
    sender.put("setpoint", lambda: [][0])
    deadline = time.monotonic() + PATIENCE
    with pytest.raises(RobotRlError, match="sending setpoints has failed"):
        while time.monotonic() < deadline:
            sender.check()
            time.sleep(0.005)
