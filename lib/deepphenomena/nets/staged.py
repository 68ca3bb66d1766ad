"""Networks as blocks under a linear head, the form in which weights are transplanted.

The parameters of every such network lie under `blocks` 0, 1, ... and `head`, so that "all but the head" or "the first
two blocks" mean the same for each.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Key

from deepphenomena.nets.initializers import lecun_normal
from deepphenomena.runtime.arrays import Array


class Staged(nnx.Module):
    """Blocks one after another, the mean over pixels, and a linear head."""

    def __init__(self, blocks: Sequence[Callable], *, features: int, outputs: int, rngs: nnx.Rngs):
        self.blocks = nnx.List(blocks)
        self.head = nnx.Linear(features, outputs, kernel_init=lecun_normal(), rngs=rngs)

    def layers(self, x: Float[Array, "batch height width channels"]) -> tuple[Array, ...]:
        """The output of each block, images all, and then the head's (batch, outputs)."""
        given = []
        for block in self.blocks:
            x = block(x)
            given.append(x)
        return (*given, self.head(jnp.mean(x, (1, 2))))

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch outputs"]:
        """The head's output."""
        return self.layers(x)[-1]


def staged(block: Callable, widths: Sequence[int], *, channels: int, outputs: int, key: Key[jax.Array, ""]) -> Staged:
    """A network of blocks with these widths.

    Args:
        block: block(i, given, width, rngs=rngs) -> (module, channels that it gives), as `resnet.resnet18_block`.
        widths: of every block.
        channels: of an image.
        outputs: of the head.
        key: draws the initial parameters.
    """
    rngs = nnx.Rngs(params=key)
    blocks, given = [], channels
    for i, width in enumerate(widths):
        made, given = block(i, given, width, rngs=rngs)
        blocks.append(made)
    return Staged(blocks, features=given, outputs=outputs, rngs=rngs)
