"""A learner is a fold over transitions: given those of a run's logs again, it is the same learner."""

import numpy as np

from robot_rl.core.config import replace
from robot_rl.data.recorder import EpisodeRecorder
from robot_rl.data.views import transitions
from robot_rl.env.session import Session
from robot_rl.learn.learner import Learner
from robot_rl.learn.train import train
from robot_rl.tasks import load

CHANGES = {
    "session.max_steps": 60,
    "session.evaluation_episodes": 0,
    "session.final_episodes": 0,
    "learner.demonstrations": 1,
    "learner.bc_steps": 20,
    "learner.learning_starts": 20,
    "learner.batch_size": 16,
    "goal.time_limit": 2.0,
}


def test_the_episode_logs_rebuild_the_learner_bit_by_bit(tmp_path):
    config = replace(load("franka_reach"), CHANGES)
    env, arm = config.simulate()
    trained = Learner(env.spec, config.learner, seed=5)
    session = Session(config.session, 5, config.learner.demonstrations)
    with EpisodeRecorder(tmp_path, env.spec) as recorder:
        train(env, arm, session, trained, recorder)
    env.close()

    rebuilt = Learner(env.spec, config.learner, seed=5)
    for transition in transitions(tmp_path):
        rebuilt.add(transition)

    assert rebuilt.received == trained.received > 60
    assert rebuilt.version == trained.version > 3
    ours, theirs = rebuilt.weights(), trained.weights()
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name])
