"""One update against a re-implementation in NumPy, and each part of the recipe on its own."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from policies.gaussian_policy import NORM_EPSILON
from robot_rl.learn import adam, agent, networks, update
from robot_rl.learn.replay import Batch
from robot_rl.learn.settings import LearnerConfig
from tests.unit.learner_samples import SPEC, TINY

CONFIG = dataclasses.replace(TINY, hidden=(16,), batch_size=8, return_bounds=None, discount=0.9)
NumpyParams = dict[str, np.ndarray]


def make_batch(rows: int = 8) -> Any:
    """A batch of NumPy arrays; every other row ends the task."""
    rng = np.random.default_rng(0)
    fields: dict[str, Any] = {
        "observation": rng.standard_normal((rows, 4), np.float32),
        "action": rng.uniform(-1, 1, (rows, 3)).astype(np.float32),
        "next_observation": rng.standard_normal((rows, 4), np.float32),
        "reward": rng.random(rows, np.float32),
        "penalty": np.full(rows, 0.25, np.float32),
        "continues": (np.arange(rows) % 2).astype(np.float32),
    }
    return Batch(**fields)


def make_agent(config: LearnerConfig) -> agent.Agent:
    """A new agent whose target networks differ from the online ones."""
    made = agent.create(agent.shape_of(SPEC, config), config, 0)
    return made._replace(target=jax.tree.map(lambda x: x + 0.1, made.critic))


@cache
def one_step(config: LearnerConfig) -> tuple[agent.Agent, agent.Agent, dict[str, jax.Array]]:
    """The agent before and after a critic step on `make_batch`, with zero noise and critics 2 and 0."""
    shape = agent.shape_of(SPEC, config)
    before = make_agent(config)
    noise = jnp.zeros((8, shape.continuous))
    step = jax.jit(lambda a, b: update.critic_step(a, shape, config, b, noise, jnp.array([2, 0, 1])))
    after, metrics = step(before, make_batch())
    return before, after, metrics


def numpy_mlp(params: NumpyParams, x: np.ndarray) -> np.ndarray:
    x = x @ params["layers.0.weight"] + params["layers.0.bias"]
    if "layers.0.scale" in params:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + NORM_EPSILON)
        x = x * params["layers.0.scale"] + params["layers.0.offset"]
    return np.maximum(x, 0.0) @ params["layers.1.weight"] + params["layers.1.bias"]


def numpy_params(params: networks.Params, member: int | None = None) -> NumpyParams:
    chosen = {k: np.asarray(v, np.float64) for k, v in params.items()}
    return chosen if member is None else {k: v[member] for k, v in chosen.items()}


def numpy_target(before: agent.Agent, members: tuple[int, ...]) -> np.ndarray:
    batch = make_batch()
    action = np.tanh(numpy_mlp(numpy_params(before.actor), batch.next_observation)[:, :3])
    x = np.concatenate([batch.next_observation, action], -1)
    values = [numpy_mlp(numpy_params(before.target, m), x)[:, 0] for m in members]
    return batch.reward - batch.penalty + CONFIG.discount * batch.continues * np.min(values, 0)


def test_the_target_is_the_minimum_of_the_subset_and_ends_only_with_the_task() -> None:
    before, _, metrics = one_step(CONFIG)
    np.testing.assert_allclose(metrics["target_mean"], numpy_target(before, (2, 0)).mean(), rtol=1e-4)
    batch = make_batch()
    y = numpy_target(before, (2, 0))
    np.testing.assert_allclose(y[::2], batch.reward[::2] - 0.25)
    assert (np.abs(y[1::2] - (batch.reward[1::2] - 0.25)) > 1e-6).all()


def test_a_critic_step_is_adam_on_the_squared_error_and_moves_nothing_else() -> None:
    before, after, _ = one_step(CONFIG)
    batch, y = make_batch(), numpy_target(before, (2, 0))
    x = np.concatenate([batch.observation, batch.action], -1)
    for member in range(3):
        old, new = numpy_params(before.critic, member), numpy_params(after.critic, member)
        error = numpy_mlp(old, x)[:, 0] - y
        # The gradient of the last bias is the mean error; Adam's first step has the size of its rate.
        step = CONFIG.learning_rate * np.sign(error.mean())
        np.testing.assert_allclose(new["layers.1.bias"] - old["layers.1.bias"], -step, rtol=1e-2)
    for old, new, source in zip(
        before.target.values(), after.target.values(), after.critic.values(), strict=True
    ):
        np.testing.assert_allclose(new, 0.995 * old + 0.005 * source, rtol=1e-4, atol=1e-6)
    jax.tree.map(
        np.testing.assert_array_equal,
        (before.actor, before.log_temperature),
        (after.actor, after.log_temperature),
    )
    jax.tree.map(np.testing.assert_array_equal, before.actor_moments, after.actor_moments)


def test_targets_are_clipped_to_the_return_bounds() -> None:
    low, high = 0.3, 0.35
    config = dataclasses.replace(CONFIG, return_bounds=(low, high))
    _, _, metrics = one_step(config)
    y = np.clip(numpy_target(make_agent(CONFIG), (2, 0)), low, high)
    np.testing.assert_allclose(metrics["target_mean"], y.mean(), rtol=1e-5)


def test_entropy_in_the_backup_lowers_the_target_by_the_weighted_log_probability() -> None:
    config = dataclasses.replace(CONFIG, entropy_in_backup=True, initial_temperature=0.5)
    before, _, with_entropy = one_step(config)
    mean, log_std = networks.actor(before.actor, make_batch().next_observation, CONFIG.max_std)
    _, log_probability = networks.squash(mean, log_std, jnp.zeros((8, 3)))
    expected = numpy_target(before, (2, 0)) - 0.9 * 0.5 * make_batch().continues * log_probability
    np.testing.assert_allclose(with_entropy["target_mean"], expected.mean(), rtol=1e-4)


def test_adam_is_that_of_the_paper() -> None:
    params, moments = {"w": jnp.array([1.0, -2.0])}, adam.init({"w": jnp.zeros(2)})
    first = second = np.zeros(2)
    expected = np.array([1.0, -2.0])
    step = jax.jit(adam.step)
    for t in range(1, 6):
        gradient = np.array([0.3 * t, -1e-3])
        params, moments = step(params, {"w": jnp.asarray(gradient, jnp.float32)}, moments, 0.01)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        corrected = (first / (1 - 0.9**t), second / (1 - 0.999**t))
        expected = expected - 0.01 * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
    np.testing.assert_allclose(params["w"], expected, rtol=1e-5)


@pytest.mark.parametrize("subset", [1, 2, 3])
def test_subsets_hold_no_critic_twice(subset: int) -> None:
    orders = np.asarray(update.random_orders(jax.random.key(0), (400,), 5))
    assert (np.sort(orders, -1) == np.arange(5)).all()
    counts = np.bincount(orders[:, :subset].ravel(), minlength=5)
    assert (np.abs(counts - 400 * subset / 5) < 60).all()


def test_gripper_commands_fall_into_three_classes() -> None:
    assert update.gripper_class(jnp.array([-1.0, -0.4, 0.0, 0.4, 1.0])).tolist() == [0, 1, 1, 1, 2]


def test_a_discrete_gripper_bears_the_penalty_alone_with_a_double_dqn_target() -> None:
    config = dataclasses.replace(CONFIG, gripper="discrete")
    before, after, metrics = one_step(config)
    batch = make_batch()
    x = np.concatenate([batch.next_observation, np.zeros((8, 0))], -1)
    action = np.tanh(numpy_mlp(numpy_params(before.actor), x)[:, :2])
    values = [
        numpy_mlp(numpy_params(before.target, m), np.concatenate([x, action], -1))[:, 0] for m in (2, 0)
    ]
    y = batch.reward + 0.9 * batch.continues * np.min(values, 0)
    np.testing.assert_allclose(metrics["target_mean"], y.mean(), rtol=1e-4)

    chosen = numpy_mlp(numpy_params(before.gripper), x).argmax(-1)
    rated = numpy_mlp(numpy_params(before.gripper_target), x)[np.arange(8), chosen]
    y = batch.reward - batch.penalty + 0.9 * batch.continues * rated
    executed = np.asarray(update.gripper_class(jnp.asarray(batch.action[:, -1])))
    q = numpy_mlp(numpy_params(before.gripper), batch.observation)[np.arange(8), executed]
    np.testing.assert_allclose(metrics["gripper_loss"], 0.5 * np.square(q - y).mean(), rtol=1e-4)
    assert np.abs(after.gripper["layers.1.bias"] - before.gripper["layers.1.bias"]).max() > 1e-5


def test_the_margin_is_met_only_when_the_demonstrated_choice_leads_by_it() -> None:
    q = jnp.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.98], [0.0, 1.0, 0.0]])
    loss = update.margin_loss(q, jnp.array([1, 1, 0]), 0.05)
    np.testing.assert_allclose(loss, [0.0, 0.03, 1.05], atol=1e-6)


def test_the_cloning_weight_falls_linearly_and_stays() -> None:
    config = dataclasses.replace(TINY, bc_weight_start=0.5, bc_weight_end=0.1, bc_decay_steps=100)
    weights = [float(update.cloning_weight(config, jnp.int32(n))) for n in (0, 50, 100, 1000)]
    np.testing.assert_allclose(weights, [0.5, 0.3, 0.1, 0.1], rtol=1e-6)


def actor_change(config: LearnerConfig, critic_sign: float) -> float:
    """How much nearer one actor step brings the mean action to the demonstrated ones."""
    shape = agent.shape_of(SPEC, config)
    before = make_agent(config)
    batch = make_batch()._replace(action=np.full((8, 3), 0.9, np.float32))
    # A critic that is linear in the action through its ReLUs: it likes large or small actions.
    critic = jax.tree.map(jnp.zeros_like, before.critic)
    weight = critic["layers.0.weight"].at[:, 4:, 0].set(critic_sign).at[:, 4:, 1].set(-critic_sign)
    ends = critic["layers.1.weight"].at[:, 0].set(1.0).at[:, 1].set(-1.0)
    before = before._replace(critic=critic | {"layers.0.weight": weight, "layers.1.weight": ends})
    step = jax.jit(
        lambda a, b: update.actor_step(
            a, shape, config, b, jnp.zeros((8, 3)), trust=jnp.float32(1e-9), weight=jnp.float32(1.0)
        )[0]
    )
    after = step(before, batch)

    def distance(which: agent.Agent) -> float:
        mean, _ = networks.actor(which.actor, batch.observation, config.max_std)
        return float(update.cloning_loss(mean, batch.action).mean())

    return distance(before) - distance(after)


def test_the_q_filter_clones_only_what_the_critics_rate_above_the_policy() -> None:
    plain = dataclasses.replace(CONFIG, critic_layer_norm=False, demo_fraction=1.0, critic_subset=0)
    filtered = dataclasses.replace(plain, bc_q_filter=True)
    assert actor_change(plain, -1.0) > 1e-4
    assert actor_change(filtered, 1.0) == pytest.approx(actor_change(plain, 1.0), rel=1e-3)
    assert actor_change(filtered, -1.0) < 1e-2 * actor_change(plain, -1.0)
