"""Images and projections of the chapter on SVCCA."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Float, Inexact, PyTree

from deepphenomena import similarity
from deepphenomena.runtime.arrays import Array


def drawn(pool: dict[str, Array], n: int, *, seed: int) -> dict[str, Array]:
    """Draw `n` images of a pool without replacement.

    Example:
        >>> drawn({"y": jnp.arange(5)}, 5, seed=0)["y"].sort().tolist()
        [0, 1, 2, 3, 4]
    """
    index = np.random.default_rng(seed).choice(len(pool["y"]), n, replace=False)
    return {name: a[index] for name, a in pool.items()}


def between(initial: PyTree, final: PyTree, fraction: float) -> PyTree:
    """Return the parameters on the straight line from initial to final ones.

    Example:
        >>> between(jnp.zeros(2), jnp.ones(2), 0.25).tolist()
        [0.25, 0.25]
    """
    return jax.tree.map(lambda a, b: (1 - fraction) * a + fraction * b, initial, final)


def orthonormal(columns: Float[np.ndarray, "units k"]) -> Float[np.ndarray, "units units"]:
    """Return the orthogonal projection onto the span of columns.

    Example:
        >>> orthonormal(np.array([[2.0], [0.0]])).tolist()
        [[1.0, 0.0], [0.0, 0.0]]
    """
    basis, size, _ = np.linalg.svd(columns, full_matrices=False)
    basis = basis[:, size > 1e-5 * size.max(initial=0)]
    return basis @ basis.T


def projections(
    layer: Float[np.ndarray, "samples units"], directions: similarity.Directions, *, seed: int
) -> dict[str, Callable[[int], tuple[np.ndarray, np.ndarray]]]:
    """Return {kind: project(k)} of the ways to keep k dimensions of a layer, each as (matrix, mean).

    The layer then gives (a − mean) matrix + mean. Neurons that are not kept are set to 0, as in the paper.

    Args:
        layer: activations on which neurons and components are chosen.
        directions: the canonical directions of the same layer.
        seed: of the random neurons and directions.
    """
    rng = np.random.default_rng(seed)
    width, mean = layer.shape[1], layer.mean(0)
    weights, loadings = np.asarray(directions.weights), np.asarray(directions.loadings)
    lengths = np.linalg.norm(weights, axis=0)
    weights = weights / np.where(lengths > 0, lengths, 1)
    components = np.linalg.svd(layer - mean, full_matrices=False)[2].T
    order, largest = rng.permutation(width), np.argsort(-np.abs(layer).mean(0))
    anywhere = rng.normal(size=(width, width))

    def neurons(places):
        return lambda k: (np.diag(np.isin(np.arange(width), places[:k]).astype(float)), np.zeros(width))

    def oblique(k):
        return np.asarray(directions.weights)[:, :k] @ loadings[:, :k].T, mean

    return {
        "SVCCA": lambda k: (orthonormal(weights[:, :k]), mean),
        "SVCCA, oblique": oblique,
        "principal components": lambda k: (components[:, :k] @ components[:, :k].T, mean),
        "random directions": lambda k: (orthonormal(anywhere[:, :k]), mean),
        "most active neurons": neurons(largest),
        "random neurons": neurons(order),
    }


def off_block_share(features: Inexact[Array, "samples blocks channels"]) -> float:
    """Return the share of the squared covariance that lies between different blocks.

    Example:
        >>> round(off_block_share(np.ones((2, 2, 1)) * np.array([[[1.0]], [[-1.0]]])), 2)  # two equal blocks
        0.5
    """
    a = np.asarray(features) - np.asarray(features).mean(0)
    samples, blocks, channels = a.shape
    squares = np.abs(a.reshape(samples, -1).conj().T @ a.reshape(samples, -1)) ** 2
    squares = squares.reshape(blocks, channels, blocks, channels).sum((1, 3))
    return float(np.where(np.eye(blocks, dtype=bool), 0, squares).sum() / squares.sum())
