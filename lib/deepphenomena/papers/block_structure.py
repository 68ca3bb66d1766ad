"""Images and colors of the chapter on the origins of block structure."""

import itertools

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from deepphenomena.runtime.arrays import Array


def border_colors(images: Float[Array, "n side side channels"]) -> Float[np.ndarray, "n channels"]:
    """Return the mean color of the outermost ring of pixels of every image.

    Example:
        >>> image = np.zeros((1, 3, 3, 1))
        >>> image[0, 1, 1] = 9  # inside
        >>> border_colors(image).tolist()
        [[0.0]]
    """
    images = np.asarray(images)
    ring = np.ones(images.shape[1:3], bool)
    ring[1:-1, 1:-1] = False
    return images[:, ring].mean(1)


def relative_spread(values: Float[np.ndarray, "n channels"], chosen: Int[np.ndarray, " some"]) -> float:
    """Return the variance among the chosen rows over that among all, with the sum over channels.

    Example:
        >>> relative_spread(np.array([[0.0], [0.0], [2.0], [2.0]]), np.array([0, 1]))
        0.0
    """
    return float(values[chosen].var(0).sum() / values.var(0).sum())


def plain_colors(images: Float[Array, "n side side channels"]) -> Float[np.ndarray, "colors side side channels"]:
    """Return images of one color: every combination of the least, zero and the greatest value of each channel.

    Example:
        >>> plain_colors(np.linspace(-1, 1, 24).reshape(2, 2, 2, 3)).shape
        (27, 2, 2, 3)
    """
    images = np.asarray(images)
    levels = [(channel.min(), 0.0, channel.max()) for channel in np.moveaxis(images, -1, 0)]
    colors = np.array(list(itertools.product(*levels)), images.dtype)
    return np.broadcast_to(colors[:, None, None], (len(colors), *images.shape[1:])).copy()


def chosen_on_others(table: pd.DataFrame) -> pd.Series:
    """Return the value of each seed (column) in the row that is largest on average over the other seeds.

    Example:
        >>> chosen_on_others(pd.DataFrame({1: [0.0, 5.0], 2: [3.0, 1.0]})).tolist()
        [0.0, 1.0]
    """
    return pd.Series({s: table[s][table.drop(columns=s).mean(axis=1).idxmax()] for s in table.columns})


def sheet(images: Float[Array, "n side side channels"], columns: int) -> Float[np.ndarray, "height width channels"]:
    """Return images as one picture of so many columns; missing ones are black.

    Example:
        >>> sheet(np.ones((5, 2, 2, 3)), 3).shape
        (4, 6, 3)
    """
    images = np.asarray(images)
    padded = np.concatenate([images, np.zeros((-len(images) % columns, *images.shape[1:]), images.dtype)])
    side, channels = images.shape[1], images.shape[-1]
    return padded.reshape(-1, columns, side, side, channels).swapaxes(1, 2).reshape(-1, columns * side, channels)
