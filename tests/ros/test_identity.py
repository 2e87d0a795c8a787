"""The graph in lockstep and the in-process loop agree on transitions, results and weights, bit by bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from policies.bundle import load_bundle
from policies.scripted import RandomPolicy
from robot_rl import tasks
from robot_rl.core.config import replace
from robot_rl.core.types import Mode, Transition
from robot_rl.data.codec import TransitionCodec
from robot_rl.data.episode_log import TRANSITIONS_TOPIC, read, read_info
from robot_rl.data.journal import read_journal
from robot_rl.env.runner import EpisodeRunner
from robot_rl.env.session import Session
from robot_rl.nodes.results_file import read_results
from robot_rl.nodes.run import JOURNAL
from robot_rl.tasks.arm import ArmTaskConfig
from tests.ros.graphs import reach, running
from tests.unit.data_samples import assert_same

PICK = replace(
    tasks.load("franka_pick_cube"),
    {
        "learner.demonstrations": 1,
        "goal.time_limit": 6.0,
        "session.max_steps": 100,
        "session.evaluation_episodes": 1,
        "session.final_episodes": 0,
    },
)


def play_in_process(config: ArmTaskConfig, seed: int) -> tuple[list[Transition], Session]:
    """The whole session with a frozen random policy."""
    env, arm = config.simulate()
    transitions: list[Transition] = []
    runner = EpisodeRunner(env, transitions.append, arm)
    session = Session(config.session, seed, config.learner.demonstrations)
    policy = RandomPolicy(env.spec.action)
    while (episode := session.next_episode()) is not None:
        result = runner.run(episode, lambda: policy)
        if result.fault:
            arm.recover()
        session.add(result)
    env.close()
    return transitions, session


def all_results(session: Session) -> list:
    record = session.record
    return [*record.demonstrations, *record.practice]


@pytest.mark.parametrize(("task", "config"), [("franka_pick_cube", PICK), ("franka_reach", reach())])
def test_a_frozen_policy_gives_the_same_transitions(tmp_path: Path, task: str, config: ArmTaskConfig) -> None:
    seed = 3
    with running(tmp_path / "run", config, task, policy="random", seed=seed) as graph:
        graph.run()
    expected, session = play_in_process(config, seed)

    practised = [
        r for r in read_results(tmp_path / "run" / "results.jsonl") if r.episode.mode is not Mode.EVAL
    ]
    assert practised == all_results(session)
    codec = TransitionCodec(config.spec)
    logs = sorted((tmp_path / "run" / "episodes").glob("*.mcap"))
    assert [read_info(log).result for log in logs] == practised
    recorded = [
        transition
        for log in logs
        for message in read(log, {TRANSITIONS_TOPIC})
        for transition in codec.decode(message.message.data)
    ]
    assert len(recorded) == len(expected) > 50
    for ours, theirs in zip(recorded, expected, strict=True):
        assert_same(ours, theirs)
    assert {t.source.name for t in expected} == {"DEMO", "HUMAN", "POLICY"}


def test_learning_through_the_graph_gives_the_same_weights(tmp_path: Path) -> None:
    from robot_rl.learn.learner import Learner
    from robot_rl.learn.train import train

    config, seed = reach(), 1
    with running(tmp_path / "run", config, seed=seed, record=False) as graph:
        graph.run()
    env, arm = config.simulate()
    session = Session(config.session, seed, config.learner.demonstrations)
    learner = Learner(env.spec, config.learner, seed)
    train(env, arm, session, learner, recover=lambda _: arm.recover())
    env.close()

    results = [r for r in read_results(tmp_path / "run" / "results.jsonl") if r.episode.mode is not Mode.EVAL]
    assert results == all_results(session)
    assert sum(1 for _ in read_journal(tmp_path / "run" / JOURNAL)) == learner.received
    bundle = load_bundle(tmp_path / "run" / "policy", env.spec)
    assert bundle.version == learner.version > 5
    for name, array in learner.weights().items():
        np.testing.assert_array_equal(bundle.weights[name], array)
