"""The length process: mean squares of the layers of random networks of finite width, for any activation.

Source: Long and Sedghi 2019, "On the effect of the activation function on the distribution of hidden nodes in a deep
network". Given the layer below, the pre-activations of one input are independent Gaussians of the same variance. So
they can be drawn without a weight matrix, exactly as if there were one, and millions of units are cheap.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from deepphenomena.mean_field.quadrature import Function, Number
from deepphenomena.runtime import sampling


class Lengths(NamedTuple):
    """Mean squares in layers 1, 2, ... of several networks.

    Attributes:
        before: of the pre-activations.
        after: of the activations.

    Example:
        >>> found = length_process.networks(jax.random.key(0), jnp.tanh, 2.0, 0.1, units=50, layers=3, draws=4)
        >>> found.after.shape
        (4, 3)
    """

    before: Float[Array, "draws layers"]
    after: Float[Array, "draws layers"]


@functools.partial(jax.jit, static_argnames=("activation", "units", "layers", "draws", "together"))
def networks(
    key: Key[jax.Array, ""],
    activation: Function,
    weight_variance: Number,
    bias_variance: Number,
    *,
    units: int,
    layers: int,
    draws: int,
    square: Number = 1.0,
    together: int = 1,
) -> Lengths:
    """Draw networks on one input and return the mean squares of their layers.

    Args:
        key: a network depends on the key and on its own number only.
        activation: elementwise; the same function object is compiled once.
        weight_variance, bias_variance: σ_w², of a weight times its fan-in, and σ_b².
        units: units of each layer.
        draws: networks.
        square: mean square of the input.
        together: networks that are computed at once; more need more memory.

    Example:
        >>> found = length_process.networks(jax.random.key(0), jnp.sign, 1.0, 0.0, units=9, layers=2, draws=1)
        >>> found.after.tolist()  # of signs
        [[1.0, 1.0]]
    """
    dtype = jnp.result_type(weight_variance, float)

    def network(key):
        def layer(square, key):
            h = jnp.sqrt(weight_variance * square + bias_variance) * sampling.normal(key, (units,), dtype)
            after = jnp.mean(activation(h) ** 2)
            return after, Lengths(jnp.mean(h**2), after)

        return jax.lax.scan(layer, jnp.asarray(square, dtype), jax.random.split(key, layers))[1]

    return jax.lax.map(network, jax.random.split(key, draws), batch_size=together)
