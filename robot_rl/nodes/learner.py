"""The learner: journals every transition, acknowledges it, learns from it, and publishes the weights.

A transition is acknowledged only when the journal has it, and a checkpoint names the last one that it holds.
So a learner that is killed at any moment starts again from its checkpoint, learns once more from what came
after it, and goes on as if nothing had happened. Run as
`python -m robot_rl.nodes.learner --ros-args -p task:=franka_pick_cube -p out:=runs/a`.
"""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rclpy.node import Node
from std_msgs.msg import String, UInt8MultiArray

from policies.bundle import Bundle, save_bundle
from robot_rl import tasks
from robot_rl.core.errors import CodecError
from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import Source, Transition
from robot_rl.data.codec import Ack, TransitionCodec, Weights, encode_ack, encode_weights
from robot_rl.data.journal import Journal
from robot_rl.data.run_directory import provenance
from robot_rl.learn import checkpoint
from robot_rl.learn.governor import ReplayRatioGovernor
from robot_rl.learn.learner import Learner, is_finite
from robot_rl.nodes.convert import bytes_from, bytes_message, json_from, json_message
from robot_rl.nodes.executor import LONGEST_SPIN, Spinner, StopFlag, run
from robot_rl.nodes.messages import LearnerState, SessionState
from robot_rl.nodes.params import Parameters
from robot_rl.nodes.qos import LATCHED, TRANSITIONS, WEIGHTS
from robot_rl.nodes.run import JOURNAL

POLL = 0.002
"""How often a running update is asked whether it is done [s]."""


@dataclass(frozen=True)
class LearnerSettings:
    """Settings of the learner node beside the task's own."""

    task: str = "franka_pick_cube"
    """Name of the task."""
    seed: int = 0
    """Seeds the networks and all sampling."""
    out: str = "runs/graph"
    """Run directory, on this machine."""
    checkpoint_every: int = 20
    """Versions of the weights between two checkpoints, which also write the policy bundle."""
    metrics_every: int = 10
    """Versions of the weights between two messages on learner/metrics."""
    clock: Literal["lockstep", "realtime"] = "lockstep"
    """In lockstep the actor waits for the learner. On the real clock the learner has to keep up."""
    debt_limit: int = 600
    """On the real clock, practice that may wait for its updates [environment steps]; what is beyond it is
    stored and not learned from."""


class LearnerNode(Node):
    """The learner's topics, journal and loop."""

    def __init__(self) -> None:
        super().__init__("learner")
        parameters = Parameters(self)
        self.settings = parameters.read(LearnerSettings())
        config = parameters.read(tasks.load(self.settings.task))
        parameters.check_all_known()
        self.spec: EnvSpec = config.spec
        out = Path(self.settings.out)
        self.checkpoints = out / "checkpoints"
        self.policy = out / "policy"
        self.learner = Learner(self.spec, config.learner, self.settings.seed)
        self.journal = Journal(out / JOURNAL, self.spec)
        self.codec = TransitionCodec(self.spec)
        live = self.settings.clock == "realtime"
        self.governor = ReplayRatioGovernor(
            config.learner.utd_ratio,
            config.learner.block,
            max(self.settings.debt_limit, config.learner.block) if live else sys.maxsize,
        )
        self._plan: deque[bool] = deque()
        self.queue: deque[Transition] = deque()
        """Journalled, but not learned from yet."""
        self.arrived: list[Transition] = []
        """Appended to the journal, but not committed yet."""
        self.practice_steps = 0
        self.transitions = 0
        self.published = 0
        """Newest version that was published."""
        self.saved = 0
        """Version in the newest checkpoint."""
        self.closed: dict[str, int] = {}
        """Actor to its newest run; what still comes of older ones is too late."""
        self.session: SessionState | None = None
        self.answer_due = False
        self.done = False
        self.resting = False
        """The session stands still: what arrives is kept and acknowledged, but not learned from yet."""
        self._weights = self.create_publisher(UInt8MultiArray, "policy/weights", WEIGHTS)
        self._ack = self.create_publisher(UInt8MultiArray, "learner/ack", TRANSITIONS)
        self._state = self.create_publisher(String, "learner/state", LATCHED)
        self._metrics = self.create_publisher(String, "learner/metrics", LATCHED)

    def restore(self) -> None:
        """Bring back what an earlier start of this learner has learned and journalled."""
        if self.journal.torn_bytes:
            self.get_logger().info(f"the journal ended in {self.journal.torn_bytes} unacknowledged bytes")
        stream = self._usable(self.journal.replay())
        if (self.checkpoints / checkpoint.INDEX).exists():
            self.learner.load(self.checkpoints)
            self.learner.restore_buffer(stream)
            self.governor.arrive(self.learner.steps % self.governor.block)  # the unfinished block
            self.saved = self.learner.version
            self.publish_weights()
        restored = self.transitions
        for transition in stream:
            self.governor.arrive(transition.source is not Source.DEMO)
            self.fold(transition)
            if self.learner.version > self.published:
                self.publish_weights()
        if self.published:
            self.publish_metrics()
        if self.transitions:
            self.get_logger().info(
                f"went on from version {self.saved} with {restored} transitions, and learned again from "
                f"the {self.transitions - restored} that came after it"
            )

    def listen(self) -> None:
        """Subscribe; until then nothing arrives, so that a restored learner is whole before it hears more."""
        self.create_subscription(UInt8MultiArray, "learner/transitions", self._on_transitions, TRANSITIONS)
        self.create_subscription(String, "session/state", self._on_session, LATCHED)

    def _usable(self, transitions: Iterable[Transition]) -> Iterator[Transition]:
        """Count and pass on what can be learned from; the journal keeps the rest too."""
        for transition in transitions:
            if is_finite(self.spec, transition):
                self.transitions += 1
                self.practice_steps += transition.source is not Source.DEMO
                yield transition
            else:
                self.get_logger().error(f"{transition.key} is not finite and is not learned from")

    def _on_transitions(self, message: UInt8MultiArray) -> None:
        try:
            transitions = self.codec.decode(bytes_from(message))
        except CodecError as error:
            self.get_logger().error(f"learner/transitions ignored and not acknowledged: {error}")
            return
        for transition in transitions:
            key = transition.key
            if key.run >= self.closed.get(key.actor, 0) and self.journal.append(transition):
                self.arrived.append(transition)
        self.answer_due = True

    def _on_session(self, message: String) -> None:
        try:
            session = json_from(SessionState, message)
        except CodecError as error:
            self.get_logger().error(f"session/state ignored: {error}")
            return
        if session.run < self.closed.get(session.actor, 0):
            return
        new = self.session is None or (session.actor, session.run) != (self.session.actor, self.session.run)
        self.session = session
        self.closed[session.actor] = session.run
        self.done = session.phase == "done"
        resting = session.activity in ("paused", "held")
        if resting != self.resting:
            self.resting = resting
            said = "rests" if resting else "goes on"
            self.get_logger().info(f"the learner {said}: the session is {session.activity}")
        if session.spec != self.spec.digest:
            self.get_logger().error(
                f"actor {session.actor!r} works with spec {session.spec}, the learner for {self.spec.digest} "
                f"of task {self.spec.name!r}: start both with the same task and settings"
            )
        if new:
            self.commit()
            self.publish_state()

    def commit(self) -> None:
        """Make what arrived durable, acknowledge it, and queue it for learning."""
        if self.arrived:
            self.journal.commit()
            for transition in self._usable(self.arrived):
                self.governor.arrive(transition.source is not Source.DEMO)
                self.queue.append(transition)
            self.arrived = []
        if self.answer_due:
            self.answer_due = False
            ack = Ack(self.journal.last_keys, self.published)
            self._ack.publish(bytes_message(encode_ack(ack, self.spec)))

    def fold(self, transition: Transition) -> None:
        """Learn from one transition, or only store it when the governor says so."""
        practice = transition.source is not Source.DEMO
        completes_block = practice and (self.learner.steps + 1) % self.governor.block == 0
        self.learner.add(transition, self._next_planned() if completes_block else True)

    def _next_planned(self) -> bool:
        """Whether to learn from the block that is complete now."""
        if not self._plan:
            plan = self.governor.plan(capacity=1)
            self._plan.extend([False] * plan.store + [True] * plan.learn)
        return self._plan.popleft()

    def publish_weights(self) -> None:
        """Publish the newest weights; waits for them."""
        learner = self.learner
        self.published = learner.version
        if not self.published:
            return
        weights = Weights(self.published, learner.weights())
        self._weights.publish(bytes_message(encode_weights(weights, self.spec)))
        if self.published % self.settings.metrics_every == 0 or self.published <= 2:
            self.publish_metrics()
        if self.published - self.saved >= self.settings.checkpoint_every:
            self.save()

    def publish_metrics(self) -> None:
        """Publish the learner's figures and how well it keeps up."""
        figures = self.learner.metrics() | self.governor.metrics() | {"backlog": float(len(self.queue))}
        self._metrics.publish(String(data=json.dumps(figures)))

    def save(self) -> None:
        """Write a checkpoint and the policy bundle."""
        self.learner.save(self.checkpoints)
        facts = provenance(self.settings.task, self.settings.seed) | {"steps": self.learner.steps}
        save_bundle(self.policy, Bundle(self.spec, self.learner.weights(), self.learner.version, facts))
        self.saved = self.learner.version

    def publish_state(self) -> None:
        """Say what the learner holds."""
        actor, run = (self.session.actor, self.session.run) if self.session is not None else ("", 0)
        state = LearnerState(
            actor,
            run,
            self.spec.digest,
            self.published,
            self.transitions,
            self.practice_steps,
            self.saved,
        )
        self._state.publish(json_message(state))

    def work(self, spinner: Spinner) -> None:
        """Serve the graph until the process is asked to end."""
        told = -1
        while True:
            busy = (bool(self.queue) and not self.resting) or self.published < self.learner.version
            spinner.spin_once(POLL if busy else LONGEST_SPIN)
            self.commit()
            if not self.learner.ready:
                continue  # keep acknowledging while the update runs
            if self.published < self.learner.version:
                self.publish_weights()
            elif self.queue and not self.resting:
                self.fold(self.queue.popleft())
            elif self.done and self.saved < self.learner.version:
                self.publish_metrics()
                self.save()
            if self.done and self.saved != told and not self.queue:
                told = self.saved
                self.publish_state()


def body(stop: StopFlag) -> None:
    """Make the learner and run it until the process is asked to end."""
    node = LearnerNode()
    spinner = Spinner(stop, node)
    try:
        node.restore()
        node.listen()
        node.work(spinner)
    finally:
        node.journal.close()
        spinner.close()


def main() -> int:
    """Entry point."""
    return run("learner", body)


if __name__ == "__main__":
    sys.exit(main())
