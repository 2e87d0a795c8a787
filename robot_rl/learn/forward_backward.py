"""Practice without resets: one learner does the task, another undoes it (SERL, Luo et al. 2024, section IV).

Where the forward policy succeeds is where the backward policy starts, and the other way round. A failed
episode is tried again in the same direction, for the scene has not changed sides.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from robot_rl.core.errors import CheckpointError
from robot_rl.core.spec import EnvSpec
from robot_rl.core.types import Transition
from robot_rl.learn.learner import Learner
from robot_rl.learn.settings import LearnerConfig


class Direction(Enum):
    """Which of the two policies acts."""

    FORWARD = "forward"
    BACKWARD = "backward"

    @property
    def other(self) -> Direction:
        """The opposite direction."""
        return Direction.BACKWARD if self is Direction.FORWARD else Direction.FORWARD


def succeeded(transition: Transition) -> bool:
    """Whether a transition ends its episode in success: the task ended, and with a reward."""
    return transition.terminated and transition.reward > 0.0


class ForwardBackward:
    """Two learners with one stream of transitions, routed by the direction of the episode.

    Demonstrations are routed alike, so they are given in turns: do the task, undo it, do it again.
    """

    def __init__(
        self, spec: EnvSpec, config: LearnerConfig, seed: int, start: Direction = Direction.FORWARD
    ) -> None:
        self.learners = {
            Direction.FORWARD: Learner(spec, config, 2 * seed),
            Direction.BACKWARD: Learner(spec, config, 2 * seed + 1),
        }
        self.direction = start
        """Direction of the current episode, or after its end of the next one."""

    @property
    def learner(self) -> Learner:
        """The learner whose policy acts now."""
        return self.learners[self.direction]

    def add(self, transition: Transition, learn: bool = True) -> None:
        """Give a transition to the learner of its direction, and turn round after a success."""
        self.learner.add(transition, learn)
        self._turn(transition)

    def _turn(self, transition: Transition) -> None:
        if succeeded(transition):
            self.direction = self.direction.other

    def save(self, directory: Path) -> None:
        """Write both checkpoints, below `directory`."""
        for direction, learner in self.learners.items():
            learner.save(directory / direction.value)

    def load(self, directory: Path) -> None:
        """Take both checkpoints into new learners; `restore_buffer` must follow."""
        for direction, learner in self.learners.items():
            learner.load(directory / direction.value)

    def restore_buffer(self, transitions: Iterable[Transition]) -> None:
        """Refill both learners from the common journal; give the transitions after that to `add`."""
        stream = iter(transitions)
        while any(learner.restoring for learner in self.learners.values()):
            transition = next(stream, None)
            if transition is None:
                raise CheckpointError("the journal ends before the transitions that the checkpoints hold")
            self.learner.restore(transition)
            self._turn(transition)
