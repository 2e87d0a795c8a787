"""The course of a training: demonstrations, practice, evaluations, the end.

A pure state machine, asked for the next episode and told its result; the in-process loop and the actor node
both follow it. Evaluation episodes are apart from training ones and have seeds of their own. An operator may
ask for a demonstration, or for frames to label, at any time: it comes next, and the course goes on after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from robot_rl.core.errors import ConfigError, RobotRlError
from robot_rl.core.types import Episode, EpisodeResult, Mode

SEED_STRIDE = 1_000_003
EVALUATION_SEEDS = 500_000
FINAL_SEEDS = 900_000
LABEL_SEEDS = 300_000
"""Offsets that keep the seeds of evaluations and labels apart from those of practice, and of each other."""

ATTEMPTS = 4
"""Attempts for each wanted demonstration after which a scripted person gives up."""

PHASES = ("labels", "demonstrations", "practice", "evaluation", "final evaluation")
"""What a session consists of; a phase may be short of episodes, and be left out."""

RECENT = 20
"""Practice episodes that `SessionRecord.alone_lately` looks back on."""


@dataclass(frozen=True)
class SessionConfig:
    """When to evaluate and when to stop."""

    label_episodes: int = 0
    """Episodes for a reward classifier, before everything else: the person shows success and failure and
    labels what she shows [episodes]."""
    max_steps: int = 10_000
    """Practice ends after this many steps [environment steps]."""
    evaluate_every: int = 1000
    """Practice between two evaluations [environment steps]."""
    promising: float = 0.6
    """An evaluation is put off until this part of the last 20 practice episodes succeeded unaided:
    the failures of a policy that is not there yet take most of the time. 0: never put off."""
    evaluation_episodes: int = 50
    """Length of an evaluation [episodes]."""
    good_enough: float = 0.98
    """Success rate of an evaluation that counts as good."""
    good_length: float = 0.59
    """Mean length of its successes, over that of the demonstrations, that counts as good: practice goes on
    until the policy is faster than what it was shown. Without demonstrations any length is good."""
    good_evaluations: int = 2
    """Practice ends after this many good evaluations in a row; 0: never early."""
    final_episodes: int = 100
    """Fresh episodes of the final evaluation [episodes]."""
    deterministic_evaluation: bool = False
    """Evaluate with the mean action. Sampling, as HIL-SERL evaluates, leaves the fixed points that a
    deterministic policy can hang in."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: the policy alone, nobody helping."""

    steps: int
    """Practice so far [environment steps]."""
    episodes: int
    successes: int
    mean_steps: float
    """Mean length of the successful episodes [steps]; NaN when there is none."""
    policy_version: int
    peak_force: float = 0.0
    """Largest external force on the TCP in any of the episodes [N]."""

    @property
    def success_rate(self) -> float:
        return self.successes / max(self.episodes, 1)


@dataclass
class SessionRecord:
    """All results so far, in order."""

    labels: list[EpisodeResult] = field(default_factory=list)
    demonstrations: list[EpisodeResult] = field(default_factory=list)
    practice: list[EpisodeResult] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    final: Evaluation | None = None
    final_episodes: list[EpisodeResult] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Practice steps, the person's included."""
        return sum(result.steps for result in self.practice)

    @property
    def interventions(self) -> int:
        return sum(result.interventions for result in self.practice)

    @property
    def human_steps(self) -> int:
        return sum(result.human_steps for result in self.practice)

    @property
    def alone_lately(self) -> float:
        """Part of the last `RECENT` practice episodes that succeeded with nobody helping; 0 for fewer."""
        recent = self.practice[-RECENT:]
        if len(recent) < RECENT:
            return 0.0
        return sum(r.success and r.human_steps == 0 for r in recent) / RECENT

    @property
    def demonstration_steps(self) -> float:
        """Mean length of the successful demonstrations [steps]."""
        return mean([r.steps for r in self.demonstrations if r.success])


class Session:
    """Says which episode comes next until the training is over.

    It asks for the label episodes, if any, then for `demonstrations` successful demonstrations; then it
    practises and evaluates in turn.
    """

    def __init__(
        self,
        config: SessionConfig,
        seed: int,
        demonstrations: int,
        on_evaluation: Callable[[Evaluation], None] | None = None,
        attempts: int | None = ATTEMPTS,
    ) -> None:
        """Begin a course.

        Args:
            config: When to evaluate and when to stop.
            seed: Seeds all its episodes.
            demonstrations: Successful ones to ask for.
            on_evaluation: Called with each evaluation that is complete.
            attempts: For each wanted demonstration, how many may fail before that is an error; None: any
                number, for an operator may try as often as she likes.
        """
        self.config = config
        self.seed = seed
        self.demonstrations = demonstrations
        self.record = SessionRecord()
        self.on_evaluation = on_evaluation
        self.attempts = attempts
        self._index = 0
        self._requested: Mode | None = None
        self._fulfilled: Mode | None = None
        """The request that the last result has met."""
        self._next_evaluation = config.evaluate_every
        self._pending: list[EpisodeResult] = []
        self._evaluating = False
        self._practice_over = config.max_steps <= 0

    @property
    def phase(self) -> str:
        """One of `PHASES`, or "done"."""
        if self._requested is not None:
            return self.phase_of(self._requested)
        if len(self.record.labels) < self.config.label_episodes:
            return "labels"
        if self._demonstrations_missing():
            return "demonstrations"
        if self._evaluating:
            return "evaluation"
        if not self._practice_over:
            return "practice"
        return "final evaluation" if self._final_missing() else "done"

    def phase_of(self, mode: Mode) -> str:
        """The phase that an episode of this mode belongs to now."""
        match mode:
            case Mode.LABEL:
                return "labels"
            case Mode.DEMO:
                return "demonstrations"
            case Mode.TRAIN:
                return "practice"
            case Mode.EVAL:
                return "evaluation" if self._evaluating else "final evaluation"

    @property
    def requested(self) -> Mode | None:
        """What `request` asked for and has not come yet."""
        return self._requested

    def request(self, mode: Mode | None) -> None:
        """Put one successful demonstration, or one episode for labels, next; None drops the request."""
        if mode not in (Mode.DEMO, Mode.LABEL, None):
            raise ConfigError(f"cannot ask for mode {mode.value!r}: only for a demonstration or for labels")
        self._requested = mode

    @property
    def practice_steps(self) -> int:
        return self.record.steps

    @property
    def evaluated(self) -> int:
        """Episodes of the running evaluation that are done."""
        return len(self._pending)

    @property
    def evaluation_size(self) -> int:
        """Episodes of the running evaluation."""
        final = self._practice_over and not self._evaluating
        return self.config.final_episodes if final else self.config.evaluation_episodes

    def next_episode(self) -> Episode | None:
        """The episode to run now, None when all is done."""
        match self.phase:
            case "labels":
                return self._episode(Mode.LABEL, LABEL_SEEDS + self._index)
            case "demonstrations":
                return self._episode(Mode.DEMO, self._index)
            case "practice":
                return self._episode(Mode.TRAIN, self._index)
            case "evaluation":
                batch = len(self.record.evaluations) * self.config.evaluation_episodes
                return self._episode(Mode.EVAL, EVALUATION_SEEDS + batch + len(self._pending))
            case "final evaluation":
                return self._episode(Mode.EVAL, FINAL_SEEDS + len(self._pending))
        return None

    def add(self, result: EpisodeResult) -> None:
        """Take the result of the episode that `next_episode` gave, or, after a restart, once gave."""
        mode = result.episode.mode
        self._index = result.episode.index + 1
        self._fulfilled = None
        if mode is self._requested and (mode is Mode.LABEL or result.success):
            self._fulfilled, self._requested = mode, None
        match mode:
            case Mode.LABEL:
                self.record.labels.append(result)
            case Mode.DEMO:
                self.record.demonstrations.append(result)
                self._check_attempts()
            case Mode.TRAIN:
                self.record.practice.append(result)
                self._after_practice()
            case Mode.EVAL:
                self._pending.append(result)
                self._finish_evaluation(final=not self._evaluating)

    def take_back(self, result: EpisodeResult) -> None:
        """Undo `add` of the last result, of a demonstration or of labels. Its index is not used again."""
        lists = {Mode.LABEL: self.record.labels, Mode.DEMO: self.record.demonstrations}
        results = lists.get(result.episode.mode, [])
        if not results or results[-1] is not result or self._index != result.episode.index + 1:
            raise RobotRlError(f"episode {result.episode.index} cannot be taken back: only the last one can")
        results.pop()
        self._requested = self._requested or self._fulfilled

    def _check_attempts(self) -> None:
        attempts = len(self.record.demonstrations)
        if self.attempts is None or attempts < self.attempts * self.demonstrations:
            return
        if self._demonstrations_missing():
            raise RobotRlError(
                f"only {sum(r.success for r in self.record.demonstrations)} of {attempts} demonstrations "
                "succeeded: look at their episode logs before going on"
            )

    def _after_practice(self) -> None:
        steps = self.record.steps
        self._practice_over = steps >= self.config.max_steps
        due = steps >= self._next_evaluation and self.record.alone_lately >= self.config.promising
        if due or self._practice_over:
            self._evaluating = self.config.evaluation_episodes > 0
            self._next_evaluation = steps + self.config.evaluate_every

    def _finish_evaluation(self, final: bool) -> None:
        wanted = self.config.final_episodes if final else self.config.evaluation_episodes
        if len(self._pending) < wanted:
            return
        evaluation = evaluate(self.record.steps, self._pending)
        if final:
            self.record.final, self.record.final_episodes = evaluation, self._pending
        else:
            self.record.evaluations.append(evaluation)
            self._evaluating = False
            self._practice_over = self._practice_over or self._good_enough()
        self._pending = []
        if self.on_evaluation is not None:
            self.on_evaluation(evaluation)

    def _good_enough(self) -> bool:
        wanted = self.config.good_evaluations
        last = self.record.evaluations[-wanted:] if wanted else []
        longest = self.config.good_length * self.record.demonstration_steps
        return len(last) == wanted > 0 and all(
            e.success_rate >= self.config.good_enough and not e.mean_steps > longest for e in last
        )

    def _demonstrations_missing(self) -> bool:
        done = sum(result.success for result in self.record.demonstrations)
        return done < self.demonstrations

    def _final_missing(self) -> bool:
        return self.record.final is None and self.config.final_episodes > 0

    def _episode(self, mode: Mode, number: int) -> Episode:
        return Episode(self._index, self.seed * SEED_STRIDE + number, mode)


def evaluate(steps: int, results: list[EpisodeResult]) -> Evaluation:
    """Sum up evaluation episodes."""
    return Evaluation(
        steps=steps,
        episodes=len(results),
        successes=sum(r.success for r in results),
        mean_steps=mean([r.steps for r in results if r.success]),
        policy_version=results[-1].policy_version if results else 0,
        peak_force=max((r.peak_force for r in results), default=0.0),
    )


def mean(values: list[int]) -> float:
    """Arithmetic mean, NaN of nothing."""
    return sum(values) / len(values) if values else math.nan
