"""Subsets of a pool of images."""

import numpy as np

from deepphenomena.runtime.arrays import Array


def drawn(pool: dict[str, Array], count: int, seed: int) -> dict[str, Array]:
    """Draw images of a pool without replacement.

    Example:
        >>> drawn({"y": jnp.arange(5)}, 5, 0)["y"].sort().tolist()
        [0, 1, 2, 3, 4]
    """
    index = np.random.default_rng(seed).permutation(len(pool["y"]))[:count]
    return {name: of[index] for name, of in pool.items()}
