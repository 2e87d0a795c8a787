"""A point that shuttles between two goals without a reset, and learns both ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from policies.gaussian_policy import GaussianPolicy
from robot_rl.core.types import Source, Transition
from robot_rl.learn.forward_backward import Direction, ForwardBackward
from tests.unit.learner_samples import POINT, QUICK, point_episode

GOALS = {Direction.FORWARD: 0.8, Direction.BACKWARD: -0.8}


class Shuttle:
    """Runs episode after episode from where the last one ended."""

    def __init__(self, pair: ForwardBackward) -> None:
        self.pair = pair
        self.rng = np.random.default_rng(0)
        self.x = -0.8
        self.stream: list[Transition] = []

    def episode(self, source: Source, explore: bool = True) -> list[Transition]:
        pair, learner = self.pair, self.pair.learner
        goal = GOALS[pair.direction]
        policy = GaussianPolicy(POINT, learner.weights(), learner.version)
        x = self.x
        transitions: list[Transition] = []

        def actions() -> Iterator[np.ndarray]:
            while True:
                if source is Source.DEMO:
                    yield np.clip(self.rng.normal(0.4 * np.sign(goal), 0.2, 1), -1, 1)
                else:
                    now = (
                        transitions[-1].next_observation if transitions else {"x": np.array([x], np.float32)}
                    )
                    yield policy(now, self.rng if explore else None)

        steps = 80 if source is Source.DEMO else 40
        for transition in point_episode(x, goal, actions(), len(self.stream), source, steps):
            transitions.append(transition)
            if explore:
                self.stream.append(transition)
                pair.add(transition)
        self.x = float(transitions[-1].next_observation["x"][0])
        return transitions


def test_demonstrations_and_practice_go_to_the_learner_of_their_direction() -> None:
    pair = ForwardBackward(POINT, QUICK, seed=0)
    shuttle = Shuttle(pair)
    directions = []
    for _ in range(4):
        directions.append(pair.direction)
        shuttle.episode(Source.DEMO)
    assert directions == [Direction.FORWARD, Direction.BACKWARD] * 2
    assert {d: learner.demonstrations for d, learner in pair.learners.items()} == dict.fromkeys(Direction, 2)
    assert all(learner.version == 1 for learner in pair.learners.values())


def test_a_failed_episode_keeps_its_direction() -> None:
    pair = ForwardBackward(POINT, QUICK, seed=0)
    still = iter(lambda: np.zeros(1, np.float32), None)
    for transition in point_episode(0.0, 0.8, still, 0, Source.POLICY, steps=3):
        pair.add(transition)
    assert pair.direction is Direction.FORWARD
    assert pair.learners[Direction.BACKWARD].received == 0


def test_the_pair_learns_both_ways_and_resumes_exactly(tmp_path: Path) -> None:
    pair = ForwardBackward(POINT, QUICK, seed=0)
    shuttle = Shuttle(pair)
    for _ in range(4):
        shuttle.episode(Source.DEMO)
    demonstrated = len(shuttle.stream) / 4
    while min(learner.steps for learner in pair.learners.values()) < 300:
        shuttle.episode(Source.POLICY)
    pair.save(tmp_path)
    saved = len(shuttle.stream)
    while min(learner.steps for learner in pair.learners.values()) < 700:
        shuttle.episode(Source.POLICY)

    resumed = ForwardBackward(POINT, QUICK, seed=0)
    resumed.load(tmp_path)
    journal = iter(shuttle.stream)
    resumed.restore_buffer(journal)
    assert sum(learner.received for learner in resumed.learners.values()) == saved
    for transition in journal:
        resumed.add(transition)
    assert resumed.direction is pair.direction
    for direction in Direction:
        for name, array in pair.learners[direction].weights().items():
            np.testing.assert_array_equal(resumed.learners[direction].weights()[name], array)

    for _ in Direction:
        episode = shuttle.episode(Source.POLICY, explore=False)
        assert episode[-1].terminated
        assert len(episode) < 0.8 * demonstrated
        pair.direction = pair.direction.other
