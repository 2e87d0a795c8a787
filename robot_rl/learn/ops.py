"""The three layers that nearly all of the learner's time goes into, with hand-written derivatives.

XLA's CPU backend multiplies plain row-major matrices near the limit of the core, but takes half as long
again for a product with a transposed operand, and several times as long for a sum along a row as for a
matrix-vector product. So the backward passes transpose explicitly first, and sums are products with ones.
An optimisation barrier keeps XLA from folding the transpose back in. `benchmarks/learner.py` measures the
outcome; `tests/unit/test_learn_ops.py` compares the derivatives with automatic ones.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from policies.gaussian_policy import NORM_EPSILON

LANES = 16
"""Partial sums of a row that are kept side by side: float32 numbers of a 512-bit register."""


def _transposed(x: jax.Array) -> jax.Array:
    """Swap the last two axes in memory, not only in name."""
    return jax.lax.optimization_barrier(x.swapaxes(-1, -2))


def _row_sums(x: jax.Array, weights: jax.Array) -> jax.Array:
    """sum_j x_ij w_j, (..., n, m) and (..., m) to (..., n, 1)."""
    return x @ weights[..., None]


def _column_sums(x: jax.Array) -> jax.Array:
    """sum_i x_ij, (..., n, m) to (..., m)."""
    return (jnp.ones((*x.shape[:-2], 1, x.shape[-2]), x.dtype) @ x)[..., 0, :]


def _mean_square(x: jax.Array) -> jax.Array:
    """Mean of x^2 over the last axis, (..., n, m) to (..., n, 1)."""
    width = x.shape[-1]
    if width % LANES:
        return jnp.square(x).mean(-1, keepdims=True)
    partial = jnp.square(x).reshape(*x.shape[:-1], width // LANES, LANES).sum(-2)
    return jax.lax.optimization_barrier(partial).sum(-1, keepdims=True) / width


@jax.custom_vjp
def dense(x: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
    """X W + b; x (..., n, in), weight (..., in, out), bias (..., out)."""
    return x @ weight + bias[..., None, :]


def _dense_forward(
    x: jax.Array, weight: jax.Array, bias: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return dense(x, weight, bias), (x, weight)


def _dense_backward(
    saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, weight = saved
    if gradient.shape[-1] < x.shape[-1]:  # transpose the narrower one
        by_weight = _transposed(jax.lax.optimization_barrier(_transposed(gradient) @ x))
    else:
        by_weight = _transposed(x) @ gradient
    return gradient @ _transposed(weight), by_weight, _column_sums(gradient)


dense.defvjp(_dense_forward, _dense_backward)

NormSaved = tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]


@jax.custom_vjp
def norm_relu(x: jax.Array, scale: jax.Array, offset: jax.Array) -> jax.Array:
    """max(0, z scale + offset), z = (x - mean) / sqrt(var + eps) over the last axis (Ba et al. 2016, eq. 3).

    x (..., n, m), scale and offset (..., m). The variance is mean(x^2) - mean(x)^2, never below zero.
    """
    return _norm_relu_forward(x, scale, offset)[0]


def _moments(x: jax.Array, scale: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and 1 / sqrt(var + eps) of each row, (..., n, 1); `scale` gives the members and the width."""
    mean = _row_sums(x, jnp.full_like(scale, 1.0 / x.shape[-1]))
    variance = jnp.maximum(_mean_square(x) - jnp.square(mean), 0.0)
    return mean, jax.lax.rsqrt(variance + NORM_EPSILON)


def _norm_relu_forward(x: jax.Array, scale: jax.Array, offset: jax.Array) -> tuple[jax.Array, NormSaved]:
    mean, inverse = _moments(x, scale)
    affine = (x - mean) * inverse * scale[..., None, :] + offset[..., None, :]
    # Not `maximum`: XLA would compute that again inside each of its users, strided in the transposing one.
    y = jnp.where(affine > 0.0, affine, 0.0)
    return y, (x, mean, inverse, scale, y)


def _norm_backward(saved: NormSaved, behind: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """With d the gradient `behind`: dx = (d s - mean(d s) - z mean(d s z)) / sqrt(var + eps)."""
    x, mean, inverse, scale, _ = saved
    z = (x - mean) * inverse
    behind, product = jax.lax.optimization_barrier((behind, behind * z))
    weights = scale / x.shape[-1]
    along = _row_sums(behind, weights) + z * _row_sums(product, weights)
    dx = inverse * (behind * scale[..., None, :] - along)
    return dx, _column_sums(product), _column_sums(behind)


def _norm_relu_backward(saved: NormSaved, gradient: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    return _norm_backward(saved, jnp.where(saved[-1] > 0.0, gradient, 0.0))


norm_relu.defvjp(_norm_relu_forward, _norm_relu_backward)


@jax.custom_vjp
def norm_tanh(x: jax.Array, scale: jax.Array, offset: jax.Array) -> jax.Array:
    """tanh(z scale + offset) with the z of `norm_relu`."""
    return _norm_tanh_forward(x, scale, offset)[0]


def _norm_tanh_forward(x: jax.Array, scale: jax.Array, offset: jax.Array) -> tuple[jax.Array, NormSaved]:
    mean, inverse = _moments(x, scale)
    y = jnp.tanh((x - mean) * inverse * scale[..., None, :] + offset[..., None, :])
    return y, (x, mean, inverse, scale, y)


def _norm_tanh_backward(saved: NormSaved, gradient: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    return _norm_backward(saved, gradient * (1.0 - jnp.square(saved[-1])))


norm_tanh.defvjp(_norm_tanh_forward, _norm_tanh_backward)
