"""Sheets of images and of filters, for `figures.images`."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from deepphenomena.runtime.arrays import Array


def sheet(rows: Iterable[Iterable[Float[Array, "height width 3"]]]) -> Float[np.ndarray, "down across 3"]:
    """Rows of images as one picture.

    Example:
        >>> sheet(np.zeros((2, 5, 8, 8, 3))).shape
        (16, 40, 3)
    """
    return np.concatenate([np.concatenate([np.asarray(image) for image in row], 1) for row in rows])


def filters(*kernels: Float[Array, "rows columns 3 filters"], number: int = 6) -> Float[np.ndarray, "down across 3"]:
    """The first filters of several kernels, a row for each kernel, contrast stretched, with white between them.

    Example:
        >>> filters(np.random.default_rng(0).random((5, 5, 3, 8)), number=6).shape
        (7, 42, 3)
    """

    def tile(image):
        stretched = (image - image.min()) / np.ptp(image)
        return np.pad(stretched, ((1, 1), (1, 1), (0, 0)), constant_values=1)

    return sheet([[tile(image) for image in np.moveaxis(np.asarray(k), -1, 0)[:number]] for k in kernels])
