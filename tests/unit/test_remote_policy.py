"""Weights act at the declared steps, in lockstep and on the real clock."""

from __future__ import annotations

import numpy as np
import pytest

from policies.gaussian_policy import GaussianPolicy
from robot_rl.core.types import Mode
from robot_rl.data.codec import Weights
from robot_rl.nodes.remote_policy import RemotePolicies
from tests.unit.data_samples import small_spec

SPEC = small_spec()
BLOCK = 10


def weights(version):
    rng = np.random.default_rng(version)
    inputs, outputs = SPEC.observation.vector_size, 2 * SPEC.action.size
    arrays = {
        "layers.0.weight": rng.normal(size=(inputs, outputs)).astype(np.float32),
        "layers.0.bias": np.zeros(outputs, np.float32),
        "std.max": np.ones(1, np.float32),
    }
    return Weights(version, arrays)


class Learner:
    """Publishes a version only when somebody waits for one."""

    def __init__(self):
        self.next = 1
        self.waited_for = []
        self.policies = RemotePolicies(SPEC, BLOCK, self.wait)

    def wait(self, ready, what):
        self.waited_for.append(what)
        while not ready():
            self.policies.add(weights(self.next))
            self.next += 1


def test_each_block_waits_for_the_version_that_is_due():
    learner = Learner()
    policies = learner.policies
    assert policies.due(Mode.DEMO).version == 0
    versions = []
    for step in range(45):
        policies.practice_steps = step
        versions.append(policies.due(Mode.TRAIN).version)
    assert versions == [1] * 20 + [2] * 10 + [3] * 10 + [4] * 5
    assert learner.waited_for == [f"policy/weights version {v}" for v in (1, 2, 3, 4)]


def test_an_evaluation_uses_all_that_was_learned_and_practice_goes_on_with_it():
    learner = Learner()
    policies = learner.policies
    policies.practice_steps = 25
    assert policies.due(Mode.TRAIN).version == 2
    policies.settle()
    assert policies.due(Mode.EVAL).version == 3
    assert policies.due(Mode.TRAIN).version == 3
    policies.practice_steps = 40
    assert policies.due(Mode.TRAIN).version == 4


def test_a_version_that_came_early_waits_for_its_block():
    policies = RemotePolicies(SPEC, BLOCK, lambda ready, what: pytest.fail(f"waited for {what}"))
    for version in (1, 2, 3):
        policies.add(weights(version))
    assert policies.due(Mode.TRAIN).version == 1
    policies.practice_steps = 20
    assert policies.due(Mode.TRAIN).version == 2


def test_a_version_that_a_restart_has_lost_is_replaced_by_the_next():
    policies = RemotePolicies(SPEC, BLOCK, lambda ready, what: None)
    policies.practice_steps = 50
    policies.add(weights(6))
    assert policies.due(Mode.TRAIN).version == 6


def test_on_the_real_clock_nobody_waits_and_the_newest_acts():
    policies = RemotePolicies(SPEC, BLOCK, None)
    policies.practice_steps = 100
    assert policies.due(Mode.TRAIN).version == 0
    policies.settle()
    policies.add(weights(3))
    policies.add(weights(4))
    policy = policies.due(Mode.TRAIN)
    observation = SPEC.observation.zeros()
    observation["cube.position"][:] = 0.3
    expected = GaussianPolicy(SPEC, weights(4).arrays)(observation, None)
    np.testing.assert_array_equal(policy(observation, None), expected)
    assert policy.version == 4
