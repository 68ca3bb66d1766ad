"""A finite collection that is large enough for a single pass."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Int, Key, UInt8

from deepphenomena.generators.samples import Samples
from deepphenomena.runtime.arrays import Array


@functools.partial(jax.tree_util.register_dataclass, data_fields=["images", "labels"], meta_fields=[])
@dataclasses.dataclass(frozen=True, eq=False)
class Pool:
    """Sample i is image i of the collection; the key is ignored. Pixels are stored as bytes.

    Only numbers below `size` are valid.

    Example:
        >>> pool = generators.Pool(jnp.full((3, 2, 2, 1), 255, jnp.uint8), jnp.arange(3))
        >>> samples = pool(jnp.array([2, 0]), key=jax.random.key(0))
        >>> samples.images.shape, float(samples.images.max()), samples.labels.tolist()
        ((2, 2, 2, 1), 1.0, [2, 0])
    """

    images: UInt8[Array, "size height width channels"]
    labels: Int[Array, " size"]

    @property
    def size(self) -> int:
        return len(self.labels)

    def __call__(self, index: Int[Array, " n"], *, key: Key[jax.Array, ""]) -> Samples:
        del key
        return Samples(self.images[index].astype(jnp.float32) / 255, self.labels[index])
