"""Populations that both worlds draw from: a finite collection in an order of its own for every seed."""

import dataclasses
import functools
from collections.abc import Callable, Collection, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, Key

from deepphenomena import datasets
from deepphenomena.datasets import Dataset
from deepphenomena.generators import Generator, Pool, Samples, deformations, shrunk
from deepphenomena.runtime.arrays import Array

_BLOCK = 10_000  # images resized together


@functools.partial(jax.tree_util.register_dataclass, data_fields=["generator", "order"], meta_fields=[])
@dataclasses.dataclass(frozen=True, eq=False)
class Reordered:
    """Sample i is sample `order[i]` of a generator. `order` has each number at most once. Returned by `reordered`.

    Example:
        >>> pool = generators.Pool(jnp.zeros((3, 2, 2, 1), jnp.uint8), jnp.arange(3))
        >>> Reordered(pool, jnp.array([2, 0]))(jnp.arange(2), key=jax.random.key(0)).labels.tolist()
        [2, 0]
    """

    generator: Generator
    order: Int[Array, " size"]

    @property
    def size(self) -> int:
        return len(self.order)

    def __call__(self, index: Int[Array, " n"], *, key: Key[jax.Array, ""]) -> Samples:
        return self.generator(self.order[index], key=key)


def reordered(pool: Pool, seed: int, classes: Collection[int] | None = None) -> Reordered:
    """Return a collection in a random order of this seed, or only its images of some classes.

    A seed then draws its own test set, its own training set and its own stream.

    Example:
        >>> pool = generators.Pool(jnp.zeros((6, 2, 2, 1), jnp.uint8), jnp.arange(6) % 3)
        >>> twos = reordered(pool, 0, classes=[2])
        >>> twos.size, twos(jnp.arange(2), key=jax.random.key(0)).labels.tolist()
        (2, [2, 2])
    """
    labels = np.asarray(pool.labels)
    chosen = np.arange(len(labels)) if classes is None else np.flatnonzero(np.isin(labels, list(classes)))
    return Reordered(pool, jnp.asarray(np.random.default_rng(seed).permutation(chosen).astype(np.int32)))


def collection(name: str, images: int) -> list[Dataset]:
    """Load the first images of a dataset, bytes: of its training split, and beyond its end of its test split.

    Example:
        >>> [part.split for part in collection("cifar10", 10)]
        ['train']
    """
    train = min(images, datasets.catalogue()[name].splits["train"].size)
    sizes = {"train": train, "test": images - train}
    return [datasets.load(name, split, n, scaled=False) for split, n in sizes.items() if n]


def drawn_from(
    parts: Sequence[Dataset], *, pixels: int, deformed: int = 0, classes: Collection[int] = range(10)
) -> Callable[[int], Reordered]:
    """Return `population(seed)`, images of some classes, each once, in an order of the seed.

    Args:
        parts: images and labels, as bytes.
        pixels: the side to which images are shrunk.
        deformed: how many random deformations of the images make up the population; 0 for the images themselves. Of
            equal images all but the first are left out.
        classes: the labels to keep.

    Example:
        >>> [drawn_from(collection("cifar10", 50), pixels=8, deformed=n)(0).size for n in (0, 200)]
        [50, 200]
    """
    images = np.concatenate([_resized(part.images, pixels) for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    if deformed:
        images, labels = _deformed(images, labels, deformed)
    _, first = np.unique(images.reshape(len(images), -1), axis=0, return_index=True)
    first = np.sort(first)
    pool = Pool(jnp.asarray(images[first]), jnp.asarray(labels[first]))
    return functools.partial(reordered, pool, classes=classes)


def _deformed(images: np.ndarray, labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first `count` deformations of these images, as bytes, and their labels."""
    made = deformations(images.astype(np.float32) / 255, labels)(jnp.arange(count), key=jax.random.key(0))
    return np.uint8(np.round(255 * np.clip(made.images, 0, 1))), np.asarray(made.labels)


def _resized(images: np.ndarray, pixels: int) -> np.ndarray:
    """Return images as bytes with this side. Blocks bound the memory that floats take."""
    if images.shape[1:3] == (pixels, pixels):
        return images
    blocks = np.array_split(images, range(_BLOCK, len(images), _BLOCK))
    small = [shrunk(block.astype(np.float32), pixels) for block in blocks]
    return np.concatenate([np.uint8(np.round(block.clip(0, 255))) for block in small])
