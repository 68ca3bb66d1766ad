"""Images of the chapter: standardized, and drawn by each seed."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from deepphenomena.datasets import Dataset
from deepphenomena.runtime.arrays import Array

Images = Mapping[str, Array]  # "x" and "y", with a leading axis of images


def standardized(dataset: Dataset, like: Dataset | None = None) -> dict[str, Array]:
    """Images of mean 0 and mean square 1 as "x", and labels as "y".

    Args:
        dataset: images (n, height, width, channels).
        like: the dataset that gives mean and scale, such as the training images; by default `dataset`.
    """
    pixels = (like or dataset).images
    return {"x": jnp.asarray((dataset.images - pixels.mean()) / pixels.std()), "y": jnp.asarray(dataset.labels)}


def drawn(pool: Images, n: int, *, seed: int) -> dict[str, Array]:
    """`n` of the images of a pool, drawn without replacement with the seed.

    Example:
        >>> drawn({"x": jnp.eye(5), "y": jnp.arange(5)}, 5, seed=0)["y"].sort().tolist()
        [0, 1, 2, 3, 4]
    """
    index = np.random.default_rng(seed).choice(len(pool["y"]), n, replace=False)
    return {name: array[index] for name, array in pool.items()}


def images_of(pools: tuple[Images, Images], seed: int, numbers: tuple[int, int]) -> tuple[Images, Images]:
    """The training and test images of a seed, so many from each pool.

    Example:
        >>> pool = {"x": jnp.eye(5), "y": jnp.arange(5)}
        >>> [len(images["y"]) for images in images_of((pool, pool), 0, (3, 2))]
        [3, 2]
    """
    train, test = (drawn(pool, n, seed=seed) for pool, n in zip(pools, numbers, strict=True))
    return train, test
