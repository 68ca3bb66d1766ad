"""Variance and correlation of signals layer by layer, by applying the maps of mean-field theory again and again."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from deepphenomena.mean_field.activations import Activation
from deepphenomena.mean_field.moments import checked_variances
from deepphenomena.mean_field.phases import correlation_map, variance_map
from deepphenomena.mean_field.quadrature import Number


def variances(
    activation: Activation, weight_variance: Number, bias_variance: Number, start: Number, layers: int
) -> Float[Array, " layers"]:
    """Compute the variance of the pre-activations in layers 1, 2, ..., where the first is `start`.

    Raises:
        InputError: an unknown activation, or a variance that is negative, infinite or NaN.

    Example:
        >>> mean_field.layers.variances("relu", 1.0, 0.5, 1.0, 3).tolist()
        [1.0, 1.0, 1.0]
    """
    weight, bias = checked_variances(activation, weight_variance, bias_variance)
    return _variances(activation, weight, bias, jnp.asarray(start, weight.dtype), layers)


def correlations(
    activation: Activation,
    weight_variance: Number,
    bias_variance: Number,
    start: Float[Array, " signals"],
    layers: int,
    *,
    variance: Number,
) -> Float[Array, "layers signals"]:
    """Compute correlations in layers 1, 2, ..., where the first are `start` and every signal keeps its variance.

    Example:
        >>> found = mean_field.layers.correlations("tanh", 6.25, 0.09, jnp.array([0.5]), 20, variance=4.079)
        >>> round(float(found[-1, 0]), 3)
        0.133
    """
    weight, bias = checked_variances(activation, weight_variance, bias_variance)
    return _correlations(activation, weight, bias, start, jnp.asarray(variance, weight.dtype), layers)


@functools.partial(jax.jit, static_argnames=("activation", "layers"))
def _variances(activation, weight, bias, start, layers):
    return jax.lax.scan(lambda q, _: (variance_map(activation, weight, bias, q), q), start, length=layers)[1]


@functools.partial(jax.jit, static_argnames=("activation", "layers"))
def _correlations(activation, weight, bias, start, variance, layers):
    def layer(c, _):
        return jax.lax.map(lambda one: correlation_map(activation, weight, bias, one, q=variance), c), c

    return jax.lax.scan(layer, start, length=layers)[1]
