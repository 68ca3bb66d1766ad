"""Machinery of the chapter on the large-learning-rate phase: a bisection over rates, and a network's linearization."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, PyTree

from deepphenomena.datasets import Dataset
from deepphenomena.nets.functional import Network
from deepphenomena.runtime.arrays import Array


def bisect(
    is_above: Callable[[Float[np.ndarray, " members"]], Bool[Array, " members"]],
    low: float,
    high: float,
    *,
    members: int,
    halvings: int,
) -> Float[np.ndarray, " members"]:
    """The boundary between `low` and `high` below which `is_above` is false, for many members at once.

    Args:
        is_above: of one value per member, whether it lies above that member's boundary.
        low, high: where the search starts, for every member.
        members: how many boundaries are searched for.
        halvings: the result is within (high - low) / 2 ** (halvings + 1) of the boundary.

    Example:
        >>> bisect(lambda x: x**2 > np.array([2.0, 9.0]), 0.0, 8.0, members=2, halvings=20).round(3).tolist()
        [1.414, 3.0]
    """
    low, high = np.full(members, low), np.full(members, high)
    for _ in range(halvings):
        middle = (low + high) / 2
        above = np.asarray(is_above(middle))
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


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


def linearized(network: Network) -> Callable[[PyTree, Array, PyTree], Array]:
    """`(parameters, x, center)`: the network's first-order Taylor expansion in its parameters around `center`.

    Source: Lewkowycz et al. (2020), section 4.1.

    Example:
        >>> square = linearized(lambda w, x: w**2 * x)
        >>> float(square(jnp.float32(3.0), jnp.float32(1.0), jnp.float32(2.0)))  # 4 + 2 * 2 * (3 - 2)
        8.0
    """

    def taylor(parameters: PyTree, x: Array, center: PyTree) -> Array:
        change = jax.tree.map(jnp.subtract, parameters, center)
        value, slope = jax.jvp(lambda p: network(p, x), (center,), (change,))
        return value + slope

    return taylor
