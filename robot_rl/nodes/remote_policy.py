"""The policy that the learner publishes, at the ticks that the schedule declares.

In lockstep the actor waits for the version that is due (`robot_rl.env.schedule`), so that a seed fixes every
action. On the real clock it never waits: the newest version acts as soon as it has come.
"""

from __future__ import annotations

from collections.abc import Callable

from policies.gaussian_policy import GaussianPolicy
from policies.scripted import HoldStill
from robot_rl.core.protocols import Policy
from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import Mode
from robot_rl.data.codec import Weights
from robot_rl.env.schedule import due_version, settled_version

Wait = Callable[[Callable[[], bool], str], None]
"""Waits until the condition holds; the text names what is missing."""


class RemotePolicies:
    """Holds the versions that have come and gives out the one that is due."""

    def __init__(self, spec: EnvSpec, block: int, wait: Wait | None) -> None:
        """Start without any weights, holding still.

        Args:
            spec: Spec of the environment.
            block: Practice steps between two versions.
            wait: Waits for the learner in lockstep; None on the real clock.
        """
        self.spec = spec
        self.block = block
        self.practice_steps = 0
        """Practice transitions that the learner has been given, by this run and those before it."""
        self._wait = wait
        self._received: dict[int, Weights] = {}
        self._policy: Policy = HoldStill(spec.action)

    @property
    def version(self) -> int:
        """The version that acts."""
        return self._policy.version

    def add(self, weights: Weights) -> None:
        """Take a version from the learner."""
        self._received[weights.version] = weights

    def due(self, mode: Mode) -> Policy:
        """The policy that acts at the next step."""
        if self._wait is None:
            self._adopt(self.version + 1)
        elif mode is Mode.TRAIN:
            self._require(due_version(self.practice_steps, self.block))
        return self._policy

    def settle(self) -> None:
        """Bring in everything that has been learned so far, for an evaluation."""
        if self._wait is None:
            self._adopt(self.version + 1)
        else:
            self._require(settled_version(self.practice_steps, self.block))

    def _require(self, version: int) -> None:
        if self.version >= version or self._wait is None:
            return
        if not self._has(version):
            self._wait(lambda: self._has(version), f"policy/weights version {version}")
        # The exact version, unless a restart of both sides has lost it: then the next one.
        self._use(min(v for v in self._received if v >= version))

    def _has(self, version: int) -> bool:
        return any(v >= version for v in self._received)

    def _adopt(self, at_least: int) -> None:
        """Use the newest version, if one has come that is no older than `at_least`."""
        newest = max(self._received, default=0)
        if newest >= at_least:
            self._use(newest)

    def _use(self, version: int) -> None:
        weights = self._received[version]
        self._policy = GaussianPolicy(self.spec, dict(weights.arrays), version)
        self._received = {v: w for v, w in self._received.items() if v > version}
