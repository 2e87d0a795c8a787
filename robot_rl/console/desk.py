"""The rules of the console: which page may do what. Pure: times are handed in, and nothing waits.

Anybody who may look may also stop the robot. All else is for the one page that has control; only in a run
in which no operator helps, every page may command the session and clear faults.

When the page in control falls silent, its hands are taken off the keys at once (`lease.SILENCE`), and from
then on nothing is said in its name: the graph sees a device that is lost, and holds the arm still, instead of
one that lies at rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot_rl.console.graph import Graph
from robot_rl.console.handle import Handle
from robot_rl.console.lease import Lease
from robot_rl.console.model import Setup
from robot_rl.console.protocol import ClearFault, Command, Control, EStop, Hands, PageMessage
from robot_rl.core.clock import nanoseconds
from robot_rl.core.types import DeviceState, Pose

UNHELPED = ("scripted", "none")
"""`Setup.person` of runs in which no operator helps."""

CLEAR_TIMEOUT = 3.0
"""The robot's process answers in milliseconds; one that is silent for longer is dead, or was stopped [s]."""

REST = Hands((0.0,) * 6, frozenset())
"""Nothing is held down."""


@dataclass(frozen=True)
class Notice:
    """A line for the operator of one page."""

    text: str
    bad: bool = True
    """It tells of something that was not done."""


@dataclass(eq=False)
class _Clearing:
    """A page has asked the robot to clear a fault."""

    who: str
    since: float
    answered: bool = False


class Desk:
    """Takes the messages of all pages, decides, and acts on the graph.

    Args:
        graph: The robot's.
        setup: What may be commanded.
        tell: Shows a notice on a page; may be called by any thread.
        handle: Of the 3-D view, where there is one.
    """

    def __init__(
        self, graph: Graph, setup: Setup, tell: Callable[[str, Notice], None], handle: Handle | None = None
    ) -> None:
        self.graph = graph
        self.setup = setup
        self.lease = Lease()
        self._tell = tell
        self._handle = handle
        self._joined = 0
        self._clearings: list[_Clearing] = []
        """Requests that may still be without an answer."""
        self._hands = REST
        self._resting = True
        """The last that was said of the hands is that they are at rest."""

    def join(self) -> str:
        """A page has come; the name that it gets."""
        self._joined += 1
        return f"operator {self._joined}"

    def leave(self, who: str, now: float) -> None:
        """A page has gone."""
        if self.lease.give_back(who):
            self._let_go(who, now)

    def hear(self, who: str, message: PageMessage, now: float) -> None:
        """Do what a page says, or tell it why not."""
        if isinstance(message, EStop):
            if not self.graph.e_stop(f"{who}, on the console"):
                self._tell(who, Notice("Nobody hears the stop: use the robot's own emergency stop."))
        elif isinstance(message, Control):
            self._control(who, message.take, now)
        elif isinstance(message, Hands):
            if self._has_control(who, message):
                self.lease.hear(who, now)
                self._hands = message
                self._send(who, now)
        elif isinstance(message, (Command, ClearFault)) and self._may_lead(who, message):
            self.lease.hear(who, now)
            if isinstance(message, Command):
                self.graph.command(who, message.name)
            else:
                self._clear_fault(who, now)

    def drag(self, who: str, wanted: Pose | None, now: float) -> bool:
        """A page drags the handle to a pose in the base frame, or lets it go; False when it may not."""
        if self._handle is None or self.lease.holder != who or self.lease.is_silent(now):
            return False
        self._handle.drag(wanted)
        self._send(who, now)
        return True

    def look_after(self, now: float) -> None:
        """Take the hands of a silent page off, and tell of a robot that does not answer.

        To be called every few hundredths of a second.
        """
        for clearing in [c for c in self._clearings if c.answered or now - c.since > CLEAR_TIMEOUT]:
            self._clearings.remove(clearing)
            if not clearing.answered:
                self._tell(clearing.who, Notice(_UNANSWERED))
        if self.lease.is_silent(now) and not self._resting:
            self._let_go(self.lease.holder, now)
        if lost := self.lease.expire(now):
            self._offer_handle(False)
            self._tell(lost, Notice("This page was silent for a second and has lost control: take it again."))

    def _clear_fault(self, who: str, now: float) -> None:
        clearing = _Clearing(who, now)

        def on_answer(ok: bool, text: str) -> None:
            clearing.answered = True
            # Late or not, it tells what became of the fault.
            self._tell(who, _answer(ok, text))

        self._clearings.append(clearing)
        self.graph.clear_fault(on_answer)

    def _control(self, who: str, take: bool, now: float) -> None:
        if not take:
            if self.lease.give_back(who):
                # The last word, so that it is heard: with her hands at rest alone, she would still be in
                # control of the robot, and then a lost device.
                self.graph.send(who, DeviceState(nanoseconds(now), np.zeros(6), frozenset({"hand_back"})))
                self._hands, self._resting = REST, True
                self._offer_handle(False)
        elif self.setup.person != "operator":
            self._tell(who, Notice(_watching(self.setup.person)))
        elif self.lease.take(who, now):
            self._offer_handle(True)
        else:
            self._tell(who, Notice(f"{self.lease.holder} has control, and has to give it back first."))

    def _may_lead(self, who: str, message: PageMessage) -> bool:
        return self.setup.person in UNHELPED or self._has_control(who, message)

    def _has_control(self, who: str, message: PageMessage) -> bool:
        if self.lease.holder == who:
            return True
        if not isinstance(message, Hands):  # those of a page that has just lost control are not worth a word
            holder = self.lease.holder
            does = f"{holder} has it" if holder else "Nobody has it: take it first"
            self._tell(who, Notice(f"Only the page in control may do that. {does}."))
        return False

    def _send(self, who: str, now: float) -> None:
        """Say what the hands of the page in control do now, the dragged handle included."""
        pulled = self._handle.axes() if self._handle is not None else None
        axes = np.array(self._hands.axes) if pulled is None else pulled
        frame = "" if pulled is None else "base"
        self.graph.send(who, DeviceState(nanoseconds(now), axes, self._hands.buttons, frame))
        self._resting = False

    def _let_go(self, who: str, now: float) -> None:
        """Take the hands off, for a page that does not say so itself."""
        self._hands, self._resting = REST, True
        if self._handle is not None:
            self._handle.drag(None)
        self.graph.send(who, DeviceState(nanoseconds(now), np.zeros(6)))
        self._offer_handle(self.lease.holder == who)

    def _offer_handle(self, visible: bool) -> None:
        if self._handle is not None:
            self._handle.show(visible)


_UNANSWERED = (
    f"The fault may stay: the robot's process has not answered for {CLEAR_TIMEOUT:g} s. If it does not come "
    "back by itself, look into its log, logs/robot.log in the run directory, and start it again."
)


def _answer(ok: bool, text: str) -> Notice:
    return Notice("The fault is cleared." if ok else f"The fault stays: {text}", not ok)


def _watching(person: str) -> str:
    if person not in UNHELPED:
        return "This console was opened only to look: it can stop the robot."
    does = "a scripted person" if person == "scripted" else "nobody"
    return (
        f"In this run {does} helps the policy: the page can look, command the session and stop the robot. "
        "Start one with an operator: robot-rl up TASK --console"
    )
