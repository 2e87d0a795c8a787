"""Networks as plain functions over dictionaries of arrays.

A network is a dict with `layers.N.weight` (in, out) and `layers.N.bias` (out,), and with layer normalisation
also `layers.N.scale` and `layers.N.offset`. Where images are learned from, each network has a trunk of its
own for their features, `trunk.weight`, `.bias`, `.scale` and `.offset` (dense, layer normalisation, tanh;
after DrQ-v2, Yarats et al. 2021), whose output comes before the packed observation. The names are those of
the policy bundle, see `policies.gaussian_policy`. An ensemble has a leading axis of members on every array.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from policies.gaussian_policy import MIN_LOG_STD
from robot_rl.learn import ops

Params = dict[str, jax.Array]


def depth(params: Params) -> int:
    """Number of dense layers."""
    return sum(name.startswith("layers.") and name.endswith(".weight") for name in params)


def init_mlp(key: jax.Array, sizes: Sequence[int], *, norm: bool = False, last_scale: float = 1.0) -> Params:
    """Weights from N(0, 1 / fan_in), zero biases; `last_scale` shrinks the last layer."""
    params: Params = {}
    last = len(sizes) - 2
    for n, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        key, layer_key = jax.random.split(key)
        scale = (last_scale if n == last else 1.0) / math.sqrt(fan_in)
        params[f"layers.{n}.weight"] = scale * jax.random.normal(layer_key, (fan_in, fan_out), jnp.float32)
        params[f"layers.{n}.bias"] = jnp.zeros(fan_out, jnp.float32)
        if norm and n != last:
            params[f"layers.{n}.scale"] = jnp.ones(fan_out, jnp.float32)
            params[f"layers.{n}.offset"] = jnp.zeros(fan_out, jnp.float32)
    return params


def init_trunk(key: jax.Array, features: int, width: int) -> Params:
    """A trunk from `features` to `width`; empty where there are no features."""
    if features == 0:
        return {}
    # Not `key` itself: the network behind the trunk takes its weights from that.
    normal = jax.random.normal(jax.random.fold_in(key, 1), (features, width), jnp.float32)
    return {
        "trunk.weight": normal / math.sqrt(features),
        "trunk.bias": jnp.zeros(width, jnp.float32),
        "trunk.scale": jnp.ones(width, jnp.float32),
        "trunk.offset": jnp.zeros(width, jnp.float32),
    }


def init_ensemble(
    key: jax.Array, members: int, sizes: Sequence[int], features: int = 0, trunk: int = 0, *, norm: bool
) -> Params:
    """`members` independent networks, stacked along a leading axis; `sizes` begins behind the trunk."""

    def member(key: jax.Array) -> Params:
        return init_trunk(key, features, trunk) | init_mlp(key, sizes, norm=norm)

    return jax.vmap(member)(jax.random.split(key, members))


def see(params: Params, observation: jax.Array, features: jax.Array | None) -> jax.Array:
    """The input of the hidden layers: the trunk's view of the features (batch, f), then the observation.

    The result has the leading axis of an ensemble, if `params` are one's and there are features.
    """
    if features is None:
        return observation
    weight, bias = params["trunk.weight"], params["trunk.bias"]
    members, width = weight.shape[:-2], weight.shape[-1]
    if members:  # One wide product reads the features once for all members.
        weight = weight.swapaxes(0, 1).reshape(weight.shape[1], -1)
    x = ops.dense(features.astype(jnp.float32), weight, bias.ravel())
    if members:
        x = x.reshape(-1, *members, width).swapaxes(0, 1)
    x = ops.norm_tanh(x, params["trunk.scale"], params["trunk.offset"])
    return jnp.concatenate([x, jnp.broadcast_to(observation, (*members, *observation.shape))], axis=-1)


def mlp(params: Params, x: jax.Array) -> jax.Array:
    """ReLU network; (..., in) to (..., out). The leading axes of an ensemble's input are its members."""
    last = depth(params) - 1
    for n in range(last + 1):
        name = f"layers.{n}."
        x = ops.dense(x, params[name + "weight"], params[name + "bias"])
        if n < last and name + "scale" in params:
            x = ops.norm_relu(x, params[name + "scale"], params[name + "offset"])
        elif n < last:
            x = jax.nn.relu(x)
    return x


def actor(
    params: Params, observation: jax.Array, max_std: float, features: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Mean and log standard deviation, up to that of `max_std`, of the Gaussian before the tanh."""
    mean, log_std = jnp.split(mlp(params, see(params, observation, features)), 2, axis=-1)
    return mean, jnp.clip(log_std, MIN_LOG_STD, math.log(max_std))


def values(params: Params, observation: jax.Array, features: jax.Array | None = None) -> jax.Array:
    """Values (batch, choices) of a Q-function over choices."""
    return mlp(params, see(params, observation, features))


def init_actor(key: jax.Array, sizes: Sequence[int], std: float, features: int = 0, trunk: int = 0) -> Params:
    """An actor whose mean is near zero and whose standard deviation is near `std` (before the tanh)."""
    dimension = sizes[-1]
    params = init_mlp(key, [*sizes[:-1], 2 * dimension], last_scale=0.01)
    name = f"layers.{len(sizes) - 2}.bias"
    params[name] = params[name].at[dimension:].set(math.log(std))
    return init_trunk(key, features, trunk) | params


def gaussian_noise(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Standard normal numbers (Box and Muller 1958): a third of the cost of `jax.random.normal` on a CPU."""
    size = math.prod(shape)
    bits = jax.random.bits(key, (2, (size + 1) // 2)) >> 8
    uniform = (bits.astype(jnp.float32) + 0.5) * 2.0**-24
    radius, angle = jnp.sqrt(-2.0 * jnp.log(uniform[0])), 2.0 * math.pi * uniform[1]
    pairs = jnp.stack([radius * jnp.cos(angle), radius * jnp.sin(angle)])
    return pairs.ravel()[:size].reshape(shape)


def squash(mean: jax.Array, log_std: jax.Array, noise: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Action a = tanh(u), u = mean + std * noise, and log pi(a) (Haarnoja et al. 2018, appendix C).

    log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u)), which stays finite for large u.
    """
    u = mean + jnp.exp(log_std) * noise
    gaussian = -0.5 * jnp.square(noise) - log_std - 0.5 * math.log(2 * math.pi)
    squeeze = 2.0 * (math.log(2.0) - u - jax.nn.softplus(-2.0 * u))
    return jnp.tanh(u), (gaussian - squeeze).sum(-1)


def ensemble_values(
    stacked: Params, observation: jax.Array, action: jax.Array, features: jax.Array | None = None
) -> jax.Array:
    """Q values (members, batch) of a stacked ensemble."""
    members = stacked["layers.0.weight"].shape[0]
    if features is None:
        x = jnp.concatenate([observation, action], axis=-1)
        x = jnp.broadcast_to(x, (members, *x.shape))
    else:
        action = jnp.broadcast_to(action, (members, *action.shape))
        x = jnp.concatenate([see(stacked, observation, features), action], axis=-1)
    return mlp(stacked, x)[..., 0]


def choose(stacked: Params, members: jax.Array) -> Params:
    """The chosen members of a stacked ensemble."""
    return {name: array[members] for name, array in stacked.items()}
