"""Principal components of layers over samples: how much one of them explains, and which samples make it.

found = components.principal(layer)
found.shares[0]  # of the variance, by the first component
components.dominance(found.scores[:, 0], 0.05)  # the part of it that the leading 5% of the samples hold
"""

from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Float, Int

from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError
from deepphenomena.similarity.moments import check_activations, product


class Components(NamedTuple):
    """The leading principal components of a layer.

    Attributes:
        scores: a column for each component: its values on the samples, with length 1.
        shares: of the variance of the layer, from the largest down.

    Example:
        >>> found = principal(jnp.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
        >>> [round(float(share), 2) for share in found.shares]
        [0.9, 0.1]
    """

    scores: Float[Array, "samples count"]
    shares: Float[Array, " count"]


def principal(x: Float[Array, "samples features"], count: int = 2) -> Components:
    """Return the leading principal components of a layer over its samples.

    They are computed from the smaller of the two Gram matrices. A component without variance has scores 0.

    Args:
        x: activations.
        count: how many components, at most the smaller side of x.

    Raises:
        InputError: as `cca`, or a count that the layer does not have.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (50, 3)) * jnp.array([10.0, 1.0, 1.0])
        >>> round(float(jnp.abs(jnp.corrcoef(principal(x).scores[:, 0], x[:, 0])[0, 1])), 2)
        1.0
    """
    x = check_activations(x, x)[0]
    count = numbers.whole("count", count, minimum=1)
    if count > min(x.shape):
        raise InputError(f"count {count}: a layer of shape {x.shape} has {min(x.shape)} components at most.")
    return _principal(x, count)


@partial(jax.jit, static_argnums=1)
def _principal(x, count: int) -> Components:
    x = x - x.mean(0)
    x = x / jnp.maximum(jnp.abs(x).max(), jnp.finfo(x.dtype).tiny)
    few = x.shape[0] <= x.shape[1]
    values, vectors = jnp.linalg.eigh(product(x, x.T) if few else product(x.T, x))
    values, vectors = jnp.maximum(values[::-1][:count], 0), vectors[:, ::-1][:, :count]
    scores = vectors if few else product(x, vectors)
    lengths = jnp.linalg.norm(scores, axis=0)
    scores = jnp.where(values > 0, scores / jnp.where(lengths > 0, lengths, 1), 0)
    total = (x**2).sum()
    return Components(scores, values / jnp.where(total > 0, total, 1))


def without(x: Float[Array, "samples features"], scores: Float[Array, " samples"]) -> Float[Array, "samples features"]:
    """Return the centered layer without its part along one component.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (50, 3))
        >>> rest = without(x, principal(x).scores[:, 0])
        >>> bool(principal(rest).shares[0] < 0.9)
        True
    """
    centered = x - x.mean(0)
    return centered - jnp.outer(scores, product(scores, centered))


def leading(scores: Float[Array, " samples"], count: int) -> Int[np.ndarray, " count"]:
    """Return the places of the samples with the largest squared scores, the dominant datapoints.

    Source: Nguyen et al. (2022), "On the origins of the block structure phenomenon".

    Example:
        >>> leading(jnp.array([0.1, -0.9, 0.4]), 2).tolist()
        [1, 2]
    """
    return np.argsort(-np.square(np.asarray(scores)), kind="stable")[: numbers.whole("count", count)]


def dominance(scores: Float[Array, " samples"], fraction: float) -> float:
    """Return the part of the squared scores that the leading fraction of the samples holds.

    For 5% it is 0.28 if the scores are Gaussian and 0.42 if they have a Laplace distribution.

    Example:
        >>> round(dominance(jnp.array([0.6, 0.8, 0.0, 0.0]), 0.25), 2)
        0.64
    """
    squares = np.square(np.asarray(scores, np.float64))
    return float(squares[leading(scores, round(fraction * len(squares)))].sum() / squares.sum())
