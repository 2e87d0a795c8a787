"""The operator behind the topics, as the actor meets her on the real clock.

She has the last word only as long as she is heard: when her device or the intervention node falls silent
while she is in control, the arm holds still, and after a second the episode is given up. Control never goes
back to the policy that way, nor by a node that was started again and has not seen her take it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from geometry_msgs.msg import TwistStamped
from std_msgs.msg import String

from robot_rl.core.clock import nanoseconds, seconds
from robot_rl.core.errors import CodecError, StaleStateError
from robot_rl.core.types import ArmState, Episode, Mode, TeleopCommand
from robot_rl.data.json_messages import Intervention
from robot_rl.nodes.convert import json_from, nanoseconds_of, teleop_command
from robot_rl.nodes.qos import STREAM
from robot_rl.nodes.topic_robot import PERSON, TopicRobot

MAX_AGE = 0.1
"""What she wants is acted on until it is this old, while she is in control [s]."""

MAX_AGE_OF_POLICY = 0.3
"""The policy is left in control until this long after she was last heard of [s]: a short pause of a process
must not look like a correction."""

PATIENCE = 1.0
"""After this long without her the episode is given up [s]."""

ANSWER_TIME = 0.1
"""Longest wait at a reset for what she wants in the new episode [s]."""


class TopicOperator:
    """The `Teleop` of an operator at the intervention node, on the real clock."""

    def __init__(self, robot: TopicRobot, clock: Callable[[], int] = time.monotonic_ns) -> None:
        """Listen to the intervention node.

        Args:
            robot: Whose ticks and reset requests count.
            clock: Steady time [ns].
        """
        self.robot = robot
        self._clock = clock
        self._twists: dict[int, TwistStamped] = {}
        self._events: dict[int, Intervention] = {}
        self._newest: tuple[Intervention, TeleopCommand] | None = None
        """The event that came last and, with its twist, what it means."""
        self.heard = -1
        """Stamp of the newest that she said [ns], -1 before the first."""
        self._arrived_at = 0
        self._good_at = 0
        """When she, or the policy that she looks after, was last known to be in control [ns]."""
        self._outcome = ""
        """Her verdict, until the actor has read it: it comes once, between two ticks."""
        self._who = ""
        self._always_hers = False
        self._problem: CodecError | None = None
        self._forgotten = ""
        """Who was in control before a silence of the intervention node after which nobody is, "" for none."""
        robot.node.create_subscription(TwistStamped, "intervention/twist", self._on_twist, STREAM)
        robot.node.create_subscription(String, "intervention/event", self._on_event, STREAM)

    def reset(self, episode: Episode, state: ArmState) -> None:
        """Forget the episode before, and wait a moment for what she wants in this one."""
        self._always_hers = episode.mode in (Mode.DEMO, Mode.LABEL)
        self._outcome = self._forgotten = ""
        self._good_at = self._clock()
        deadline = time.monotonic() + ANSWER_TIME
        while self._answer() is None and (left := deadline - time.monotonic()) > 0:
            self.robot.spinner.spin_once(left)

    def read(self, state: ArmState) -> TeleopCommand:
        if self._problem is not None:
            problem, self._problem = self._problem, None
            raise problem
        if self._forgotten:
            raise StaleStateError(
                f"{self._forgotten} was in control when {PERSON} fell silent, and is not since it is back: "
                "the episode is given up. Take over again in the next one."
            )
        now = self._clock()
        outcome, self._outcome = self._outcome, ""
        command = self._answer()
        if command is not None and not command.lost:
            limit = MAX_AGE if command.active else MAX_AGE_OF_POLICY
            # It may have come just now, and from a queue: then the state is ahead of it.
            age = max(now - self._arrived_at, state.stamp - command.stamp)
            if age <= nanoseconds(limit):
                self._good_at = now
                return replace(command, outcome=outcome)
        if now - self._good_at > nanoseconds(PATIENCE):
            raise StaleStateError(self._why(seconds(now - self._good_at)))
        return TeleopCommand(
            state.stamp, active=True, twist=np.zeros(6), outcome=outcome, who=self._who, lost=True
        )

    def is_fresh(self) -> bool:
        """Whether she is heard of, and the device in control is there."""
        if self._newest is None or self._newest[1].lost:
            return False
        return self._clock() - self._arrived_at <= nanoseconds(MAX_AGE_OF_POLICY)

    def _answer(self) -> TeleopCommand | None:
        """The newest that she said about this episode; where it is hers throughout, only what she does."""
        if self._newest is None:
            return None
        event, command = self._newest
        if event.request != self.robot.request or (self._always_hers and not command.active):
            return None
        return command

    def _why(self, silence: float) -> str:
        command = self._answer()
        if command is not None and command.lost:
            return (
                f"{command.who} is in control and has been gone for {silence:.1f} s: the arm holds, and the "
                "episode is given up. Bring it back, or take over with another device."
            )
        holder = f"{self._who} is in control" if self._who else "an operator looks after it"
        return (
            f"nothing from {PERSON} for {silence:.1f} s, while {holder}: the arm holds, and the episode is "
            "given up. It goes on when that node is back."
        )

    def _on_twist(self, message: TwistStamped) -> None:
        self._twists[nanoseconds_of(message.header.stamp)] = message
        self._pair(nanoseconds_of(message.header.stamp))

    def _on_event(self, message: String) -> None:
        try:
            event = json_from(Intervention, message)
        except CodecError as error:
            self._problem = error
            return
        self._events[event.stamp] = event
        if event.outcome and event.request == self.robot.request:
            self._outcome = event.outcome
        self._pair(event.stamp)

    def _pair(self, stamp: int) -> None:
        """Take an event and its twist once both are there. The topics are in order, each for itself."""
        if stamp not in self._twists or stamp not in self._events:
            return
        event, now = self._events[stamp], self._clock()
        silent = now - self._arrived_at > nanoseconds(MAX_AGE_OF_POLICY)
        if silent and not event.active and self._newest is not None:
            before, command = self._newest
            if command.active and before.request == event.request:
                self._forgotten = command.who
        self._newest = event, teleop_command(self._twists[stamp], event)
        self._arrived_at = now
        self._who, self.heard = event.who, stamp
        # What came before it will not be paired any more.
        for kept in (self._twists, self._events):
            for old in list(kept):
                del kept[old]
                if old == stamp:
                    break
