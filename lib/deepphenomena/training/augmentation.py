"""Random transformations of a batch of images, inside a compiled step."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Key

from deepphenomena.runtime import sampling
from deepphenomena.runtime.arrays import Array


def crop_and_flip(
    images: Float[Array, "n height width channels"], *, padding: int, key: Key[jax.Array, ""]
) -> Float[Array, "n height width channels"]:
    """Pad each image by `padding` zero pixels, crop it at random, and mirror it with probability one half."""
    n, height, width, _ = images.shape
    padded = jnp.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    uniform = sampling.uniform(key, (n, 3))
    offsets, flipped = jnp.int32(uniform[:, :2] * (2 * padding + 1)), uniform[:, 2:] < 0.5
    rows = offsets[:, :1] + jnp.arange(height)
    columns = offsets[:, 1:] + jnp.where(flipped, jnp.arange(width)[::-1], jnp.arange(width))
    return padded[jnp.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
