"""An operator for the tests: sits at the topics of a graph as the console does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from std_msgs.msg import String

from robot_rl.nodes import convert
from robot_rl.nodes.messages import OperatorCommand, OperatorInput, SessionState
from robot_rl.nodes.qos import LATCHED
from tests.ros.probe import Probe, Watched, probing

PERIOD = 0.03
"""Between two messages of her page [s]."""


class Operator:
    """Holds buttons down, gives commands, and hears what the session says."""

    def __init__(self, probe: Probe, hands: bool) -> None:
        self.probe = probe
        self.buttons = ""
        self.axes = (0.0,) * 6
        self.silent = False
        """Her page is gone."""
        self.said: list[SessionState] = []
        """All that the session has said."""
        self._sequence = 0
        node = probe.node
        node.create_subscription(String, "session/state", self._on_session, LATCHED)
        probe.listen("learner/state", String, LATCHED)
        self._commands = probe.publisher("operator/command", String)
        if hands:
            self._input = probe.publisher("operator/input", String)
            node.create_timer(PERIOD, self._send)

    def _on_session(self, message: String) -> None:
        self.said.append(convert.json_from(SessionState, message))

    def _send(self) -> None:
        if not self.silent:
            self.send("page-1", self.axes, self.buttons)

    def send(self, who: str, axes: tuple[float, ...], buttons: str = "") -> None:
        """One message of a page."""
        self._sequence += 1
        hands = OperatorInput(who, self._sequence, *axes, buttons=buttons)
        self._input.publish(convert.json_message(hands))

    @property
    def state(self) -> SessionState:
        """What the session said last."""
        return self.said[-1] if self.said else SessionState("", -1, "", "", 0)

    def tell(self, command: str) -> None:
        """Give a command."""
        self._commands.publish(convert.json_message(OperatorCommand("page-1", command)))

    def wait_for(self, activity: str, phase: str = "") -> SessionState:
        """Wait until the session is where it is expected; return what it says."""

        def there() -> bool:
            return self.state.activity == activity and (not phase or self.state.phase == phase)

        self.probe.wait(there)
        return self.state

    def wait_for_learner(self) -> None:
        """Wait until the learner works: while it starts, it takes the CPU from the others."""
        self.probe.wait(lambda: "learner/state" in self.probe.newest)

    def show(self) -> None:
        """Start demonstrations and end them by a button, until one has succeeded.

        A busy machine may starve the process that reads her devices; then the actor gives the episode up.
        """
        while self.state.undo < 0:
            self.wait_for("waiting")
            self.tell("start")
            self.wait_for("running")
            self.rest(0.8)
            self.buttons = "success"
            self.wait_for("waiting")
            self.buttons = ""
            self.rest(0.1)

    def rest(self, seconds: float) -> None:
        """Let time go by with her hands on the devices."""
        end = self.probe.node.get_clock().now().nanoseconds + seconds * 1e9
        self.probe.wait(lambda: self.probe.node.get_clock().now().nanoseconds >= end)


@contextmanager
def operating(graph: Watched, hands: bool = True) -> Iterator[Operator]:
    """An operator at a running graph; without `hands` she only gives commands."""
    with probing(graph) as probe:
        yield Operator(probe, hands)
