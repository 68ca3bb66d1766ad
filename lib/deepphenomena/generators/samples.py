"""The interface of generators, and hashes of images."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, Key, UInt32

from deepphenomena.runtime.arrays import Array


class Samples(NamedTuple):
    """Images, 0 to 1 (NHWC), and their labels."""

    images: Float[Array, "n height width channels"]
    labels: Int[Array, " n"]


@runtime_checkable
class Generator(Protocol):
    """An infinite, numbered sequence of independent labelled images for each key.

    `size` is the number of samples of a finite collection, otherwise None.
    """

    size: int | None

    def __call__(self, index: Int[Array, " n"], *, key: Key[jax.Array, ""]) -> Samples:
        """Return the samples with these numbers."""
        ...


def keys_of(index: Int[Array, " n"], key: Key[jax.Array, ""]) -> Key[jax.Array, " n"]:
    """Return one key for each sample."""
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(index)


@jax.jit
def digests(images: Float[Array, "n height width channels"]) -> UInt32[Array, "n 2"]:
    """Return two 32-bit hashes for each image: equal for equal images, and almost surely different otherwise.

    They are linear hashes of the bits of the pixels, modulo 2³², with odd random weights.
    """
    bits = jax.lax.bitcast_convert_type(images.reshape(len(images), -1).astype(jnp.float32), jnp.uint32)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(0x9E3779B1)  # the low bits of a float are often 0: mix in the others
    weights = jax.random.bits(jax.random.key(0), (2, bits.shape[1])) | 1
    return jnp.stack([jnp.sum(bits * weights[0], -1), jnp.sum((bits ^ (bits >> 13)) * weights[1], -1)], -1)
