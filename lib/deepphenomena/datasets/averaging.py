"""Images reduced by averages over boxes, for networks that are small enough to train in seconds."""

import jax.numpy as jnp

from deepphenomena.datasets import Dataset
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError


def averaged(dataset: Dataset, pixels: int) -> dict[str, Array]:
    """Return images averaged over boxes to pixels × pixels, with mean 0 and variance 1 of each channel, and labels.

    Args:
        dataset: square images whose side `pixels` divides.
        pixels: the new side.

    Raises:
        InputError: `pixels` does not divide the side.

    Example:
        >>> averaged(datasets.load("mnist", n=10), 7)["x"].shape
        (10, 7, 7, 1)
    """
    n, side, _, channels = dataset.images.shape
    if side % pixels:
        raise InputError(f"pixels {pixels} does not divide the {side} of {dataset.name}; give a divisor.")
    box = side // pixels
    x = dataset.images.reshape(n, pixels, box, pixels, box, channels).mean((2, 4))
    x = (x - x.mean((0, 1, 2))) / x.std((0, 1, 2))
    return {"x": jnp.asarray(x), "y": jnp.asarray(dataset.labels)}
