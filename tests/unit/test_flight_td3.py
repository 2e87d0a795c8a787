"""TD3: what it aims at, what it learns, and its tanh."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from robot_rl.learn.flight import td3


def bandit(key: jax.Array, n: int, actions: int = 4) -> td3.Transitions:
    """One-step episodes that pay 1 - |a - 0.5|^2, with random inputs."""
    of_inputs, of_action = jax.random.split(key)
    seen = jax.random.uniform(of_inputs, (2, n, 3), minval=-1.0)
    action = jax.random.uniform(of_action, (2, n, actions), minval=-1.0)
    return td3.Transitions(
        critic_input=jnp.concatenate([seen, action], -1),
        reward=1.0 - jnp.square(action - 0.5).sum(-1),
        continues=jnp.zeros((2, n)),
        seen_after=seen.reshape(-1, 3),
        critic_after=seen.reshape(-1, 3),
        noise=jnp.zeros((2 * n, actions)),
    )


def test_td3_learns_a_bandit() -> None:
    rates = td3.Rates(2e-3, 0.0)

    def learn_critics(networks: td3.Networks, key: jax.Array) -> tuple[td3.Networks, jax.Array]:
        return td3.update_critics(networks, bandit(key, 64, 1), 0.99, rates)

    def learn_actor(networks: td3.Networks, key: jax.Array) -> tuple[td3.Networks, jax.Array]:
        seen = bandit(key, 64).critic_after[:64]
        return td3.update_actor(networks, seen, seen, rates)

    @jax.jit
    def learn(networks: td3.Networks, keys: jax.Array) -> tuple[td3.Networks, jax.Array, jax.Array]:
        networks, losses = jax.lax.scan(learn_critics, networks, keys)
        networks, values = jax.lax.scan(learn_actor, networks, keys)
        return networks, losses, values

    keys = jax.random.split(jax.random.key(1), 800)
    networks, losses, values = learn(td3.create(jax.random.key(0), 3, 3, (32, 32), 1), keys)
    assert float(losses[-20:].mean()) < 0.05 * float(losses[:5].mean())
    assert float(values[-1]) > float(values[0])
    actions = np.asarray(td3.act(networks.actor, bandit(jax.random.key(2), 64).seen_after))
    np.testing.assert_allclose(actions.mean(), 0.5, atol=0.15)


def bent(x: np.ndarray) -> np.ndarray:
    """The published program's tanh."""
    x = np.clip(x, -3.0, 3.0)
    return x * (27.0 + x**2) / (27.0 + 9.0 * x**2)


def test_the_rational_tanh_is_near_tanh_and_flat_far_out() -> None:
    x = np.linspace(-6.0, 6.0, 2401, dtype=np.float32)
    y, slope = jax.vmap(jax.value_and_grad(td3.rational_tanh))(x)
    np.testing.assert_allclose(y, bent(x), atol=1e-6)
    assert 0.02 < np.abs(y - np.tanh(x)).max() < 0.024
    np.testing.assert_allclose(slope, 1.0 - np.asarray(y) ** 2, atol=1e-6)
    assert not np.any(np.asarray(slope)[np.abs(x) >= 3.0])


def test_targets_take_the_lesser_critic_and_stop_at_ends() -> None:
    networks = td3.create(jax.random.key(0), 3, 3, (8,))
    other = td3.create(jax.random.key(1), 3, 3, (8,))
    networks = networks._replace(actor_target=other.actor, critic_targets=other.critics)
    data = bandit(jax.random.key(2), 5)._replace(
        continues=jnp.asarray([[1.0, 0, 1, 0, 1], [0.0, 1, 0, 1, 0]])
    )

    def dense(params: dict[str, np.ndarray], x: np.ndarray, n: int) -> np.ndarray:
        return x @ params[f"layers.{n}.weight"] + params[f"layers.{n}.bias"]

    actor = {name: np.asarray(w) for name, w in other.actor.items()}
    action = bent(dense(actor, bent(dense(actor, np.asarray(data.seen_after), 0)), 1))
    inputs = np.concatenate([data.critic_after, action], -1)
    both = []
    for i in range(2):
        critic = {name: np.asarray(w[i]) for name, w in other.critics.items()}
        both.append(dense(critic, bent(dense(critic, inputs, 0)), 1)[:, 0])
    least = np.minimum(*both).reshape(2, 5)
    wanted = np.asarray(data.reward) + 0.9 * np.asarray(data.continues) * least
    np.testing.assert_allclose(td3.targets(networks, data, 0.9), wanted, rtol=1e-5, atol=1e-6)


def test_decay_spares_biases() -> None:
    networks = td3.create(jax.random.key(0), 3, 3, (8,))
    after, _ = td3.update_critics(networks, bandit(jax.random.key(1), 4), 0.9, td3.Rates(0.0, 0.25))
    for name, value in networks.critics.items():
        kept = 0.75 if name.endswith("weight") else 1.0
        np.testing.assert_allclose(after.critics[name], kept * np.asarray(value), rtol=1e-6)
    for name, value in networks.actor.items():
        np.testing.assert_array_equal(after.actor[name], value)
