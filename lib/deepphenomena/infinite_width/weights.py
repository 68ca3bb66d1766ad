"""Layers with weights: dense and convolutional, in both parameterizations."""

import math
from typing import NamedTuple

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import Float

from deepphenomena.infinite_width import _fields
from deepphenomena.infinite_width._tiles import Prior
from deepphenomena.infinite_width.network import Network, State
from deepphenomena.runtime import numbers, sampling
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError, unknown

PARAMETERIZATIONS = ("ntk", "standard")
_LAYOUT = ("NHWC", "HWIO", "NHWC")

Variance = float | Float[Array, ""]


def dense(
    width: int, *, weight_variance: Variance = 1.0, bias_variance: Variance = 0.0, parameterization: str = "ntk"
) -> Network:
    """Return a linear layer of the last axis.

    In the NTK parameterization `y = σ_w / √fan-in · x W + σ_b b` with standard normal W, b. In the standard one W has
    the variance σ_w² / fan-in and b has σ_b². Its tangent kernel grows with the width and is computed at this width. A
    layer with σ_b² = 0 has no bias.

    Args:
        width: units of the finite network; the NNGP does not depend on it.
        weight_variance, bias_variance: σ_w² and σ_b².
        parameterization: "ntk" or "standard".

    Source: Lee et al. 2018, equation 5; Jacot et al. 2018, Theorem 1; Sohl-Dickstein et al. 2020, "On the infinite
    width limit of neural networks with a standard parameterization".

    Example:
        >>> infinite_width.dense(4, bias_variance=0.5).kernel(jnp.eye(2)).nngp.tolist()
        [[1.0, 0.5], [0.5, 1.0]]
    """
    weights = _Weights.checked(weight_variance, bias_variance, parameterization)
    width = numbers.whole("width", width, minimum=1)

    def init(key, shape):
        return (*shape[:-1], width), weights.draw(key, (shape[-1], width))

    def apply(parameters, x):
        return weights.scaled(parameters, x @ parameters["w"], x.shape[-1])

    def through(state):
        return weights.through(state, state.nngp, state.ntk, state.features, width)

    return Network(init, apply, lambda state: (through(state), None), lambda state, *_: through(state), ("weights",))


def conv(
    channels: int,
    size: int = 3,
    *,
    stride: int = 1,
    padding: str = "SAME",
    weight_variance: Variance = 1.0,
    bias_variance: Variance = 0.0,
    parameterization: str = "ntk",
) -> Network:
    """Return a convolution of images (height, width, channels) with a square kernel.

    Args:
        channels: of the finite network.
        size: taps in each direction.
        stride: pixels from one window to the next.
        padding: "SAME", "VALID" or "CIRCULAR".
        weight_variance, bias_variance, parameterization: as in `dense`; the fan-in counts all taps and channels.

    Source: Novak et al. 2019, "Bayesian deep convolutional networks with many channels are Gaussian processes",
    equations 6 and 14-16; Arora et al. 2019, "On exact computation with an infinitely wide neural net", Section 4.

    Example:
        >>> network = infinite_width.serial(infinite_width.conv(8, 3), infinite_width.flatten())
        >>> network.kernel(jnp.ones((2, 4, 4, 1))).nngp.shape
        (2, 2)
    """
    weights = _Weights.checked(weight_variance, bias_variance, parameterization)
    channels = numbers.whole("channels", channels, minimum=1)
    size, stride = numbers.whole("size", size, minimum=1), numbers.whole("stride", stride, minimum=1)
    if padding not in _fields.PADDINGS:
        raise unknown("padding", padding, _fields.PADDINGS)

    def edges(shape):
        if len(shape) != 3:
            raise InputError(f"conv on an input of shape {shape}: it must be an image, (height, width, channels)")
        return [_fields.edges(pixels, size, stride, padding) for pixels in shape[:2]]

    def init(key, shape):
        counts = [(n + sum(edge) - size) // stride + 1 for n, edge in zip(shape, edges(shape), strict=False)]
        return (*counts, channels), weights.draw(key, (size, size, shape[-1], channels))

    def apply(parameters, x):
        frame = [(0, 0), *edges(x.shape[1:]), (0, 0)]
        wide = jnp.pad(x, frame, mode="wrap" if padding == "CIRCULAR" else "constant")
        y = lax.conv_general_dilated(wide, parameters["w"], (stride,) * 2, "VALID", dimension_numbers=_LAYOUT)
        return weights.scaled(parameters, y, size**2 * x.shape[-1])

    def through(state):
        if state.kind == _fields.FLAT:
            raise InputError("conv on inputs without pixels: give images, and convolve before flatten() or pool()")
        nngp, ntk = (_fields.windows(of, state.kind, size, stride, padding) for of in (state.nngp, state.ntk))
        return weights.through(state, nngp, ntk, size**2 * state.features, channels)

    return Network(init, apply, lambda state: (through(state), None), lambda state, *_: through(state), ("weights",))


class _Weights(NamedTuple):
    """Weights and biases of a linear layer: how they are drawn, and what they do to a kernel."""

    prior: Prior
    parameterization: str

    @classmethod
    def checked(cls, weight_variance: Variance, bias_variance: Variance, parameterization: str) -> "_Weights":
        prior = Prior.checked(weight_variance, bias_variance)
        if parameterization not in PARAMETERIZATIONS:
            raise unknown("parameterization", parameterization, PARAMETERIZATIONS)
        return cls(prior, parameterization)

    @property
    def biased(self) -> bool:
        return not (numbers.known(self.prior.bias) and self.prior.bias == 0)

    def draw(self, key, shape):
        of_weights, of_bias = jax.random.split(key)
        scale, shift = (1.0, 1.0) if self.parameterization == "ntk" else self._deviations(math.prod(shape[:-1]))
        parameters = {"w": scale * sampling.normal(of_weights, shape)}
        return parameters | ({"b": shift * sampling.normal(of_bias, shape[-1:])} if self.biased else {})

    def scaled(self, parameters, y, fan_in: int):
        """Return the layer's outputs from the product y of its inputs and weights."""
        scale, shift = self._deviations(fan_in) if self.parameterization == "ntk" else (1.0, 1.0)
        return scale * y + (shift * parameters["b"] if "b" in parameters else 0.0)

    def _deviations(self, fan_in: int):
        return jnp.sqrt(self.prior.weight / fan_in), jnp.sqrt(self.prior.bias)

    def through(self, state: State, nngp, ntk, fan_in: int, width: int) -> State:
        covariance, tangent = self.prior.affine(nngp, ntk)
        if self.parameterization == "standard":
            tangent = fan_in * nngp + float(self.biased) + self.prior.weight * ntk
        return State(covariance, tangent, state.kind, width, gaussian=True)
