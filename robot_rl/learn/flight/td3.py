"""Twin delayed deep deterministic policy gradient (TD3, Fujimoto et al. 2018, arXiv:1802.09477).

With target networks marked by ', for each critic Q_i and a batch of its own:

    a~ = clip(pi'(o') + clip(n, -c, c), -1, 1),  n ~ N(0, s^2)
    y = r + gamma (1 - terminated) min_j Q'_j(x', a~)
    L_i = mean (Q_i(x, a) - y)^2
    L_pi = -mean Q_1(x, pi(o))

o is what the actor sees, x what the critics see. All layers have a tanh, but for the critics' last one: the
rational one of the published program, `rational_tanh`. The two critics are stacked along a leading axis: each
array of theirs is (2, ...).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from robot_rl.learn import adam, ops
from robot_rl.learn.networks import Params, depth
from sim.quadrotor.dynamics import Array

CRITICS = 2


class Networks(NamedTuple):
    """Everything that is learned."""

    actor: Params
    actor_target: Params
    critics: Params
    critic_targets: Params
    actor_moments: adam.Moments
    critic_moments: adam.Moments


class Rates(NamedTuple):
    """Numbers of the updates."""

    learning_rate: float
    weight_decay: float
    """Part of every weight, but of no bias, that a step takes off."""


class Transitions(NamedTuple):
    """What the critics learn from; leading axes (2, batch), or (batch,) for what the targets need."""

    critic_input: Array
    """x and a, (2, batch, k)."""
    reward: Array
    """(2, batch)."""
    continues: Array
    """(2, batch), 0 where the episode terminated."""
    seen_after: Array
    """o', (2 batch, m)."""
    critic_after: Array
    """x', (2 batch, k - 4)."""
    noise: Array
    """Of the target's action, clipped, (2 batch, 4)."""


def init_network(key: Array, sizes: Sequence[int]) -> Params:
    """Weights and biases uniform in +-1 / sqrt(inputs)."""
    params: Params = {}
    for n, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        key, of_weight, of_bias = jax.random.split(key, 3)
        bound = 1.0 / math.sqrt(inputs)
        weight = jax.random.uniform(of_weight, (inputs, outputs), minval=-bound, maxval=bound)
        params[f"layers.{n}.weight"] = weight
        params[f"layers.{n}.bias"] = jax.random.uniform(of_bias, (outputs,), minval=-bound, maxval=bound)
    return params


def create(key: Array, seen: int, critic_sees: int, hidden: Sequence[int], actions: int = 4) -> Networks:
    """New networks for these numbers of inputs."""
    of_actor, of_critics = jax.random.split(key)
    actor = init_network(of_actor, [seen, *hidden, actions])
    sizes = [critic_sees + actions, *hidden, 1]
    critics = jax.vmap(lambda k: init_network(k, sizes))(jax.random.split(of_critics, CRITICS))
    copy = jax.tree.map(jnp.copy, (actor, critics))
    return Networks(actor, copy[0], critics, copy[1], adam.init(actor), adam.init(critics))


@jax.custom_vjp
def rational_tanh(x: Array) -> Array:
    """An approximation of tanh, off by up to 0.024: x (27 + x^2) / (27 + 9 x^2), x clipped to [-3, 3].

    Its derivative is taken for 1 - y^2, as that of tanh is; so nothing is learned where |x| exceeds 3.
    """
    x = jnp.clip(x, -3.0, 3.0)
    square = x * x
    return x * (27.0 + square) / (27.0 + 9.0 * square)


def _rational_tanh_forward(x: Array) -> tuple[Array, Array]:
    y = rational_tanh(x)
    return y, y


def _rational_tanh_backward(y: Array, gradient: Array) -> tuple[Array]:
    return (gradient * (1.0 - y * y),)


rational_tanh.defvjp(_rational_tanh_forward, _rational_tanh_backward)


def _network(params: Params, x: Array) -> Array:
    """Output before the last activation; x is (batch, in), or (2, batch, in) for stacked networks."""
    last = depth(params) - 1
    for n in range(last + 1):
        x = ops.dense(x, params[f"layers.{n}.weight"], params[f"layers.{n}.bias"])
        if n < last:
            x = rational_tanh(x)
    return x


def act(actor: Params, seen: Array) -> Array:
    """Actions (..., 4) for observations (..., m), in training."""
    return rational_tanh(_network(actor, seen))


def values(critics: Params, inputs: Array) -> Array:
    """Values (2, batch) for inputs (2, batch, k), or for the same inputs (batch, k) by both critics."""
    stacked = jnp.broadcast_to(inputs, (CRITICS, *inputs.shape[-2:]))
    return _network(critics, stacked)[..., 0]


def targets(networks: Networks, data: Transitions, discount: float) -> Array:
    """y, (2, batch)."""
    action = jnp.clip(act(networks.actor_target, data.seen_after) + data.noise, -1.0, 1.0)
    inputs = jnp.concatenate([data.critic_after, action], axis=-1)
    least = values(networks.critic_targets, inputs).min(0).reshape(data.reward.shape)
    return data.reward + discount * data.continues * least


def update_critics(
    networks: Networks, data: Transitions, discount: float, rates: Rates
) -> tuple[Networks, Array]:
    """One step of Adam for each critic; and the mean of their losses."""
    wanted = targets(networks, data, discount)

    def loss(critics: Params) -> Array:
        # A sum over the critics: each has its own mean.
        return jnp.square(values(critics, data.critic_input) - wanted).mean(-1).sum()

    total, gradient = jax.value_and_grad(loss)(networks.critics)
    critics, moments = _descend(networks.critics, gradient, networks.critic_moments, rates)
    return networks._replace(critics=critics, critic_moments=moments), total / CRITICS


def update_actor(networks: Networks, seen: Array, critic_sees: Array, rates: Rates) -> tuple[Networks, Array]:
    """One step of Adam for the actor; and the mean value of its actions."""
    first = jax.tree.map(lambda x: x[0], networks.critics)

    def loss(actor: Params) -> Array:
        inputs = jnp.concatenate([critic_sees, act(actor, seen)], axis=-1)
        return -_network(first, inputs).mean()

    value, gradient = jax.value_and_grad(loss)(networks.actor)
    actor, moments = _descend(networks.actor, gradient, networks.actor_moments, rates)
    return networks._replace(actor=actor, actor_moments=moments), -value


def _descend(
    params: Params, gradient: Params, moments: adam.Moments, rates: Rates
) -> tuple[Params, adam.Moments]:
    after, moments = adam.step(params, gradient, moments, rates.learning_rate)
    decayed = {
        name: value - rates.weight_decay * params[name] if name.endswith("weight") else value
        for name, value in after.items()
    }
    return decayed, moments


def follow_critics(networks: Networks, polyak: float) -> Networks:
    """Move the critics' targets by this part of the way."""
    moved = adam.polyak(networks.critic_targets, networks.critics, polyak)
    return networks._replace(critic_targets=moved)


def follow_actor(networks: Networks, polyak: float) -> Networks:
    """Move the actor's target by this part of the way."""
    return networks._replace(actor_target=adam.polyak(networks.actor_target, networks.actor, polyak))
