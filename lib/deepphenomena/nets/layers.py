"""Layers used by several networks: batch normalization, max-pooling, and a convolution with both.

Batch normalization uses the statistics of the current batch, in training and in testing, so that a network is a pure
function of its parameters. Test it on batches of a few hundred images. A running average would lag early in training.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float

from deepphenomena.nets.convolution import Conv
from deepphenomena.nets.initializers import he_normal
from deepphenomena.runtime.arrays import Array


class BatchNorm(nnx.Module):
    """y = scale · (x - mean) / √(variance + ε) + bias for each channel, with moments over the batch (and its pixels).

    Source: Ioffe and Szegedy 2015, Algorithm 1, without the running averages.
    """

    def __init__(self, features: int):
        self.scale = nnx.Param(jnp.ones(features))
        self.bias = nnx.Param(jnp.zeros(features))

    def __call__(self, x: Float[Array, "*batch features"]) -> Float[Array, "*batch features"]:
        axes = tuple(range(x.ndim - 1))
        mean = jnp.mean(x, axes)
        variance = jnp.mean((x - mean) ** 2, axes)
        return (x - mean) * (self.scale[...] * jax.lax.rsqrt(variance + 1e-5)) + self.bias[...]


class ConvolutionBlock(nnx.Module):
    """Convolution, batch normalization and ReLU, then, with `pool`, the maximum over 3×3 windows with stride 2."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int = 1, pool: bool, rngs: nnx.Rngs):
        size = (kernel, kernel)
        self.convolution = Conv(inputs, outputs, size, stride, use_bias=False, kernel_init=he_normal(), rngs=rngs)
        self.normalisation = BatchNorm(outputs)
        self.pool = pool

    def __call__(self, x: Float[Array, "batch height width inputs"]) -> Float[Array, "batch rows columns outputs"]:
        y = jax.nn.relu(self.normalisation(self.convolution(x)))
        return max_pool_3x3(y) if self.pool else y


def max_pool_2x2(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows columns channels"]:
    """Return the maximum over each 2×2 window. An odd last row or column is dropped."""
    batch, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2].reshape(batch, height // 2, 2, width // 2, 2, channels)
    return jnp.max(x, (2, 4))  # on a CPU, its gradient is much faster than that of reduce_window


def max_pool_3x3(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows columns channels"]:
    """Return the maximum over 3×3 windows with stride 2 and padding "SAME". x must be nonnegative, as after a ReLU."""
    for axis in (1, 2):
        size = x.shape[axis]
        made = -(-size // 2)
        before = (2 * made + 1 - size) // 2
        padding = [(0, 0)] * x.ndim
        padding[axis] = (before, 2 * made + 1 - size - before)
        x = jnp.pad(x, padding)  # zeros do not change a maximum of nonnegative values
        # Three shifted copies; on a CPU, the gradient of reduce_window is many times slower.
        first, second, third = (jax.lax.slice_in_dim(x, k, k + 2 * made - 1, 2, axis) for k in range(3))
        x = jnp.maximum(jnp.maximum(first, second), third)
    return x
