"""A scripted person who demonstrates a task and corrects a policy, with people's shortcomings.

She moves at about half the speed that the robot could go, hesitates, trembles, reacts late, does not always
look, and now and then moves the wrong way. All of it is parameters. Without it, training with people in the
loop could be measured only with people, and a flawless script would make cloning look like the answer.

She sees the ground truth, as a person in the room does; nothing of it reaches the policy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np

from robot_rl.core.errors import ConfigError
from robot_rl.core.protocols import GroundTruth
from robot_rl.core.types import ArmState, Episode, Mode, Pose, TeleopCommand


@dataclass(frozen=True)
class PersonConfig:
    """What the person is like. Durations are in seconds, so that they hold at any control rate."""

    linear_speed: float = 0.15
    """Top speed of her hand [m/s]; the arm itself could go twice as fast."""
    angular_speed: float = 0.8
    """Top turning speed of her hand [rad/s]."""
    gain: float = 5.0
    """How briskly she closes a remaining distance [1/s]."""
    tremor: float = 0.02
    """Standard deviation of her moving hand's unwanted velocity [m/s]; turning trembles five times that
    [rad/s], a resting hand a quarter of it."""
    tremor_time: float = 0.3
    """Correlation time of the tremor [s]."""
    hesitation: float = 0.6
    """Probability that she pauses before a stage of the task that is new to this attempt."""
    hesitation_time: tuple[float, float] = (0.2, 0.6)
    """Shortest and longest pause [s]."""
    reaction_time: float = 0.2
    """Delay between what happens and what she does about it [s]."""
    wrong_moves: float = 0.08
    """How often she starts to move the wrong way [1/s]."""
    wrong_move_time: tuple[float, float] = (0.2, 0.5)
    """Shortest and longest wrong move [s]."""
    patience: float = 0.6
    """Time without progress after which she means to step in [s]."""
    attention: float = 0.8
    """Probability that she is looking when it is time to step in; if not, her patience starts anew."""
    intervention_time: tuple[float, float] = (0.6, 1.8)
    """Shortest and longest intervention [s]."""
    corrects: bool = True
    """Whether she steps in during practice at all; she demonstrates in any case."""
    key_time: tuple[float, float] = (0.0, 0.1)
    """From the end of her reaction time to the key that goes down or up, shortest and longest [s]."""
    wrong_keys: float = 0.03
    """How often she presses the wrong key while she labels [1/s]."""
    wrong_key_time: tuple[float, float] = (0.1, 0.4)
    """Shortest and longest time for which she holds a wrong key [s]."""


class View(NamedTuple):
    """What she sees at one instant."""

    state: ArmState
    truth: Mapping[str, Pose]


class Intent(NamedTuple):
    """What she wants to do next."""

    stage: str
    """Name of the stage of the task; she may hesitate when it changes."""
    linear: np.ndarray
    """(3,) remaining way of the TCP target, base frame [m]."""
    yaw: float
    """Remaining turn of the TCP target about the base's z axis [rad]."""
    gripper: int
    """-1 close, +1 open, 0 leave."""


class Skill(Protocol):
    """How a task is done. It depends on no history, so that she can step in anywhere."""

    def intend(self, seen: View, hand: ArmState) -> Intent:
        """What to do, judged by what she saw a moment ago and by where she feels her hand now."""
        ...

    def progress(self, view: View) -> float:
        """Grows as the task gets nearer to its goal [m]."""
        ...


class Show(Protocol):
    """What she shows for a reward classifier: success, and failures that look like it."""

    @property
    def kinds(self) -> Sequence[str]:
        """What she shows, one an episode, over and over."""
        ...

    def begin(self, kind: str, rng: np.random.Generator) -> None:
        """Prepare to show this kind."""
        ...

    def intend(self, seen: View, hand: ArmState, time: float) -> Intent:
        """What to do `time` seconds after the begin."""
        ...


PROGRESS_STEP = 0.005
"""Progress below this is none [m]."""


class ScriptedPerson:
    """The `Teleop` of a scripted person: she demonstrates in DEMO episodes and corrects in TRAIN ones.

    In LABEL episodes she shows success and failure in turn, and holds the key of the stage that she sees
    reached: as late as she reacts, and now and then the wrong one.
    """

    def __init__(
        self,
        config: PersonConfig,
        skill: Skill,
        truth: GroundTruth,
        control_rate: float,
        show: Show | None = None,
        stage: Callable[[View], int] = lambda _: 0,
    ) -> None:
        """Make a person.

        Args:
            config: What she is like.
            skill: How she does the task.
            truth: What there is to see.
            control_rate: Ticks a second [Hz].
            show: What she shows for a reward classifier.
            stage: The stage of the task that she would call reached.
        """
        self.config = config
        self.skill = skill
        self.truth = truth
        self.period = 1.0 / control_rate
        self.show = show
        self.stage = stage
        self._rng = np.random.default_rng(0)
        self._mode = Mode.EVAL
        self._past: deque[View] = deque()
        self._restart()

    def reset(self, episode: Episode, state: ArmState) -> None:
        del state
        self._rng = np.random.default_rng([episode.seed, 0x9E2])
        self._mode = episode.mode
        self._past.clear()
        self._restart()
        if self._mode is Mode.LABEL:
            if self.show is None:
                raise ConfigError("this task has nothing to show for a reward classifier")
            kinds = self.show.kinds
            self.show.begin(kinds[episode.index % len(kinds)], self._rng)

    def _restart(self) -> None:
        self._stages: set[str] = set()
        self._pause = 0
        self._wrong_steps = 0
        self._wrong_way = np.zeros(4)
        self._tremor = np.zeros(4)
        self._acting = 0
        self._best = -np.inf
        self._idle = 0
        self._ticks = 0
        self._key = 0
        self._wanted_key = 0
        self._key_steps = 0
        self._wrong_key_steps = 0

    def read(self, state: ArmState) -> TeleopCommand:
        self._past.append(View(state, self.truth.truth()))
        if len(self._past) > 1 + self._steps(self.config.reaction_time):
            self._past.popleft()
        seen = self._past[0]
        if not self._in_control(seen):
            return TeleopCommand(state.stamp, active=False, twist=np.zeros(6))
        self._ticks += 1
        if self._mode is Mode.LABEL and self.show is not None:
            intent = self.show.intend(seen, state, self._ticks * self.period)
            return replace(self._act(state, intent), label=self._press(seen))
        # Her own hand she feels at once; the scene, and with it what is to be done, she sees late.
        return self._act(state, self.skill.intend(seen, state))

    def _press(self, seen: View) -> int:
        """The key that she holds."""
        stage = self.stage(seen)
        if stage != self._wanted_key:
            self._wanted_key = stage
            self._key_steps = self._steps(float(self._rng.uniform(*self.config.key_time)))
        elif self._key_steps > 0:
            self._key_steps -= 1
        if self._key_steps == 0:
            self._key = stage
        if self._wrong_key_steps == 0 and self._rng.random() < self.config.wrong_keys * self.period:
            self._wrong_key_steps = self._duration(self.config.wrong_key_time)
        if self._wrong_key_steps > 0:
            self._wrong_key_steps -= 1
            return self._key - 1 if self._key > 0 else 1
        return self._key

    def _in_control(self, seen: View) -> bool:
        """Decide whether she holds the device at this tick."""
        if self._mode is not Mode.TRAIN:
            return self._mode is not Mode.EVAL
        if not self.config.corrects:
            return False
        if self._acting > 0:
            self._acting -= 1
            if self._acting == 0:
                self._best, self._idle = self.skill.progress(seen), 0
            return self._acting > 0
        progress = self.skill.progress(seen)
        if progress > self._best + PROGRESS_STEP:
            self._best, self._idle = progress, 0
            return False
        self._idle += 1
        if self._idle < self._steps(self.config.patience):
            return False
        self._idle = 0
        if self._rng.random() >= self.config.attention:
            return False
        self._acting = self._duration(self.config.intervention_time)
        self._stages.clear()
        return True

    def _act(self, state: ArmState, intent: Intent) -> TeleopCommand:
        if intent.stage not in self._stages:
            if self._stages and self._rng.random() < self.config.hesitation:
                self._pause = self._duration(self.config.hesitation_time)
            self._stages.add(intent.stage)
        velocity = np.array([*intent.linear, intent.yaw]) * self.config.gain
        velocity[:3] *= min(1.0, self.config.linear_speed / max(float(np.linalg.norm(velocity[:3])), 1e-9))
        velocity[3] = np.clip(velocity[3], -self.config.angular_speed, self.config.angular_speed)
        gripper = intent.gripper
        if self._pause > 0:
            self._pause -= 1
            velocity[:], gripper = 0.0, 0
        velocity = self._wrong(velocity)
        moving = min(1.0, float(np.linalg.norm(velocity[:3])) / self.config.linear_speed)
        velocity = velocity + (0.25 + 0.75 * moving) * self._tremble()
        twist = np.array([*velocity[:3], 0.0, 0.0, velocity[3]])
        return TeleopCommand(state.stamp, active=True, twist=twist, gripper=gripper, who="script")

    def _wrong(self, velocity: np.ndarray) -> np.ndarray:
        if self._wrong_steps == 0 and self._rng.random() < self.config.wrong_moves * self.period:
            self._wrong_steps = self._duration(self.config.wrong_move_time)
            way = self._rng.normal(size=3)
            way *= self.config.linear_speed / float(np.linalg.norm(way))
            self._wrong_way = np.array([*way, self._rng.uniform(-1, 1) * self.config.angular_speed])
        if self._wrong_steps > 0:
            self._wrong_steps -= 1
            return self._wrong_way
        return velocity

    def _tremble(self) -> np.ndarray:
        """An Ornstein-Uhlenbeck process, sampled exactly at the control rate."""
        keep = float(np.exp(-self.period / self.config.tremor_time))
        scale = self.config.tremor * np.array([1.0, 1.0, 1.0, 5.0])
        self._tremor = keep * self._tremor + np.sqrt(1.0 - keep**2) * scale * self._rng.normal(size=4)
        return self._tremor

    def _steps(self, duration: float) -> int:
        return max(0, round(duration / self.period))

    def _duration(self, bounds: tuple[float, float]) -> int:
        return max(1, self._steps(float(self._rng.uniform(*bounds))))
