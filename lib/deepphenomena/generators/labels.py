"""Generators that replace labels: by label noise, or by a teacher network."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, Key, PyTree

from deepphenomena.generators.samples import Generator, Samples, keys_of
from deepphenomena.nets.functional import Network
from deepphenomena.runtime.arrays import Array


@functools.partial(jax.tree_util.register_dataclass, data_fields=["generator", "probability"], meta_fields=["classes"])
@dataclasses.dataclass(frozen=True, eq=False)
class NoisyLabels:
    """Replace each label with `probability` by one of the other classes, each with the same probability.

    The label of a sample is drawn once: it is the same in every call. With probability 1 - 1/classes, labels are
    independent of their images.

    Example:
        >>> images = generators.Pool(jnp.zeros((4, 2, 2, 1), jnp.uint8), jnp.arange(4))
        >>> noisy = generators.NoisyLabels(images, jnp.float32(1), classes=4)
        >>> bool(jnp.any(noisy(jnp.arange(4), key=jax.random.key(0)).labels == jnp.arange(4)))  # every label is wrong
        False
    """

    generator: Generator
    probability: Float[Array, ""]
    classes: int = 10

    @property
    def size(self) -> int | None:
        return self.generator.size

    def __call__(self, index: Int[Array, " n"], *, key: Key[jax.Array, ""]) -> Samples:
        images, labels = self.generator(index, key=key)

        _, noise = jax.random.split(key)
        wrong, other = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(keys_of(index, noise)).T
        replaced = (labels + 1 + jnp.int32(other * (self.classes - 1))) % self.classes
        return Samples(images, jnp.where(wrong < self.probability, replaced, labels))


@functools.partial(jax.tree_util.register_dataclass, data_fields=["generator", "parameters"], meta_fields=["teacher"])
@dataclasses.dataclass(frozen=True, eq=False)
class Relabelled:
    """Label the images of a generator with a teacher network, as the paper labelled CIFAR-5m.

    `teacher(parameters, images)` returns (n, classes); the largest output is the label.

    Example:
        >>> images = generators.Pool(jnp.zeros((2, 2, 2, 1), jnp.uint8), jnp.arange(2))
        >>> always_one = lambda parameters, images: jnp.eye(2)[jnp.ones(len(images), int)]
        >>> generators.Relabelled(images, None, always_one)(jnp.arange(2), key=jax.random.key(0)).labels.tolist()
        [1, 1]
    """

    generator: Generator
    parameters: PyTree
    teacher: Network

    @property
    def size(self) -> int | None:
        return self.generator.size

    def __call__(self, index: Int[Array, " n"], *, key: Key[jax.Array, ""]) -> Samples:
        images = self.generator(index, key=key).images
        return Samples(images, jnp.argmax(self.teacher(self.parameters, images), -1).astype(jnp.int32))
