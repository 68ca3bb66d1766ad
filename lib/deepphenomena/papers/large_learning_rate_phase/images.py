"""Images of the chapter: normalized, and drawn by each seed."""

import jax.numpy as jnp
import numpy as np

from deepphenomena.datasets import Dataset
from deepphenomena.runtime.arrays import Array


def normalized(dataset: Dataset, *, flat: bool = False) -> dict[str, Array]:
    """Images of norm √d, d pixels each, as "x", one-hot targets as "y" and labels as "label".

    Args:
        dataset: images (n, height, width, channels).
        flat: whether images are vectors (n, d).
    """
    pixels = dataset.images.reshape(len(dataset.images), -1)
    x = pixels * np.sqrt(pixels.shape[1]) / np.linalg.norm(pixels, axis=1, keepdims=True)
    y = np.eye(10, dtype=np.float32)[dataset.labels]
    x = x if flat else x.reshape(dataset.images.shape)
    return {"x": jnp.asarray(x), "y": jnp.asarray(y), "label": jnp.asarray(dataset.labels)}


def drawn(pool: dict[str, Array], n: int, *, seed: int) -> dict[str, Array]:
    """`n` of the images of a pool, drawn without replacement with the seed.

    Args:
        pool: arrays with a leading axis of images.
        n: at most the number of images of the pool.

    Example:
        >>> drawn({"label": jnp.arange(5)}, 5, seed=0)["label"].sort().tolist()
        [0, 1, 2, 3, 4]
    """
    index = np.random.default_rng(seed).choice(len(pool["label"]), n, replace=False)
    return {name: array[index] for name, array in pool.items()}
