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
    """3×3 convolution, batch normalization with the current batch, ReLU. Rows and columns are halved."""

    def __init__(self, inputs: int, filters: int, *, halving: str, rngs: nnx.Rngs):
        stride = 2 if halving == "stride" else 1
        self.convolution = Conv(inputs, filters, (3, 3), stride, use_bias=False, kernel_init=lecun_normal(), rngs=rngs)
        self.normalisation = BatchNorm(filters)
        self.halving = halving

    def __call__(self, x: Float[Array, "batch height width inputs"]) -> Float[Array, "batch rows columns filters"]:
        """Return the output of the module."""
        y = jax.nn.relu(self.normalisation(self.convolution(x)))
        return max_pool_2x2(y) if self.halving == "pool" else y


class Conv4(nnx.Module):
    """Four modules and a linear head on the flattened features. The head is initialized with zeros.

    Batch normalization uses only the images of one call: the queries of a task are normalized together
    ("transductive"), as in the reference code of MAML.

    Source: Vinyals et al. 2016, section 4.1, as in Finn et al. 2017, section 5.2: stride 2 for Omniglot, 2×2 max
    pooling for MiniImageNet. Their Omniglot network averages over the remaining pixels; this one flattens them.

    Args:
        shape: (height, width, channels) of an image.
        filters: channels of every module.
        outputs: outputs of the head.
        halving: "stride" (rounds sizes up) or "pool" (rounds sizes down).
        key: random key of the convolution weights.

    Raises:
        InputError: an unknown value of `halving`.
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
        """Return the output of each of the five layers: four feature maps, then (batch, outputs) of the head."""
        given = []
        for module in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = module(x)
            given.append(x)
        return (*given, self.head(x.reshape(x.shape[0], -1)))

    def features(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch features"]:
        """Return the input of the head."""
        return self.layers(x)[3].reshape(x.shape[0], -1)

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch outputs"]:
        """Return the output of the head."""
        return self.layers(x)[-1]
