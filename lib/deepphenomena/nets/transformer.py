"""A small vision transformer."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Key

from deepphenomena.nets.initializers import lecun_uniform, normal
from deepphenomena.runtime.arrays import Array

_PATCH = 4  # the largest side of a patch, in pixels


class TransformerBlock(nnx.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)) with four times the width. Source: Dosovitskiy et al. 2020."""

    def __init__(self, width: int, *, heads: int, rngs: nnx.Rngs):
        self.heads = heads
        self.norms = nnx.List([nnx.LayerNorm(width, rngs=rngs) for _ in range(2)])
        linear = functools.partial(nnx.Linear, kernel_init=lecun_uniform(), rngs=rngs)
        self.queries_keys_values, self.mix = linear(width, 3 * width), linear(width, width)
        self.widen, self.narrow = linear(width, 4 * width), linear(4 * width, width)

    def __call__(self, x: Float[Array, "batch tokens width"]) -> Float[Array, "batch tokens width"]:
        parts = self.queries_keys_values(self.norms[0](x)).reshape(*x.shape[:2], 3, self.heads, -1)
        attended = jax.nn.dot_product_attention(parts[:, :, 0], parts[:, :, 1], parts[:, :, 2])
        x = x + self.mix(attended.reshape(x.shape))
        return x + self.narrow(jax.nn.gelu(self.widen(self.norms[1](x))))


class VisionTransformer(nnx.Module):
    """Square patches, learned positions, four pre-norm blocks and a readout of the mean token."""

    def __init__(self, shape: Sequence[int], *, width: int, outputs: int, rngs: nnx.Rngs):
        height, columns, channels = shape
        self.patch = max(side for side in range(1, _PATCH + 1) if height % side == 0 and columns % side == 0)
        tokens = height * columns // self.patch**2
        self.embed = nnx.Linear(self.patch**2 * channels, width, kernel_init=lecun_uniform(), rngs=rngs)
        self.positions = nnx.Param(normal(0.02)(rngs.params(), (tokens, width)))
        heads = max(count for count in (1, 2, 4) if width % count == 0)
        self.blocks = nnx.List([TransformerBlock(width, heads=heads, rngs=rngs) for _ in range(4)])
        self.norm, self.readout = (
            nnx.LayerNorm(width, rngs=rngs),
            nnx.Linear(width, outputs, kernel_init=lecun_uniform(), rngs=rngs),
        )

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch outputs"]:
        batch, height, columns, channels = x.shape
        side = self.patch
        patches = x.reshape(batch, height // side, side, columns // side, side, channels).swapaxes(2, 3)
        x = self.embed(patches.reshape(batch, -1, side * side * channels)) + self.positions[...]
        for block in self.blocks:
            x = block(x)
        return self.readout(jnp.mean(self.norm(x), 1))


def vit(shape: Sequence[int], *, width: int, outputs: int, key: Key[jax.Array, ""]) -> VisionTransformer:
    """Return a vision transformer with `width` channels and the largest patch, up to 4 × 4, that tiles the image."""
    return VisionTransformer(shape, width=width, outputs=outputs, rngs=nnx.Rngs(params=key))
