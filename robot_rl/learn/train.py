"""Training in one process: the same episode runner, session and learner as the graph, without ROS.

The learner's update is dispatched at the end of a block of steps and fetched at the end of the next one
(`robot_rl.env.schedule`), so that XLA computes on one core while the simulator runs on another. In lockstep
the graph follows the same schedule, and a seed gives the same training in both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from policies.gaussian_policy import GaussianPolicy
from policies.scripted import HoldStill
from robot_rl.core.errors import RobotFaultError
from robot_rl.core.protocols import GroundTruth, Policy
from robot_rl.core.types import EpisodeResult, Mode, Source, Transition
from robot_rl.data.recorder import EpisodeRecorder
from robot_rl.env.robot_env import RobotEnv
from robot_rl.env.runner import EpisodeRunner
from robot_rl.env.schedule import due_version, settled_version
from robot_rl.env.session import Session
from robot_rl.learn.learner import Learner

OnEpisode = Callable[[str, EpisodeResult, dict[str, float]], None]
"""Takes the phase of the session, the result of an episode and the learner's figures."""


class LocalPolicies:
    """Feeds transitions to a learner in this process and gives out the policy version that is due."""

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self.block = learner.config.block
        self.practice_steps = 0
        self.metrics: dict[str, float] = {}
        """The learner's figures when its weights were fetched last."""
        self._version = 0
        self._policy: Policy = HoldStill(learner.spec.action)

    def add(self, transition: Transition) -> None:
        """Learn from a transition."""
        practice = transition.source is not Source.DEMO
        if practice and (self.practice_steps + 1) % self.block == 0:
            # This transition completes a block: fetch what the learner made of the blocks before it, now
            # that it had a whole block's time for it, and only then give it more to do.
            self._fetch()
        self.learner.add(transition)
        self.practice_steps += practice

    def due(self, mode: Mode) -> Policy:
        """The policy that acts at the next step."""
        if mode is Mode.TRAIN and self._version < due_version(self.practice_steps, self.block):
            self._fetch()
        return self._policy

    def settle(self) -> None:
        """Wait until all finished blocks are learned, for an evaluation."""
        if self._version < settled_version(self.practice_steps, self.block):
            self._fetch()

    def _fetch(self) -> None:
        if self._version != self.learner.version:
            self._version = self.learner.version
            self.metrics = self.learner.metrics()
            self._policy = GaussianPolicy(self.learner.spec, self.learner.weights(), self._version)


@dataclass
class Clocks:
    """Where the time of a training went [s], wall time."""

    start: float = 0.0
    demonstrations: float = 0.0
    practice: float = 0.0
    evaluation: float = 0.0
    final_evaluation: float = 0.0


def train(
    env: RobotEnv,
    truth: GroundTruth | None,
    session: Session,
    learner: Learner,
    recorder: EpisodeRecorder | None = None,
    on_episode: OnEpisode | None = None,
    recover: Callable[[str], None] | None = None,
) -> Clocks:
    """Run a session to its end.

    Args:
        env: The task; its person gives the demonstrations and corrections.
        truth: Judges evaluations by ground truth where there is one.
        session: The course of the training; holds all results afterwards.
        learner: Learns from every transition.
        recorder: Logs demonstrations and practice.
        on_episode: Called after each episode.
        recover: Makes a faulted robot ready again, given the fault; without it a fault ends the training.

    Returns:
        The wall time of each phase.
    """
    policies = LocalPolicies(learner)
    runner = EpisodeRunner(env, policies.add, truth, recorder)
    clocks = Clocks(start=time.monotonic())
    while (episode := session.next_episode()) is not None:
        phase, began = session.phase, time.monotonic()
        if episode.mode is Mode.EVAL:
            policies.settle()
        deterministic = episode.mode is Mode.EVAL and session.config.deterministic_evaluation
        result = runner.run(episode, partial(policies.due, episode.mode), deterministic)
        if result.fault:
            if recover is None:
                raise RobotFaultError(result.fault)
            recover(result.fault)
        session.add(result)
        field = phase.replace(" ", "_")
        setattr(clocks, field, getattr(clocks, field) + time.monotonic() - began)
        if on_episode is not None:
            on_episode(phase, result, policies.metrics)
    return clocks
