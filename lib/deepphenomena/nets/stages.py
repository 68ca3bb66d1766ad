"""Networks as blocks under a linear head, the form in which weights are transplanted: CBR, ResNet-18 and ResNet-50.

The parameters of every network here lie under `blocks` 0, 1, ... and `head`, so that "all but the head" or "the first
two blocks" mean the same for each. Batch normalisation is that of `image_classifiers`, with the batch at hand.

Source: Raghu, Zhang, Kleinberg and Bengio 2019, "Transfusion: understanding transfer learning for medical imaging",
Section 3 and its appendix, for the CBR family; He et al. 2016 for the residual networks.
"""

import math
import re
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from deepphenomena.nets.convolution import Conv
from deepphenomena.nets.image_classifiers import BatchNorm, ResidualBlock
from deepphenomena.nets.initializers import scaled_normal
from deepphenomena.runtime.errors import InputError, unknown

_he, _lecun = scaled_normal(2.0), scaled_normal(1.0)


def pooled(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows columns channels"]:
    """The maximum over 3×3 windows at every second pixel, padded as "SAME"; x is 0 or more."""
    for axis in (1, 2):
        size = x.shape[axis]
        made = -(-size // 2)
        before = (2 * made + 1 - size) // 2
        padding = [(0, 0)] * x.ndim
        padding[axis] = (before, 2 * made + 1 - size - before)
        x = jnp.pad(x, padding)  # with 0, which no maximum of values from 0 on notices
        # Three shifted copies; on a CPU the gradient of a reduce_window is many times slower.
        first, second, third = (jax.lax.slice_in_dim(x, k, k + 2 * made - 1, 2, axis) for k in range(3))
        x = jnp.maximum(jnp.maximum(first, second), third)
    return x


class ConvolutionBlock(nnx.Module):
    """Convolution, batch normalisation and ReLU, then, with `pool`, the maximum over 3×3 windows with stride 2."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int = 1, pool: bool, rngs: nnx.Rngs):
        size = (kernel, kernel)
        self.convolution = Conv(inputs, outputs, size, stride, use_bias=False, kernel_init=_he, rngs=rngs)
        self.normalisation = BatchNorm(outputs)
        self.pool = pool

    def __call__(self, x: Float[Array, "batch height width inputs"]) -> Float[Array, "batch rows columns outputs"]:
        y = jax.nn.relu(self.normalisation(self.convolution(x)))
        return pooled(y) if self.pool else y


class Bottleneck(nnx.Module):
    """relu(shortcut + 1×1, 3×3 and 1×1 convolutions): c channels, c (with the stride), and 4c. The shortcut is
    projected where shapes change.

    Source: He et al. 2016, "Deep residual learning for image recognition", Figure 5, with the stride in the 3×3
    convolution as in most later implementations.
    """

    def __init__(self, inputs: int, width: int, *, stride: int, rngs: nnx.Rngs):
        def convolution(given, made, size, stride=1):
            return Conv(given, made, (size, size), stride, use_bias=False, kernel_init=_he, rngs=rngs)

        self.narrow, self.middle = convolution(inputs, width, 1), convolution(width, width, 3, stride)
        self.widen = convolution(width, 4 * width, 1)
        self.norms = nnx.List([BatchNorm(width), BatchNorm(width), BatchNorm(4 * width)])
        projected = stride > 1 or inputs != 4 * width
        self.shortcut = convolution(inputs, 4 * width, 1, stride) if projected else None
        self.shortcut_norm = BatchNorm(4 * width) if projected else None

    def __call__(self, x: Float[Array, "batch height width inputs"]) -> Float[Array, "batch rows columns outputs"]:
        y = jax.nn.relu(self.norms[0](self.narrow(x)))
        y = jax.nn.relu(self.norms[1](self.middle(y)))
        kept = x if self.shortcut is None else self.shortcut_norm(self.shortcut(x))
        return jax.nn.relu(kept + self.norms[2](self.widen(y)))


class Staged(nnx.Module):
    """Blocks one after another, the mean over pixels, and a linear head."""

    def __init__(self, blocks: Sequence[Callable], *, features: int, outputs: int, rngs: nnx.Rngs):
        self.blocks = nnx.List(blocks)
        self.head = nnx.Linear(features, outputs, kernel_init=_lecun, rngs=rngs)

    def layers(self, x: Float[Array, "batch height width channels"]) -> tuple[Array, ...]:
        """What each block gives, images all, and then the head's (batch, outputs)."""
        given = []
        for block in self.blocks:
            x = block(x)
            given.append(x)
        return (*given, self.head(jnp.mean(x, (1, 2))))

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch outputs"]:
        return self.layers(x)[-1]


def _cbr_block(kernel):
    return lambda i, given, width, rngs: (ConvolutionBlock(given, width, kernel=kernel, pool=True, rngs=rngs), width)


def _resnet18_block(i, given, width, rngs):
    if i == 0:
        return Conv(given, width, (3, 3), use_bias=False, kernel_init=_he, rngs=rngs), width
    pair = [
        ResidualBlock(given, width, stride=2 if i > 1 else 1, batch_norm=True, rngs=rngs),
        ResidualBlock(width, width, stride=1, batch_norm=True, rngs=rngs),
    ]
    return nnx.Sequential(*pair, *([BatchNorm(width), jax.nn.relu] if i == 4 else [])), width


def _resnet50_block(i, given, width, rngs):
    if i == 0:
        return ConvolutionBlock(given, width, kernel=7, stride=2, pool=True, rngs=rngs), width
    repeats = (3, 4, 6, 3)[i - 1]
    first = Bottleneck(given, width, stride=2 if i > 1 else 1, rngs=rngs)
    rest = [Bottleneck(4 * width, width, stride=1, rngs=rngs) for _ in range(repeats - 1)]
    return nnx.Sequential(first, *rest), 4 * width


# The width of every block, and how block i is made of (i, channels given, width, rngs) with the channels that it gives.
FAMILIES: dict[str, tuple[tuple[int, ...], Callable]] = {
    "cbr-large-t": ((32, 64, 128, 256, 512), _cbr_block(7)),
    "cbr-large-w": ((64, 128, 256, 512), _cbr_block(7)),
    "cbr-small": ((32, 64, 128, 256), _cbr_block(7)),
    "cbr-tiny": ((32, 64, 128, 256), _cbr_block(5)),
    "resnet-18": ((64, 64, 128, 256, 512), _resnet18_block),
    "resnet-50": ((64, 64, 128, 256, 512), _resnet50_block),
}


def staged(
    name: str, shape: Sequence[int], *, outputs: int, halved_above: int | None = None, key: Key[Array, ""]
) -> Staged:
    """A network by name, "cbr-small", or with every width divided, "cbr-small/4"; at any size of image.

    `cbr-large-t`, `cbr-large-w`, `cbr-small` and `cbr-tiny` are the paper's, 7×7 convolutions (`cbr-tiny`: 5×5), each
    with batch normalisation, ReLU and pooling. `resnet-50` is the standard one; `resnet-18` the pre-activation one for
    small images, whose first block neither strides nor pools. Blocks of a residual network are its stem and its stages.

    Args:
        name: the network, and after a slash what divides its widths.
        shape: (height, width, channels) of an image.
        outputs: of the head.
        halved_above: blocks after this many have half their channels, the paper's slim networks; None halves none.
        key: draws the initial parameters, convolutions at variance 2 / fan in.

    Raises:
        InputError: an unknown network, a divisor that does not divide its widths, or a number of blocks that it has
            not got.
    """
    family, _, divisor = name.partition("/")
    if family not in FAMILIES:
        raise unknown("network", family, FAMILIES)
    full, build = FAMILIES[family]
    least = math.gcd(*full)
    if not re.fullmatch(r"([1-9]\d*)?", divisor) or ("/" in name and not divisor) or least % int(divisor or 1):
        raise InputError(f"network '{name}': its widths can be divided by 1, 2, 4, ... up to {least}, as {family}/2")
    if halved_above is not None and not 0 <= halved_above <= len(full):
        raise InputError(f"halved_above {halved_above} of {name}: it has {len(full)} blocks; give 0 to {len(full)}")
    widths = [width // int(divisor or 1) for width in full]
    if halved_above is not None:
        widths = [max(1, width // 2) if i >= halved_above else width for i, width in enumerate(widths)]
    rngs = nnx.Rngs(params=key)
    blocks, given = [], shape[-1]
    for i, width in enumerate(widths):
        block, given = build(i, given, width, rngs)
        blocks.append(block)
    return Staged(blocks, features=given, outputs=outputs, rngs=rngs)
