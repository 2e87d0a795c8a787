"""The actor's side of the topics between actor and learner."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from rclpy.node import Node
from std_msgs.msg import String, UInt8MultiArray

from robot_rl.core.errors import CodecError, SpecError
from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import Source, Transition
from robot_rl.data.codec import TransitionCodec, decode_ack, decode_weights
from robot_rl.env.schedule import settled_version
from robot_rl.nodes.announcer import Announcer
from robot_rl.nodes.convert import bytes_from, bytes_message, json_from
from robot_rl.nodes.executor import Spinner
from robot_rl.nodes.messages import LearnerState
from robot_rl.nodes.outbox import Outbox
from robot_rl.nodes.qos import LATCHED, TRANSITIONS, WEIGHTS
from robot_rl.nodes.remote_policy import RemotePolicies

LEARNER = "the learner (robot_rl.nodes.learner)"

SAY_AFTER = 5.0
"""Waiting for the learner longer than this is told in the log [s]."""


class LearnerLink:
    """Sends transitions until they are acknowledged, and receives weights."""

    def __init__(
        self,
        node: Node,
        spinner: Spinner,
        spec: EnvSpec,
        announcer: Announcer,
        block: int,
        timeout: float | None,
    ) -> None:
        """Connect to the learner.

        Args:
            node: Owns the publishers and subscriptions.
            spinner: Spins the node.
            spec: Spec of the environment.
            announcer: Introduces this run of the actor to the learner.
            block: Practice steps between two versions of the weights.
            timeout: In lockstep, silence of the learner that ends in an error [s]; None on the real clock,
                where the actor never waits for it.
        """
        self.node = node
        self.spinner = spinner
        self.spec = spec
        self.announcer = announcer
        self.timeout = timeout
        self._transitions = node.create_publisher(UInt8MultiArray, "learner/transitions", TRANSITIONS)
        self._codec = TransitionCodec(spec)
        self.outbox = Outbox(self._codec, self._send, time.monotonic)
        self.policies = RemotePolicies(spec, block, self._wait if timeout is not None else None)
        self.state: LearnerState | None = None
        """What the learner last said of itself."""
        self.metrics: dict[str, float] = {}
        """The learner's newest figures."""
        node.create_subscription(UInt8MultiArray, "learner/ack", self._on_ack, TRANSITIONS)
        node.create_subscription(UInt8MultiArray, "policy/weights", self._on_weights, WEIGHTS)
        node.create_subscription(String, "learner/state", self._on_state, LATCHED)
        node.create_subscription(String, "learner/metrics", self._on_metrics, LATCHED)

    def start(self) -> None:
        """Introduce this run to the learner.

        In lockstep the answer is waited for: it says how many practice steps the learner has from earlier
        runs, and with that which weights are due.
        """
        self.announcer.say("starting")
        if self.timeout is None:
            return
        self._wait(lambda: self._introduced() is not None, "learner/state")
        state = self._introduced()
        assert state is not None
        if state.spec != self.spec.digest:
            raise SpecError(
                f"the learner works for spec {state.spec}, the actor for {self.spec.digest} of task "
                f"{self.spec.name!r}: start both with the same task and settings"
            )
        self.policies.practice_steps = state.practice_steps

    def add(self, transition: Transition) -> None:
        """Take a transition for the learner."""
        self.outbox.add(transition)
        self.policies.practice_steps += transition.source is not Source.DEMO

    def finish(self) -> None:
        """Wait until the learner has everything, has learned from it and has saved the policy."""
        self.outbox.flush()
        self.spinner.wait(
            lambda: not len(self.outbox), lambda: f"learner/ack from {LEARNER}", 120.0, self.outbox.flush
        )
        self.announcer.say("done")
        wanted = settled_version(self.policies.practice_steps, self.policies.block)
        self.spinner.wait(
            lambda: self.state is not None and self.state.saved >= wanted,
            lambda: f"learner/state with version {wanted} saved from {LEARNER}",
            120.0,
        )

    def _introduced(self) -> LearnerState | None:
        state, own = self.state, self.announcer.state
        return state if state is not None and (state.actor, state.run) == (own.actor, own.run) else None

    def _wait(self, ready: Callable[[], bool], what: str) -> None:
        """Wait for the learner, sending again what it may have missed, and saying so when it takes long."""
        assert self.timeout is not None
        started, said = time.monotonic(), False

        def retry() -> None:
            nonlocal said
            self.outbox.flush()
            if not said and time.monotonic() - started > SAY_AFTER:
                said = True
                self.node.get_logger().info(f"waiting for {what} from {LEARNER}")

        self.outbox.flush()
        self.spinner.wait(ready, lambda: f"{what} from {LEARNER}", self.timeout, retry)

    def _send(self, data: bytes) -> None:
        self._transitions.publish(bytes_message(data))

    def _on_ack(self, message: UInt8MultiArray) -> None:
        try:
            self.outbox.acknowledge(decode_ack(bytes_from(message), self.spec))
        except CodecError as error:
            self.node.get_logger().error(f"learner/ack ignored: {error}")

    def _on_weights(self, message: UInt8MultiArray) -> None:
        try:
            self.policies.add(decode_weights(bytes_from(message), self.spec))
        except CodecError as error:
            self.node.get_logger().error(f"policy/weights ignored, the policy stays as it is: {error}")

    def _on_state(self, message: String) -> None:
        try:
            self.state = json_from(LearnerState, message)
        except CodecError as error:
            self.node.get_logger().error(f"learner/state ignored: {error}")

    def _on_metrics(self, message: String) -> None:
        try:
            self.metrics = {str(k): float(v) for k, v in json.loads(message.data).items()}
        except (ValueError, TypeError, AttributeError) as error:
            self.node.get_logger().error(f"learner/metrics ignored: {error}")
