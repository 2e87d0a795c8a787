"""Policies at run time: parity with the learner's networks, bundles, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from policies.bundle import Bundle, load_bundle, save_bundle
from policies.gaussian_policy import GaussianPolicy
from policies.scripted import HoldStill, RandomPolicy
from robot_rl.core.errors import PolicyError
from robot_rl.core.protocols import Policy
from robot_rl.core.spec import EnvSpec, Observation, Spec
from robot_rl.learn import agent, networks
from robot_rl.learn.settings import LearnerConfig
from tests.unit.learner_samples import POINT, SPEC, TINY, noise_transition, seeing, with_sight

DISCRETE = dataclasses.replace(TINY, gripper="discrete", max_std=0.5)


SEEING = seeing(SPEC, crops=2)


def observe(n: int, spec: EnvSpec = SPEC) -> Observation:
    return with_sight(noise_transition(n), spec).observation


def made(config: LearnerConfig, spec: EnvSpec = SPEC) -> agent.Agent:
    """An agent with weights as uneven as learned ones."""
    agent_ = agent.create(agent.shape_of(spec, config), config, 0)
    rng = np.random.default_rng(0)

    def uneven(params: networks.Params) -> networks.Params:
        return {k: v + 0.3 * rng.standard_normal(v.shape, np.float32) for k, v in params.items()}

    return agent_._replace(actor=uneven(agent_.actor), gripper=uneven(agent_.gripper))


def policy_of(config: LearnerConfig, spec: EnvSpec = SPEC) -> GaussianPolicy:
    return GaussianPolicy(spec, agent.actor_arrays(made(config, spec), config), 7)


@pytest.mark.parametrize("spec", [SPEC, SEEING], ids=["blind", "seeing"])
@pytest.mark.parametrize("config", [TINY, DISCRETE], ids=["continuous", "discrete"])
def test_numpy_and_jax_agree(config: LearnerConfig, spec: EnvSpec) -> None:
    learned, policy = made(config, spec), policy_of(config, spec)
    observations = [observe(n, spec) for n in range(50)]
    features = None
    if spec is SEEING:
        features = jnp.stack([spec.observation.features(o) for o in observations])
    packed = np.stack([SPEC.observation.vector(o) / SPEC.observation.vector_scale for o in observations])
    mean, log_std = networks.actor(learned.actor, jnp.asarray(packed), config.max_std, features)
    expected = np.tanh(mean)
    rng = np.random.default_rng(3)
    noise = np.stack([rng.standard_normal(mean.shape[-1], np.float32) for _ in observations])
    sampled, _ = networks.squash(mean, log_std, jnp.asarray(noise))
    if config.gripper == "discrete":
        values = networks.values(learned.gripper, jnp.asarray(packed), features)
        choice = np.asarray(values).argmax(-1)[:, None] - 1.0
        assert len(np.unique(choice)) > 1
        expected, sampled = np.hstack([expected, choice]), np.hstack([sampled, choice])
    actions = np.stack([policy(o, None) for o in observations])
    np.testing.assert_allclose(actions, expected, atol=1e-5)
    rng = np.random.default_rng(3)
    np.testing.assert_allclose(np.stack([policy(o, rng) for o in observations]), sampled, atol=1e-5)
    assert actions.dtype == np.float32


def test_policies_satisfy_the_protocol() -> None:
    observation = noise_transition(0).observation
    for policy in (policy_of(TINY), HoldStill(SPEC.action), RandomPolicy(SPEC.action)):
        assert isinstance(policy, Policy)
        for rng in (None, np.random.default_rng(0)):
            action = policy(observation, rng)
            SPEC.action.validate("action", action)
            first = action.copy()
            action += 5.0  # a caller may reuse the array
            again = policy(observation, None if rng is None else np.random.default_rng(0))
            np.testing.assert_array_equal(again, first)


def test_holding_still_commands_zero_and_chance_covers_the_range() -> None:
    observation, rng = noise_transition(0).observation, np.random.default_rng(0)
    assert not HoldStill(SPEC.action)(observation, rng).any()
    assert not RandomPolicy(SPEC.action)(observation, None).any()
    actions = np.stack([RandomPolicy(SPEC.action)(observation, rng) for _ in range(500)])
    assert (actions.min(0) < -0.95).all()
    assert (actions.max(0) > 0.95).all()


def test_a_policy_keeps_its_weights_when_the_learner_goes_on() -> None:
    weights = {k: v.copy() for k, v in agent.actor_arrays(made(TINY), TINY).items()}
    policy, observation = GaussianPolicy(SPEC, weights), noise_transition(0).observation
    before = policy(observation, None)
    for array in weights.values():
        array += 1.0
    np.testing.assert_array_equal(policy(observation, None), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("layers.0.weight"), r"no array layers\.0\.weight"),
        (lambda w: w.pop("layers.1.bias"), r"layers\.1\.bias is missing"),
        (lambda w: w.update({"layers.1.weight": np.zeros((9, 16), np.float32)}), r"expected \(16, outputs\)"),
        (lambda w: w.update({"layers.2.weight": np.zeros((16, 4), np.float32)}), "bias"),
        (lambda w: w.update({"other": np.zeros(1, np.float32)}), "unexpected arrays"),
        (lambda w: w["layers.0.bias"].__setitem__(0, np.nan), "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, message: str) -> None:
    weights = {k: v.copy() for k, v in agent.actor_arrays(made(TINY), TINY).items()}
    change(weights)
    with pytest.raises(PolicyError, match=message):
        GaussianPolicy(SPEC, weights)


@pytest.mark.parametrize("prefix", ["trunk.", "gripper.trunk."])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w, p: w.pop(p + "weight"), r"trunk\.weight has shape \(0,\), expected \(10, outputs\)"),
        (lambda w, p: w.pop(p + "offset"), r"trunk\.offset has shape \(0,\), expected \(64,\)"),
        (lambda w, p: w.update({p + "weight": w[p + "weight"][:9]}), r"has shape \(9, 64\)"),
        (lambda w, p: w[p + "scale"].__setitem__(0, np.inf), "not finite"),
    ],
)
def test_a_trunk_that_does_not_fit_is_refused(prefix: str, change, message: str) -> None:
    weights = {k: v.copy() for k, v in agent.actor_arrays(made(DISCRETE, SEEING), DISCRETE).items()}
    change(weights, prefix)
    with pytest.raises(PolicyError, match=message):
        GaussianPolicy(SEEING, weights)


def test_a_policy_that_sees_is_refused_where_there_is_nothing_to_see() -> None:
    with pytest.raises(PolicyError, match=r"expected \(4, outputs\)"):
        GaussianPolicy(SPEC, agent.actor_arrays(made(TINY, SEEING), TINY))


def save(directory: Path, config: LearnerConfig = DISCRETE, spec: EnvSpec = SPEC) -> Bundle:
    arrays = agent.actor_arrays(made(config, spec), config)
    bundle = Bundle(spec, arrays, 7, {"task": "sample", "seed": 3})
    save_bundle(directory, bundle)
    return bundle


@pytest.mark.parametrize("spec", [SPEC, SEEING], ids=["blind", "seeing"])
@pytest.mark.parametrize("config", [TINY, DISCRETE], ids=["continuous", "discrete"])
def test_a_bundle_is_read_back_as_it_was(tmp_path: Path, config: LearnerConfig, spec: EnvSpec) -> None:
    bundle = save(tmp_path, config, spec)
    read = load_bundle(tmp_path, spec)
    assert (read.spec.digest, read.version, read.provenance) == (spec.digest, 7, bundle.provenance)
    observation = observe(5, spec)
    np.testing.assert_array_equal(
        read.policy()(observation, np.random.default_rng(0)),
        bundle.policy()(observation, np.random.default_rng(0)),
    )


def edit(directory: Path, *keys: str, value: object) -> None:
    path = directory / "policy.json"
    manifest = json.loads(path.read_text())
    place = manifest
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(manifest))


def flip_a_bit(directory: Path) -> None:
    path = directory / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def truncate_manifest(directory: Path) -> None:
    path = directory / "policy.json"
    path.write_text(path.read_text()[:200])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "policy.json").unlink(), "not a policy bundle"),
        (lambda d: (d / "weights.safetensors").unlink(), "not a policy bundle"),
        (flip_a_bit, "damaged"),
        (truncate_manifest, "cannot be read"),
        (lambda d: edit(d, "format", value=2), "format 2"),
        (lambda d: edit(d, "golden", value=None), "incomplete"),
        (lambda d: edit(d, "golden", "action", value=[0.5, 0.5, 0.0]), "golden action is not repeated"),
        (lambda d: edit(d, "golden", "action", value=[0.5]), "golden action is not repeated"),
        (lambda d: edit(d, "golden", "action", value=[float("nan")] * 3), "golden action is not repeated"),
        (lambda d: edit(d, "spec", "control_rate", value=20.0), "altered"),
    ],
)
def test_a_damaged_bundle_is_refused(tmp_path: Path, damage, message: str) -> None:
    save(tmp_path)
    damage(tmp_path)
    with pytest.raises(PolicyError, match=message):
        load_bundle(tmp_path)


def test_a_bundle_for_another_task_is_refused(tmp_path: Path) -> None:
    save(tmp_path)
    with pytest.raises(PolicyError, match="does not fit the task"):
        load_bundle(tmp_path, POINT)


def test_a_bundle_for_another_encoder_is_refused(tmp_path: Path) -> None:
    save(tmp_path, spec=SEEING)
    arrays = {
        name: dataclasses.replace(array, encoder="f" * 16) if array.encoder else array
        for name, array in SEEING.observation.entries
    }
    other = dataclasses.replace(SEEING, observation=Spec.of(arrays))
    with pytest.raises(PolicyError, match=r"does not fit the task.*wrist\.features"):
        load_bundle(tmp_path, other)


def test_a_bundle_of_a_variant_with_the_same_spec_is_accepted(tmp_path: Path) -> None:
    save(tmp_path)
    assert load_bundle(tmp_path, dataclasses.replace(SPEC, name="variant")).version == 7
