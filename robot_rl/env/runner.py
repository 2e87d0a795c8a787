"""Runs episodes. The same runner serves the in-process loop and the ROS graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_rl.core.errors import RobotFaultError
from robot_rl.core.protocols import GroundTruth, Policy
from robot_rl.core.types import Episode, EpisodeResult, Key, Mode, Source, Transition
from robot_rl.data.recorder import EpisodeRecorder
from robot_rl.env.robot_env import RobotEnv

OnTransition = Callable[[Transition], None]
PolicyAt = Callable[[], Policy]
"""Called before every action; returns the policy that is due at this tick."""


class EpisodeRunner:
    """Plays episodes of an environment with a policy and hands out their transitions.

    Transitions are numbered without a gap in the order of their execution. An evaluation produces none, nor
    does an episode for labels; a demonstration hands its own out when it has succeeded, so that a failed one
    teaches nothing. One that is to be reviewed keeps them back until `release`.
    """

    def __init__(
        self,
        env: RobotEnv,
        on_transition: OnTransition,
        truth: GroundTruth | None = None,
        recorder: EpisodeRecorder | None = None,
        actor: str = "actor",
        run: int = 0,
    ) -> None:
        """Connect an environment to whoever wants its transitions.

        Args:
            env: The environment; its robot may be simulated, real or behind topics.
            on_transition: Called once a step.
            truth: Judges success by ground truth where there is one.
            recorder: Logs demonstrations and practice; in the graph a node of its own does.
            actor: Name of this actor, part of every transition's key.
            run: Counts the starts of this actor, so that keys stay unique over restarts.
        """
        self.env = env
        self.on_transition = on_transition
        self.truth = truth
        self.recorder = recorder
        self.actor = actor
        self.run_number = run
        self.sequence = 0
        self.cut = False
        """The last episode was interrupted: its last step is truncated, or it has none."""
        self.held: list[Transition] = []
        """What a successful demonstration under review has to teach."""

    def run(
        self,
        episode: Episode,
        policy_at: PolicyAt,
        deterministic: bool = False,
        on_step: Callable[[], None] | None = None,
        interrupted: Callable[[], bool] = lambda: False,
        review: bool = False,
    ) -> EpisodeResult:
        """Play one episode to its end, to the fault that ends it, or to an interruption.

        Args:
            episode: Which one; its seed also seeds the policy's exploration.
            policy_at: Gives the policy due at each tick.
            deterministic: Act with the mean action instead of a sample.
            on_step: Called after every step, for pictures and progress.
            interrupted: Asked before the first step and after every one; when it says so, the episode is
                over, and what was its last step is truncated.
            review: Keep the transitions of a successful demonstration in `held` until `release` or `discard`.
        """
        rng = None if deterministic else np.random.default_rng([episode.seed, 0xAC7])
        observation = self.env.reset(episode)
        recorder = self.recorder if episode.mode is not Mode.EVAL else None
        if recorder is not None:
            recorder.begin(episode)
            recorder.state(self.env.state, self.env.objects, self.env.sight, self.env.person)
        judge = self.env.task.judge() if self.truth is not None else None
        held: list[Transition] = []
        total, human_steps, interventions, steps = 0.0, 0, 0, 0
        truly, previous, version, success, fault = False, Source.POLICY, 0, False, ""
        claimed = False
        self.held = []
        self.cut = interrupted()
        while not self.cut:
            policy = policy_at()
            version = policy.version
            proposal = policy(observation, rng)
            try:
                step = self.env.step(proposal)
            except RobotFaultError as error:
                # The state after a fault is not one that the action led to: there is no transition.
                success, fault = False, error.reason
                break
            if not (step.terminated or step.truncated) and interrupted():
                self.cut = True
                step = step._replace(truncated=True)
            if recorder is not None:
                recorder.state(self.env.state, self.env.objects, self.env.sight, self.env.person)
            if episode.mode in (Mode.DEMO, Mode.TRAIN):
                transition = Transition(
                    key=Key(self.actor, self.run_number, self.sequence + len(held)),
                    episode=episode.index,
                    step=steps,
                    observation=observation,
                    action=step.action,
                    proposal=np.asarray(proposal, np.float32),
                    reward=step.reward,
                    penalty=step.penalty,
                    terminated=step.terminated,
                    truncated=step.truncated,
                    next_observation=step.observation,
                    source=step.source,
                    policy_version=version,
                    stamp=step.stamp,
                )
                held.append(transition)
                if step.success and episode.mode is Mode.DEMO and review:
                    self._hold(held)
                elif episode.mode is Mode.TRAIN or step.success:
                    self._hand_out(held)
            if judge is not None and self.truth is not None:
                truly = judge.update(self.env.state, self.truth.truth())
            steps += 1
            total += step.reward - step.penalty
            human_steps += step.source is not Source.POLICY
            interventions += step.source is Source.HUMAN and previous is not Source.HUMAN
            previous = step.source
            observation = step.observation
            if on_step is not None:
                on_step()
            if step.terminated or step.truncated:
                # A demonstration counts when it was handed out, whatever the truth is: the learner has it.
                by_truth = judge is not None and episode.mode is not Mode.DEMO
                success = truly if by_truth else step.success
                claimed = step.success
                break
        result = EpisodeResult(
            episode=episode,
            steps=steps,
            success=success,
            reward=total,
            interventions=interventions,
            human_steps=human_steps,
            policy_version=version,
            fault=fault,
            peak_force=self.env.state.peak_force,
            claimed=claimed,
        )
        if recorder is not None:
            recorder.end(result)
        return result

    def release(self) -> None:
        """Hand out what a reviewed demonstration has to teach; nothing when none is held back."""
        for transition in self.held:
            self.on_transition(transition)
        self.sequence += len(self.held)
        self.held = []

    def discard(self) -> None:
        """Let a reviewed demonstration teach nothing; its transitions' numbers are given to others."""
        self.held = []

    def _hold(self, held: list[Transition]) -> None:
        """Keep a demonstration back for its review, but log it now, while its file is open."""
        self.held = list(held)
        if self.recorder is not None:
            for transition in held:
                self.recorder.transition(transition)

    def _hand_out(self, held: list[Transition]) -> None:
        for transition in held:
            if self.recorder is not None:
                self.recorder.transition(transition)
            self.on_transition(transition)
        self.sequence += len(held)
        held.clear()
