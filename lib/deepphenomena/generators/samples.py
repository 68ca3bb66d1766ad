"""What every generator gives, and how to tell two images apart by a number."""

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
    """A numbered, endless sequence of independent labelled images for each key.

    `size` is None, or how many samples there are in all where they come from a finite collection.
    """

    size: int | None

    def __call__(self, index: Int[Array, " n"], *, key: Key[jax.Array, ""]) -> Samples:
        """The samples with these numbers."""
        ...


def keys_of(index: Int[Array, " n"], key: Key[jax.Array, ""]) -> Key[jax.Array, " n"]:
    """One key for each sample."""
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(index)


@jax.jit
def digests(images: Float[Array, "n height width channels"]) -> UInt32[Array, "n 2"]:
    """Two 32-bit numbers for each image: equal images have the same, different ones almost surely not.

    They are linear hashes of the pixels' bits, modulo 2³², with odd random weights.
    """
    bits = jax.lax.bitcast_convert_type(images.reshape(len(images), -1).astype(jnp.float32), jnp.uint32)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(0x9E3779B1)  # a float's low bits are often 0: spread the others into them
    weights = jax.random.bits(jax.random.key(0), (2, bits.shape[1])) | 1
    return jnp.stack([jnp.sum(bits * weights[0], -1), jnp.sum((bits ^ (bits >> 13)) * weights[1], -1)], -1)
