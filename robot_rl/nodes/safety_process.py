"""The safety process: watches the heartbeats of all others and gives the robot its permit to move.

It is a process of its own, so that nothing else can delay it. When a process that the arm may not move
without is silent, the permit is denied at once; when this one is, the robot's process holds the arm for want
of a permit. See `robot_rl.control.watch` for the times. Part of the graph on the real clock; in lockstep the
arm waits for everybody anyway.

Run as `python -m robot_rl.nodes.safety_process`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from rclpy.node import Node
from std_msgs.msg import String

from robot_rl import tasks
from robot_rl.control.watch import HEARTBEAT_TIMEOUT, NOT_YET, HeartbeatWatch, ListeningClock
from robot_rl.core.errors import CodecError, ConfigError, StaleStateError
from robot_rl.nodes import heartbeat
from robot_rl.nodes.convert import json_from, json_message
from robot_rl.nodes.executor import Spinner, StopFlag, collect_garbage, run
from robot_rl.nodes.fault_log import FaultLog
from robot_rl.nodes.messages import GOODBYE, HEARTBEAT_RATE, Heartbeat, Permit
from robot_rl.nodes.params import Parameters
from robot_rl.nodes.qos import LOG, STREAM

PERMIT_RATE = 50.0
"""Permits a second [Hz]."""

TURN = 0.01
"""Time between two looks at the heartbeats [s]."""


@dataclass(frozen=True)
class SafetyProcessSettings:
    """Settings of the safety process beside the task's own, of which it needs none."""

    task: str = "franka_pick_cube"
    """Name of the task."""
    required: str = "console intervention"
    """Processes that the arm may not move without, with spaces between them. Each counts from when it has
    been heard of for a while: a console may be opened later, or never."""
    awaited: str = ""
    """Those that were started with the graph: before each has been heard of once, the arm does not move."""
    heartbeat_timeout: float = HEARTBEAT_TIMEOUT
    """Their longest silence [s]."""

    def __post_init__(self) -> None:
        if self.heartbeat_timeout <= 1.0 / HEARTBEAT_RATE:
            raise ConfigError(
                f"heartbeat_timeout must be longer than the {1.0 / HEARTBEAT_RATE:g} s between two "
                f"heartbeats, not {self.heartbeat_timeout}"
            )


class SafetyWatch(Node):
    """Hears the heartbeats and publishes the permit."""

    def __init__(self) -> None:
        super().__init__("safety_watch")
        parameters = Parameters(self)
        settings = parameters.read(SafetyProcessSettings())
        parameters.read(tasks.load(settings.task))
        parameters.check_all_known()
        self._clock = ListeningClock(2.0 * TURN)
        self._watch = HeartbeatWatch(
            settings.required.split(), settings.heartbeat_timeout, awaited=settings.awaited.split()
        )
        self._log = FaultLog(self, "the permit")
        self._sequence = 0
        self._allowed = False
        self._permit_at = 0.0
        self._permit = self.create_publisher(String, "safety/permit", STREAM)
        # Deep: after a pause of this process every heartbeat is still there.
        self.create_subscription(String, heartbeat.TOPIC, self._on_heartbeat, LOG)

    def _on_heartbeat(self, message: String) -> None:
        try:
            beat = json_from(Heartbeat, message)
        except CodecError as error:
            self.get_logger().error(f"heartbeat ignored: {error}", throttle_duration_sec=5.0)
            return
        if beat.sequence == GOODBYE:
            self._watch.let_go(beat.node, beat.pid)
        else:
            self._watch.hear(beat.node, beat.pid, self._clock.now)

    def look(self, now: float) -> None:
        """Judge, and publish the permit when it is due or has changed.

        Args:
            now: `time.monotonic()` [s].
        """
        verdict = self._watch.verdict(self._clock.turn())
        allowed = not verdict.reason
        if allowed == self._allowed and now < self._permit_at:
            return
        if allowed:
            self._log.good()
        elif not verdict.reason.endswith(NOT_YET):  # which is how every graph starts
            self._log.bad(StaleStateError(verdict.reason))
        self._allowed = allowed
        self._permit_at = now + 1.0 / PERMIT_RATE - 0.5 * TURN
        self._permit.publish(json_message(Permit(self._sequence, allowed, verdict.reason, verdict.late)))
        self._sequence += 1


def body(stop: StopFlag) -> None:
    """Make the node and run it until the process is asked to end."""
    node = SafetyWatch()
    spinner = Spinner(stop, node)
    collect_garbage()
    try:
        for now in spinner.turns(TURN):
            node.look(now)
    finally:
        spinner.close()


def main() -> int:
    """Entry point."""
    return run("safety", body)


if __name__ == "__main__":
    sys.exit(main())
