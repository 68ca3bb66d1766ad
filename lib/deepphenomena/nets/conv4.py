"""The four-module convolutional network of few-shot learning."""

import math
from collections.abc import Sequence

import jax
from flax import nnx
from jaxtyping import Float, Key

from deepphenomena.nets.convolution import Conv
from deepphenomena.nets.initializers import lecun_normal
from deepphenomena.nets.layers import BatchNorm, max_pool_2x2
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import unknown

HALVINGS = ("stride", "pool")


class Module(nnx.Module):
    """3×3 convolution, batch normalisation with the batch at hand, ReLU; half the rows and columns come out."""

    def __init__(self, inputs: int, filters: int, *, halving: str, rngs: nnx.Rngs):
        stride = 2 if halving == "stride" else 1
        self.convolution = Conv(inputs, filters, (3, 3), stride, use_bias=False, kernel_init=lecun_normal(), rngs=rngs)
        self.normalisation = BatchNorm(filters)
        self.halving = halving

    def __call__(self, x: Float[Array, "batch height width inputs"]) -> Float[Array, "batch rows columns filters"]:
        """The module's output."""
        y = jax.nn.relu(self.normalisation(self.convolution(x)))
        return max_pool_2x2(y) if self.halving == "pool" else y


class Conv4(nnx.Module):
    """Four modules and a linear head on the flattened features; the head starts at zero, alike for every class.

    Batch normalisation sees only the images that it is given together: a task's queries are normalised with each
    other ("transductive"), as in the reference code of MAML.

    Source: Vinyals et al. 2016, section 4.1, as in Finn et al. 2017, section 5.2: stride 2 for Omniglot, 2×2 max
    pooling for MiniImageNet. Their Omniglot net averages over the remaining pixels where this one flattens them.

    Args:
        shape: of an image, (height, width, channels).
        filters: channels of every module.
        outputs: of the head.
        halving: "stride" (rounds sizes up) or "pool" (rounds them down).
        key: draws the convolutions' weights.

    Raises:
        InputError: for an unknown way of halving.
    """

    def __init__(
        self, shape: Sequence[int], *, filters: int, outputs: int, halving: str = "stride", key: Key[jax.Array, ""]
    ):
        if halving not in HALVINGS:
            raise unknown("halving", halving, HALVINGS)
        height, width, channels = shape
        rngs = nnx.Rngs(params=key)
        self.conv1 = Module(channels, filters, halving=halving, rngs=rngs)
        self.conv2 = Module(filters, filters, halving=halving, rngs=rngs)
        self.conv3 = Module(filters, filters, halving=halving, rngs=rngs)
        self.conv4 = Module(filters, filters, halving=halving, rngs=rngs)
        left = math.ceil if halving == "stride" else math.floor
        for _ in range(4):
            height, width = left(height / 2), left(width / 2)
        self.head = nnx.Linear(height * width * filters, outputs, kernel_init=nnx.initializers.zeros_init(), rngs=rngs)

    def layers(self, x: Float[Array, "batch height width channels"]) -> tuple[Array, ...]:
        """What each of the five layers gives: four stacks of images, then the head's (batch, outputs)."""
        given = []
        for module in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = module(x)
            given.append(x)
        return (*given, self.head(x.reshape(x.shape[0], -1)))

    def features(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch features"]:
        """What the head is given."""
        return self.layers(x)[3].reshape(x.shape[0], -1)

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch outputs"]:
        """The head's output."""
        return self.layers(x)[-1]
