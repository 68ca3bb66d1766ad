"""Networks made of blocks and a linear head, the form used to transfer weights.

The parameters of every such network are under `blocks` 0, 1, ... and `head`, so that "all but the head" or "the first
two blocks" mean the same for all of them.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Key

from deepphenomena.nets.initializers import lecun_normal
from deepphenomena.runtime.arrays import Array


class Staged(nnx.Module):
    """A sequence of blocks, the mean over pixels, and a linear head."""

    def __init__(self, blocks: Sequence[Callable], *, features: int, outputs: int, rngs: nnx.Rngs):
        self.blocks = nnx.List(blocks)
        self.head = nnx.Linear(features, outputs, kernel_init=lecun_normal(), rngs=rngs)

    def layers(self, x: Float[Array, "batch height width channels"]) -> tuple[Array, ...]:
        """Return the output of each block, all feature maps, and then (batch, outputs) of the head."""
        given = []
        for block in self.blocks:
            x = block(x)
            given.append(x)
        return (*given, self.head(jnp.mean(x, (1, 2))))

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch outputs"]:
        """Return the output of the head."""
        return self.layers(x)[-1]


def staged(block: Callable, widths: Sequence[int], *, channels: int, outputs: int, key: Key[jax.Array, ""]) -> Staged:
    """Return a network of blocks with these widths.

    Args:
        block: block(i, given, width, rngs=rngs) -> (module, output channels), for example `resnet.resnet18_block`.
        widths: the width of each block.
        channels: channels of an image.
        outputs: outputs of the head.
        key: random key of the initial parameters.
    """
    rngs = nnx.Rngs(params=key)
    blocks, given = [], channels
    for i, width in enumerate(widths):
        made, given = block(i, given, width, rngs=rngs)
        blocks.append(made)
    return Staged(blocks, features=given, outputs=outputs, rngs=rngs)
