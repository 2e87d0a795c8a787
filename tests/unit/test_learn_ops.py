"""Hand-written derivatives against automatic ones, and the networks against NumPy."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from policies.gaussian_policy import NORM_EPSILON
from robot_rl.learn import networks, ops


def numbers(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def value_and_gradients(function: Callable[..., jax.Array], *arguments: np.ndarray) -> tuple:
    """The sum of the function's result over fixed random weights, and its derivatives."""

    def projected(*arguments: jax.Array) -> jax.Array:
        result = function(*arguments)
        return (result * np.sin(np.arange(result.size)).reshape(result.shape)).sum()

    return jax.jit(jax.value_and_grad(projected, (0, 1, 2)))(*arguments)


def plain_norm_relu(x: jax.Array, scale: jax.Array, offset: jax.Array) -> jax.Array:
    z = (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + NORM_EPSILON)
    return jnp.maximum(z * scale[..., None, :] + offset[..., None, :], 0.0)


@pytest.mark.parametrize(("members", "width"), [((3,), 32), ((), 10)])
def test_norm_relu_has_the_value_and_derivatives_of_its_equation(
    members: tuple[int, ...], width: int
) -> None:
    x, scale, offset = numbers((*members, 8, width), (*members, width), (*members, width))
    ours = value_and_gradients(ops.norm_relu, 3.0 * x + 1.0, scale, offset)
    plain = value_and_gradients(plain_norm_relu, 3.0 * x + 1.0, scale, offset)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4), ours, plain)


def plain_norm_tanh(x: jax.Array, scale: jax.Array, offset: jax.Array) -> jax.Array:
    z = (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + NORM_EPSILON)
    return jnp.tanh(z * scale[..., None, :] + offset[..., None, :])


@pytest.mark.parametrize(("members", "width"), [((3,), 32), ((), 10)])
def test_norm_tanh_has_the_value_and_derivatives_of_its_equation(
    members: tuple[int, ...], width: int
) -> None:
    x, scale, offset = numbers((*members, 8, width), (*members, width), (*members, width))
    ours = value_and_gradients(ops.norm_tanh, 3.0 * x + 1.0, scale, offset)
    plain = value_and_gradients(plain_norm_tanh, 3.0 * x + 1.0, scale, offset)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4), ours, plain)


def test_norm_relu_of_equal_inputs_is_finite() -> None:
    x = jnp.full((4, 32), 1234.5)
    one = jnp.ones(32)
    value, gradient = jax.jit(jax.value_and_grad(lambda x: ops.norm_relu(x, one, one).sum()))(x)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("members", [(), (3,)])
def test_dense_has_the_derivatives_of_a_product(members: tuple[int, ...]) -> None:
    x, weight, bias = numbers((*members, 8, 5), (*members, 5, 7), (*members, 7))
    ours = value_and_gradients(ops.dense, x, weight, bias)
    plain = value_and_gradients(lambda x, w, b: x @ w + b[..., None, :], x, weight, bias)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), ours, plain)


def test_members_of_an_ensemble_are_independent_networks() -> None:
    stacked = networks.init_ensemble(jax.random.key(0), 3, [5, 16, 1], norm=True)
    observation, action = jax.random.normal(jax.random.key(1), (4, 3)), jnp.ones((4, 2))
    values = jax.jit(networks.ensemble_values)(stacked, observation, action)
    assert values.shape == (3, 4)
    x = jnp.concatenate([observation, action], -1)
    for n in range(3):
        alone = jax.jit(networks.mlp)({name: array[n] for name, array in stacked.items()}, x)[:, 0]
        np.testing.assert_allclose(values[n], alone, rtol=1e-5, atol=1e-6)
    assert np.abs(values[0] - values[1]).max() > 1e-3


def test_members_see_features_through_trunks_of_their_own() -> None:
    stacked = networks.init_ensemble(jax.random.key(0), 3, [8 + 5, 16, 1], 12, 8, norm=True)
    observation, action = jax.random.normal(jax.random.key(1), (4, 3)), jnp.ones((4, 2))
    features = jax.random.normal(jax.random.key(2), (4, 12)).astype(jnp.float16)
    values = jax.jit(networks.ensemble_values)(stacked, observation, action, features)
    assert values.shape == (3, 4)
    both = jnp.concatenate([observation, action], -1)
    for n in range(3):
        member = {name: array[n] for name, array in stacked.items()}
        alone = jax.jit(networks.values)(member, both, features)[:, 0]
        np.testing.assert_allclose(values[n], alone, rtol=1e-5, atol=1e-6)
        x = features.astype(jnp.float32) @ member["trunk.weight"] + member["trunk.bias"]
        x = jnp.concatenate([plain_norm_tanh(x, member["trunk.scale"], member["trunk.offset"]), both], -1)
        np.testing.assert_allclose(alone, networks.mlp(member, x)[:, 0], rtol=1e-4, atol=1e-5)
    assert np.abs(values[0] - values[1]).max() > 1e-3


def test_squash_gives_the_density_of_the_squashed_action() -> None:
    mean, log_std = jnp.array([0.3, -1.0]), jnp.array([-0.5, 0.2])
    noise = jnp.array([[0.4, -1.2], [2.0, 0.1]])
    action, log_probability = networks.squash(mean, log_std, noise)
    u = np.arctanh(np.asarray(action, np.float64))
    std = np.exp(np.asarray(log_std, np.float64))
    gaussian = stats.norm.logpdf(u, np.asarray(mean, np.float64), std)
    expected = gaussian - np.log1p(-(np.asarray(action, np.float64) ** 2))
    np.testing.assert_allclose(log_probability, expected.sum(-1), rtol=1e-3)


def test_squash_stays_finite_far_out() -> None:
    _, log_probability = networks.squash(jnp.array([40.0]), jnp.array([0.0]), jnp.array([[1.0]]))
    assert np.isfinite(log_probability).all()


def test_gaussian_noise_is_standard_normal() -> None:
    noise = np.asarray(networks.gaussian_noise(jax.random.key(0), (101, 7, 30))).ravel()
    assert np.isfinite(noise).all()
    assert stats.kstest(noise, "norm").pvalue > 0.01
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.03


def test_a_new_actor_is_centred_with_the_wanted_deviation() -> None:
    params = networks.init_actor(jax.random.key(0), [6, 32, 4], 0.2)
    mean, log_std = networks.actor(params, jax.random.normal(jax.random.key(1), (64, 6)), 7.0)
    assert np.abs(mean).max() < 0.2
    np.testing.assert_allclose(np.exp(log_std), 0.2, rtol=0.2)
