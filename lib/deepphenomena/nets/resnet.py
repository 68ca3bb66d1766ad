"""Residual networks as blocks: ResNet-18 for small images, and ResNet-50.

Block 0 is the stem and blocks 1 to 4 are the stages. Each function takes the input channels and the width of block i,
and returns the block and its number of output channels.
"""

import jax
from flax import nnx
from jaxtyping import Float

from deepphenomena.nets.convolution import Conv
from deepphenomena.nets.initializers import he_normal, he_uniform
from deepphenomena.nets.layers import BatchNorm, ConvolutionBlock
from deepphenomena.runtime.arrays import Array


class ResidualBlock(nnx.Module):
    """Pre-activation block: x + conv(relu(norm(conv(relu(norm(x)))))). The shortcut is projected if the shape changes.

    Source: He et al. 2016, "Identity mappings in deep residual networks", Figure 1b.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int, batch_norm: bool, rngs: nnx.Rngs):
        def convolution(given, size, stride):
            options = {"use_bias": not batch_norm, "kernel_init": he_uniform()}
            return Conv(given, outputs, (size, size), stride, **options, rngs=rngs)

        self.first, self.second = convolution(inputs, 3, stride), convolution(outputs, 3, 1)
        self.shortcut = convolution(inputs, 1, stride) if stride > 1 or inputs != outputs else None
        self.norms = nnx.List([BatchNorm(inputs), BatchNorm(outputs)] if batch_norm else [lambda x: x] * 2)

    def __call__(self, x: Float[Array, "batch height width inputs"]) -> Float[Array, "batch rows columns outputs"]:
        active = jax.nn.relu(self.norms[0](x))
        change = self.second(jax.nn.relu(self.norms[1](self.first(active))))
        return (x if self.shortcut is None else self.shortcut(active)) + change


class Bottleneck(nnx.Module):
    """relu(shortcut + 1×1, 3×3 and 1×1 convolutions) with c, c (with the stride) and 4c channels.

    The shortcut is projected if the shape changes.

    Source: He et al. 2016, "Deep residual learning for image recognition", Figure 5, with the stride in the 3×3
    convolution as in most later implementations.
    """

    def __init__(self, inputs: int, width: int, *, stride: int, rngs: nnx.Rngs):
        def convolution(given, made, size, stride=1):
            return Conv(given, made, (size, size), stride, use_bias=False, kernel_init=he_normal(), rngs=rngs)

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


def resnet18_block(i: int, given: int, width: int, *, batch_norm: bool = True, rngs: nnx.Rngs):
    """Return block i of the pre-activation ResNet-18. Its stem has no stride and no pooling."""
    if i == 0:
        stem = Conv(given, width, (3, 3), use_bias=not batch_norm, kernel_init=he_normal(), rngs=rngs)
        return stem, width
    first = ResidualBlock(given, width, stride=2 if i > 1 else 1, batch_norm=batch_norm, rngs=rngs)
    second = ResidualBlock(width, width, stride=1, batch_norm=batch_norm, rngs=rngs)
    last = [*([BatchNorm(width)] if batch_norm else []), jax.nn.relu] if i == 4 else []
    return nnx.Sequential(first, second, *last), width


def resnet50_block(i: int, given: int, width: int, *, rngs: nnx.Rngs):
    """Return block i of ResNet-50. After the stem, a block has 4 · width output channels."""
    if i == 0:
        return ConvolutionBlock(given, width, kernel=7, stride=2, pool=True, rngs=rngs), width
    repeats = (3, 4, 6, 3)[i - 1]
    first = Bottleneck(given, width, stride=2 if i > 1 else 1, rngs=rngs)
    rest = [Bottleneck(4 * width, width, stride=1, rngs=rngs) for _ in range(repeats - 1)]
    return nnx.Sequential(first, *rest), 4 * width
