"""Second moments of an activation under a Gaussian: in closed form where the table has one, else by quadrature."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from deepphenomena.mean_field.activations import Activation, nonlinearity
from deepphenomena.mean_field.quadrature import (
    Number,
    expectation,
    product_expectation,
    root,
    smoothed_product_expectation,
)
from deepphenomena.runtime import numbers


def second_moment(activation: Activation, q: Number) -> Number:
    """Compute `E[φ(√q z)²]` for standard normal z.

    Raises:
        InputError: an unknown activation, here and below.

    Example:
        >>> float(mean_field.second_moment("relu", 1.0))
        0.5
    """
    phi = nonlinearity(activation)
    if phi.moments:
        return phi.moments(floating(q))[0]
    return expectation(lambda u: phi.function(u) ** 2, q)


def slope_moment(activation: Activation, q: Number) -> Number:
    """Compute `E[φ'(√q z)²]` for standard normal z.

    Example:
        >>> float(mean_field.slope_moment("relu", 1.0))
        0.5
    """
    phi = nonlinearity(activation)
    if phi.moments:
        return phi.moments(floating(q))[1]
    return expectation(lambda u: jax.jvp(phi.function, (u,), (jnp.ones_like(u),))[1] ** 2, q)


def cross_moment(activation: Activation, q1: Number, q2: Number, c: Number) -> Number:
    """Compute `E[φ(u₁) φ(u₂)]` for Gaussian u with variances q₁, q₂ and correlation −1 ≤ c ≤ 1.

    Exact for the named activations ("hard_tanh" and "tanh": to 1e-5 or better). Another function uses a product rule of
    171 x 171 nodes: exact to rounding where it is analytic near the real line, to about 1e-3 where it has a kink.
    Differentiable for −1 < c < 1.

    Example:
        >>> round(float(mean_field.cross_moment("relu", 1.0, 1.0, 0.0)), 4)  # 1 / 2π
        0.1592
    """
    phi = nonlinearity(activation)
    c = jnp.clip(c, -1, 1)
    if phi.pair:
        q1, q2 = floating(q1), floating(q2)
        return phi.pair.of(c * root(q1) * root(q2), phi.pair.side(q1), phi.pair.side(q2))[0]
    if phi.smoothed:
        return smoothed_product_expectation(phi.function, phi.smoothed, q1, q2, c)
    return product_expectation(phi.function, q1, q2, c)


def check_variances(weight_variance, bias_variance) -> None:
    """Raise InputError for a variance that is negative, infinite or NaN, where its value is known."""
    numbers.check_variance("weight_variance", weight_variance)
    numbers.check_variance("bias_variance", bias_variance)


def checked_variances(activation: Activation, weight_variance, bias_variance) -> tuple[Array, Array]:
    """Both variances as arrays of one floating-point type.

    Raises:
        InputError: an unknown activation, or a variance that is negative, infinite or NaN.
    """
    nonlinearity(activation)
    check_variances(weight_variance, bias_variance)
    weight, bias = floating(weight_variance), floating(bias_variance)
    dtype = jnp.result_type(weight, bias)
    return weight.astype(dtype), bias.astype(dtype)


def floating(value) -> Array:
    """The value as an array of floating-point numbers."""
    value = jnp.asarray(value)
    return value if jnp.issubdtype(value.dtype, jnp.floating) else value.astype(float)
