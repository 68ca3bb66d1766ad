"""Networks in NTK parameterization: unit-variance weights that are scaled in the forward pass.

Source: Jacot et al. 2018, "Neural tangent kernel"; Lewkowycz et al. 2020, Section 2. No biases, as in the latter.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
from flax import nnx
from jaxtyping import Float, Key

from deepphenomena.kernels import convolution
from deepphenomena.nets.initializers import normal
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import unknown


class Activation(NamedTuple):
    """A nonlinearity and the gain of the weights after it."""

    function: Callable[[Array], Array]
    gain: float


# E[φ(z)²] = 1/gain² for standard normal z preserves the variance in hidden layers; tanh uses the linear gain.
ACTIVATIONS = {
    "relu": Activation(jax.nn.relu, math.sqrt(2.0)),
    "linear": Activation(lambda x: x, 1.0),
    "tanh": Activation(jax.numpy.tanh, 1.0),
}


class Dense(nnx.Module):
    """x ↦ gain · x W / √inputs with W ~ N(0, 1), shape (inputs, outputs)."""

    def __init__(self, inputs: int, outputs: int, *, gain: float, rngs: nnx.Rngs):
        self.kernel = nnx.Param(normal()(rngs.params(), (inputs, outputs)))
        self.scale = gain / math.sqrt(inputs)

    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
        return self.scale * (x @ self.kernel[...])


class Convolution(nnx.Module):
    """A 3×3 convolution (NHWC) scaled by gain / √(9 · input channels), with weights N(0, 1)."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, gain: float, rngs: nnx.Rngs):
        self.kernel = nnx.Param(normal()(rngs.params(), (3, 3, inputs, outputs)))
        self.scale = gain / math.sqrt(9 * inputs)
        self.stride = stride

    def __call__(self, x: Float[Array, "batch height width inputs"]) -> Float[Array, "batch rows columns outputs"]:
        return self.scale * convolution(x, self.kernel[...], stride=self.stride)


def fully_connected(widths: Sequence[int], *, activation: str, key: Key[jax.Array, ""]) -> nnx.Sequential:
    """Return layers of these widths, from inputs to outputs. `activation` is 'relu', 'linear' or 'tanh'.

    Raise InputError for another activation.

    Example:
        >>> model = nets.fully_connected([784, 512, 10], activation="relu", key=jax.random.key(0))
        >>> model(jnp.ones((2, 784))).shape
        (2, 10)
    """
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    phi, gain = ACTIVATIONS[activation]
    rngs = nnx.Rngs(params=key)
    layers: list[Callable] = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        # The first layer takes inputs, not activations: its gain is 1 for any nonlinearity.
        layers += [Dense(inputs, outputs, gain=gain if i else 1.0, rngs=rngs), phi]
    return nnx.Sequential(*layers[:-1])


def convolutional(shape: Sequence[int], *, channels: int, outputs: int, key: Key[jax.Array, ""]) -> nnx.Sequential:
    """Return two 3×3 ReLU convolutions with stride 2 and a linear readout. `shape` is (height, width, channels).

    Example:
        >>> model = nets.convolutional((28, 28, 1), channels=8, outputs=10, key=jax.random.key(0))
        >>> model(jnp.ones((2, 28, 28, 1))).shape
        (2, 10)
    """
    rngs = nnx.Rngs(params=key)
    height, width, inputs = shape
    flat = math.ceil(height / 4) * math.ceil(width / 4) * channels
    return nnx.Sequential(
        Convolution(inputs, channels, stride=2, gain=1.0, rngs=rngs),
        jax.nn.relu,
        Convolution(channels, channels, stride=2, gain=ACTIVATIONS["relu"].gain, rngs=rngs),
        jax.nn.relu,
        lambda x: x.reshape(*x.shape[:-3], flat),
        Dense(flat, outputs, gain=ACTIVATIONS["relu"].gain, rngs=rngs),
    )
