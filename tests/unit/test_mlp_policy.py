"""The deterministic tanh policy: what it computes, its bundle, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from policies.bundle import GAUSSIAN, MLP, Bundle, load_bundle, save_bundle
from policies.mlp_policy import MlpPolicy
from robot_rl.core.errors import PolicyError
from robot_rl.core.protocols import Policy
from tests.unit.flight_samples import bundle_of, flight_spec, weights_of
from tests.unit.learner_samples import SPEC, noise_transition, seeing

FLIGHT = flight_spec(history=2)


def test_the_action_is_what_the_equation_says() -> None:
    weights = weights_of(FLIGHT, (5,))
    policy = MlpPolicy(FLIGHT, weights, 3)
    rng = np.random.default_rng(1)
    observation = {
        name: rng.normal(size=a.shape).astype(np.float32) for name, a in FLIGHT.observation.entries
    }
    x = []
    for name, array in FLIGHT.observation.entries:
        x += [float(value) / array.scale for value in np.ravel(observation[name])]
    for n in range(2):
        weight, bias = weights[f"layers.{n}.weight"], weights[f"layers.{n}.bias"]
        x = [
            math.tanh(sum(v * float(w) for v, w in zip(x, weight[:, j], strict=True)) + float(bias[j]))
            for j in range(weight.shape[1])
        ]
    action = policy(observation, None)
    assert isinstance(policy, Policy)
    assert action.dtype == np.float32
    np.testing.assert_allclose(action, x, atol=1e-6)
    np.testing.assert_array_equal(policy(observation, np.random.default_rng(0)), action)
    FLIGHT.action.validate("action", action)


def test_a_policy_keeps_its_weights_when_the_trainer_goes_on() -> None:
    weights = weights_of(FLIGHT, (5,))
    policy, vector = MlpPolicy(FLIGHT, weights), np.ones(FLIGHT.observation.vector_size, np.float32)
    before = policy.act(vector)
    for array in weights.values():
        array += 1.0
    np.testing.assert_array_equal(policy.act(vector), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("layers.0.weight"), r"no array layers\.0\.weight"),
        (lambda w: w.pop("layers.1.bias"), r"layers\.1\.bias has shape \(0,\), expected \(4,\)"),
        (lambda w: w.update({"layers.1.weight": np.zeros((9, 4), np.float32)}), r"expected \(5, outputs\)"),
        (lambda w: [w.pop(k) for k in ("layers.1.weight", "layers.1.bias")], "gives 5 numbers"),
        (lambda w: w.update({"std.max": np.ones(1, np.float32)}), r"unexpected arrays.*std\.max"),
        (lambda w: w["layers.1.weight"].__setitem__((0, 0), np.inf), r"layers\.1\.weight is not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, message: str) -> None:
    weights = weights_of(FLIGHT, (5,))
    change(weights)
    with pytest.raises(PolicyError, match=message):
        MlpPolicy(FLIGHT, weights)


def test_an_observation_with_pictures_is_refused() -> None:
    with pytest.raises(PolicyError, match=r"float32 vectors only.*wrist\.features"):
        MlpPolicy(seeing(SPEC), weights_of(SPEC, (5,)))


def test_a_bundle_says_which_network_it_holds(tmp_path: Path) -> None:
    bundle = bundle_of(FLIGHT, (5, 6))
    save_bundle(tmp_path, bundle)
    read = load_bundle(tmp_path, FLIGHT)
    network = json.loads((tmp_path / "policy.json").read_text())["network"]
    assert (read.kind, network["kind"], network["sizes"]) == (MLP, MLP, [26, 5, 6, 4])
    vectors = np.random.default_rng(0).normal(size=(7, 26)).astype(np.float32)
    policy = read.policy()
    assert isinstance(policy, MlpPolicy)
    np.testing.assert_array_equal(policy.act(vectors), MlpPolicy(FLIGHT, bundle.weights).act(vectors))


@pytest.mark.parametrize(
    ("kind", "message"), [(GAUSSIAN, "positive std.max"), ("relu", "network kind 'relu'")]
)
def test_a_bundle_that_claims_another_network_is_refused(tmp_path: Path, kind: str, message: str) -> None:
    save_bundle(tmp_path, bundle_of(FLIGHT, (5,)))
    path = tmp_path / "policy.json"
    manifest = json.loads(path.read_text())
    manifest["network"]["kind"] = kind
    path.write_text(json.dumps(manifest))
    with pytest.raises(PolicyError, match=message):
        load_bundle(tmp_path)


def test_a_bundle_of_an_unknown_kind_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="did you mean 'tanh-mlp'"):
        save_bundle(tmp_path, Bundle(FLIGHT, weights_of(FLIGHT, (5,)), 1, kind="tanhmlp"))
    assert not list(tmp_path.iterdir())


def test_it_serves_other_tasks_than_flying() -> None:
    policy = MlpPolicy(SPEC, weights_of(SPEC, (5,)))
    SPEC.action.validate("action", policy(noise_transition(0).observation, None))
