"""The interface of generators, and hashes of images."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, Key, UInt32

from deepphenomena.runtime.arrays import Array


class Samples(NamedTuple):
    """Images, 0 to 1 (NHWC), and their labels.

    Example:
        >>> samples = generators.Samples(jnp.zeros((2, 28, 28, 1)), jnp.array([3, 7]))
        >>> samples.labels.shape
        (2,)
    """

    images: Float[Array, "n height width channels"]
    labels: Int[Array, " n"]


@runtime_checkable
class Generator(Protocol):
    """An infinite, numbered sequence of independent labelled images for each key.

    `size` is the number of samples of a finite collection, otherwise None.

    Example:
        >>> isinstance(generators.Pool(jnp.zeros((3, 2, 2, 1), jnp.uint8), jnp.arange(3)), generators.Generator)
        True
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

    Example:
        >>> images = jnp.arange(12.0).reshape(3, 2, 2, 1)
        >>> one, other = generators.digests(images), generators.digests(images[::-1])
        >>> bool(jnp.all(one == other[::-1])), len(set(map(tuple, one.tolist())))
        (True, 3)
    """
    bits = jax.lax.bitcast_convert_type(images.reshape(len(images), -1).astype(jnp.float32), jnp.uint32)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(0x9E3779B1)  # the low bits of a float are often 0: mix in the others
    weights = jax.random.bits(jax.random.key(0), (2, bits.shape[1])) | 1
    return jnp.stack([jnp.sum(bits * weights[0], -1), jnp.sum((bits ^ (bits >> 13)) * weights[1], -1)], -1)
