"""Episodes that the operator cuts short or reviews: what they teach, and how it is numbered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from policies.scripted import HoldStill
from robot_rl.core.types import Episode, Mode, Transition
from robot_rl.data.recorder import EpisodeRecorder
from robot_rl.data.views import demonstrations
from robot_rl.env.robot_env import RobotEnv
from robot_rl.env.runner import EpisodeRunner
from tests.ros.graphs import reach


@pytest.fixture(scope="module")
def env() -> Iterator[RobotEnv]:
    env, _ = reach(goal__time_limit=8.0).simulate()
    yield env
    env.close()


def after(steps: int):
    """Interrupts when it has been asked before the first step and after this many."""
    asked = iter(range(steps))
    return lambda: next(asked, None) is None


def play(runner: EpisodeRunner, mode: Mode, index: int = 0, **options):
    still = HoldStill(runner.env.spec.action)
    return runner.run(Episode(index, 7, mode), lambda: still, **options)


def test_an_interrupted_episode_ends_truncated(env: RobotEnv) -> None:
    learned: list[Transition] = []
    runner = EpisodeRunner(env, learned.append)
    result = play(runner, Mode.TRAIN, interrupted=after(5))
    assert runner.cut
    assert result.steps == len(learned) == 5
    assert [t.truncated for t in learned] == [False] * 4 + [True]
    assert not any(t.terminated for t in learned)
    assert not result.success
    play(runner, Mode.TRAIN, 1, interrupted=after(3))
    assert [t.key.sequence for t in learned] == list(range(8))
    assert [t.truncated for t in learned].count(True) == 2


def test_an_interruption_before_the_first_step_commands_nothing(env: RobotEnv) -> None:
    learned: list[Transition] = []
    runner = EpisodeRunner(env, learned.append)
    result = play(runner, Mode.TRAIN, interrupted=lambda: True)
    assert runner.cut
    assert result.steps == 0
    assert learned == []


def test_a_cut_demonstration_teaches_nothing(env: RobotEnv) -> None:
    learned: list[Transition] = []
    runner = EpisodeRunner(env, learned.append)
    result = play(runner, Mode.DEMO, interrupted=after(5), review=True)
    assert not result.success
    assert runner.held == []
    runner.release()
    assert learned == []


def test_a_reviewed_demonstration_is_logged_at_once_and_learned_at_its_release(
    env: RobotEnv, tmp_path: Path
) -> None:
    learned: list[Transition] = []
    with EpisodeRecorder(tmp_path, env.spec) as recorder:
        runner = EpisodeRunner(env, learned.append, recorder=recorder)
        assert play(runner, Mode.DEMO, review=True).success
        assert not runner.cut
        logged = [t.key for t in demonstrations(tmp_path)]
        assert len(logged) > 5
        assert learned == []
        runner.release()
        runner.release()
        assert [t.key for t in learned] == logged
        practised = play(runner, Mode.TRAIN, 1, interrupted=after(2)).steps
        assert [t.key.sequence for t in learned] == list(range(len(logged) + practised))


def test_a_discarded_demonstration_leaves_no_gap(env: RobotEnv) -> None:
    learned: list[Transition] = []
    runner = EpisodeRunner(env, learned.append)
    assert play(runner, Mode.DEMO, review=True).success
    runner.discard()
    runner.release()
    assert learned == []
    play(runner, Mode.TRAIN, 1, interrupted=after(2))
    assert [t.key.sequence for t in learned] == [0, 1]
