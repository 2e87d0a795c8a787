"""Says where the session is: latched on session/state, and in the run's session.json for who has no ROS."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rclpy.node import Node
from std_msgs.msg import String

from robot_rl.core.types import Mode
from robot_rl.data.run_directory import write_json
from robot_rl.env.session import Session
from robot_rl.nodes.convert import json_message
from robot_rl.nodes.messages import SessionState
from robot_rl.nodes.qos import LATCHED
from robot_rl.nodes.run import SESSION
from robot_rl.nodes.session_desk import SessionDesk


class Announcer:
    """Publishes the `SessionState` of one run of an actor, at every change."""

    def __init__(
        self, node: Node, introduction: SessionState, session: Session, desk: SessionDesk, out: Path
    ) -> None:
        """Speak for an actor.

        Args:
            node: Owns the publisher.
            introduction: Name, run and spec of the actor.
            session: Its session.
            desk: Knows why the session stands still.
            out: Run directory.
        """
        self.state = introduction
        """What was said last."""
        self.phase = ""
        """Of the last episode that was begun, "" before the first."""
        self._node = node
        self._session = session
        self._desk = desk
        self._file = out / SESSION
        self._publisher = node.create_publisher(String, "session/state", LATCHED)

    def tell(self) -> None:
        """Tell the graph where the session is, and the user why it stands still, if that has changed."""
        activity = self._desk.activity
        phase = self._session.phase
        if phase == "done":  # which is said when the last episode cannot be taken back any more
            phase = self.phase
        before = self.state
        self.say(phase, activity, why(activity, self._session, self._desk), self._desk.undo)
        state = self.state
        if activity in ("waiting", "paused") and (activity, state.reason) != (before.activity, before.reason):
            self._node.get_logger().info(f"{activity}: {state.reason}")

    def say(self, phase: str, activity: str = "running", reason: str = "", undo: int = -1) -> None:
        """Say where the session is, if that is news.

        Args:
            phase: Of the session, or "starting" or "done".
            activity: As in `SessionState`.
            reason: Why it stands still.
            undo: Index of the episode that can be taken back, -1 for none.
        """
        state = dataclasses.replace(
            self.state,
            phase=phase,
            steps=self._session.practice_steps,
            activity=activity,
            reason=reason,
            undo=undo,
        )
        if state != self.state:
            self.state = state
            write_json(self._file, dataclasses.asdict(state))
            self._publisher.publish(json_message(state))


def why(activity: str, session: Session, desk: SessionDesk) -> str:
    """Why the session stands still and what to do about it, "" when it does not."""
    match activity:
        case "held":
            return desk.held
        case "paused":
            return f"paused by {desk.paused_by}: start goes on"
        case "waiting":
            back = ", undo takes the last episode back" if desk.undo >= 0 else ""
            halted = f"{desk.halted}: " if desk.halted else ""
            return f"{halted}start {what_start_does(session)}{back}"
    return ""


def what_start_does(session: Session) -> str:
    """What the operator's "start" begins."""
    episode = session.next_episode()
    if episode is None:
        return "ends the session, all is done"
    match episode.mode:
        case Mode.DEMO if session.requested is None:
            done = sum(result.success for result in session.record.demonstrations)
            return f"begins demonstration {done + 1} of {session.demonstrations}"
        case Mode.LABEL if session.requested is None:
            done, wanted = len(session.record.labels), session.config.label_episodes
            return f"begins episode {done + 1} of {wanted} for labels"
        case Mode.DEMO:
            return "begins a demonstration"
        case Mode.LABEL:
            return "begins an episode for labels"
        case Mode.TRAIN:
            return "lets the policy practise"
        case Mode.EVAL:
            return "lets the policy show alone what it has learned"
