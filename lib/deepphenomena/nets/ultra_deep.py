"""Plain convolutional networks with thousands of layers: no skip connections, no normalization.

Source: Xiao et al. 2018, "Dynamical isometry and a mean field theory of CNNs", Sections 2 and 4.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Float, Key

from deepphenomena.kernels import convolution, deep_scan
from deepphenomena.nets.initializers import Initializer, gaussian_convolution, stacked
from deepphenomena.runtime import sampling
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError, unknown

PADDINGS = ("CIRCULAR", "SAME")
_SMALL_TORUS = 64  # up to this number of positions, padding an image costs more than it saves


class UltraDeep(nnx.Module):
    """image → strided convolution → φ → depth × (3 × 3 convolution, bias, φ) → flatten → linear readout.

    The first convolution cuts the image into grid × grid patches and lifts each to `channels`. The layers' parameters
    are stacked on a leading axis, and the layers run as `kernels.deep_scan`: memory grows with the square root of the
    depth, and compile time is constant.

    Args:
        shape: (height, width, channels) of an image; height and width divisible by `grid`.
        grid: positions along each side in the deep part.
        channels: channels in the deep part.
        depth: layers in the deep part.
        outputs: number of classes.
        kernel_init: an initializer of the kernel of one layer, for example `delta_orthogonal(gain)`.
        bias_variance: σ_b², the variance of the Gaussian biases in the deep layers.
        input_variance: the variance of the first pre-activations, for images of mean square 1; q* for a critical
            initialization. The readout is scaled by it, so that outputs start with variance near 1.
        activation: φ, by default tanh.
        padding: "CIRCULAR" (the image is a torus) or "SAME" (zeros around it).
        block: layers between two stored activations, as in `deep_scan`; `depth` stores all of them.
        key: the random key.

    Raises:
        InputError: an image that `grid` does not divide, or an unknown padding.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        grid: int,
        channels: int,
        depth: int,
        outputs: int,
        kernel_init: Initializer,
        bias_variance: float,
        input_variance: float,
        activation: Callable[[Array], Array] = jnp.tanh,
        padding: str = "CIRCULAR",
        block: int | None = None,
        key: Key[jax.Array, ""],
    ):
        height, width, inputs = shape
        if height % grid or width % grid:
            raise InputError(f"grid {grid} for images of {height} x {width}: it must divide both sides")
        check_padding(padding)
        lift, kernels, biases, readout = jax.random.split(key, 4)
        patch = (height // grid, width // grid, inputs, channels)
        self.lift = nnx.Param(gaussian_convolution(input_variance**0.5)(lift, patch, jnp.float32))
        self.kernels = nnx.Param(stacked(kernel_init)(kernels, (depth, 3, 3, channels, channels), jnp.float32))
        self.biases = nnx.Param(bias_variance**0.5 * sampling.normal(biases, (depth, channels)))
        flat = grid * grid * channels
        # Activations have a variance of about q, so outputs start with variance 1 for any q.
        self.readout = nnx.Param(sampling.normal(readout, (flat, outputs)) / (flat * input_variance) ** 0.5)
        self.readout_bias = nnx.Param(jnp.zeros(outputs))
        self.activation, self.padding, self.block = activation, padding, block

    def __call__(self, images: Float[Array, "batch height width inputs"]) -> Float[Array, "batch outputs"]:
        lift = self.lift[...]
        lifted = self.activation(convolution(images, lift, stride=lift.shape[:2], padding="VALID"))
        last = propagate(
            self.kernels[...], self.biases[...], lifted,
            activation=self.activation, padding=self.padding, block=self.block,
        )  # fmt: skip
        return last.reshape(len(last), -1) @ self.readout[...] + self.readout_bias[...]


def propagate(
    kernels: Float[Array, "depth 3 3 channels channels"],
    biases: Float[Array, "depth channels"],
    x: Float[Array, "batch height width channels"],
    *,
    activation: Callable[[Array], Array] = jnp.tanh,
    padding: str = "CIRCULAR",
    block: int | None = None,
) -> Float[Array, "batch height width channels"]:
    """Apply x ← φ(x * kernel + bias) for each layer. Differentiable in both modes; reverse mode needs O(√depth) memory.

    Raise the errors of `kernels.deep_scan`, and InputError for an unknown padding.
    """
    check_padding(padding)
    torus = padding == "CIRCULAR" and x.shape[1] * x.shape[2] <= _SMALL_TORUS

    def layer(parameters, x):
        kernel, bias = parameters
        convolved = _on_small_torus(x, kernel) if torus else convolution(x, kernel, padding=padding)
        return activation(convolved + bias)

    if not torus:
        return deep_scan(layer, (kernels, biases), x, block=block)
    rows_first = x.transpose(1, 2, 0, 3)  # a shift in space then moves whole rows of (batch, channels)
    return deep_scan(layer, (kernels, biases), rows_first, block=block).transpose(2, 0, 1, 3)


def check_padding(padding: str) -> None:
    """Raise InputError for an unknown padding."""
    if padding not in PADDINGS:
        raise unknown("padding", padding, PADDINGS)


def _on_small_torus(
    x: Float[Array, "height width batch channels"], kernel: Float[Array, "3 3 channels channels"]
) -> Float[Array, "height width batch channels"]:
    """Compute the circular convolution as one matrix product with all nine taps; shift and add the results.

    For 4 × 4 positions of 16 channels, a training step takes two fifths of the time of `kernels.convolution`, which
    pads the image first. It uses only splits and concatenations, because they are transposes of each other.
    """
    channels = kernel.shape[2]
    taps = x @ kernel.transpose(2, 0, 1, 3).reshape(channels, -1)
    taps = lax.split(taps, [kernel.shape[3]] * 9, axis=3)
    rows = [sum(_roll(taps[3 * i + j], 1 - j, 1) for j in range(3)) for i in range(3)]
    return sum(_roll(rows[i], 1 - i, 0) for i in range(3))


def _roll(x: Array, shift: int, axis: int) -> Array:
    size = x.shape[axis]
    if (shift := shift % size) == 0:
        return x
    head, tail = lax.split(x, (size - shift, shift), axis)
    return lax.concatenate([tail, head], axis)
