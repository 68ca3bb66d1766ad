"""Noise, normalization and ranks of layers for the chapter on expressive power."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Key, PyTree

from deepphenomena.nets.square_stack import Parameters
from deepphenomena.runtime import sampling
from deepphenomena.runtime.arrays import Array


def rank_correlation(table: Float[np.ndarray, "seeds layers"]) -> Float[np.ndarray, " seeds"]:
    """Return Spearman's correlation of each row with the position in the row.

    Example:
        >>> rank_correlation(np.array([[3.0, 2.0, 1.0], [1.0, 3.0, 9.0]])).tolist()
        [-1.0, 1.0]
    """
    ranks = np.argsort(np.argsort(table, axis=1), axis=1)
    return np.array([np.corrcoef(row, np.arange(table.shape[1]))[0, 1] for row in ranks])


def rank_step(count: int) -> float:
    """Return the smallest difference between two rank correlations of `count` numbers.

    Example:
        >>> rank_step(3)
        0.5
    """
    return 12 / (count * (count**2 - 1))


def noisy(parameters: Parameters, key: Key[jax.Array, ""], layer: int, size: float) -> Parameters:
    """Add Gaussian noise to square layer `layer`, from 1; 0 is the first layer. `size` is relative to its weights.

    Example:
        >>> from deepphenomena.nets import square_stack
        >>> network = square_stack.initial(jax.random.key(0), 1.0, inputs=3, width=2, hidden=2)
        >>> bool((noisy(network, jax.random.key(1), 1, 0.1)["hidden"][1] == network["hidden"][1]).all())
        True
    """
    name, place = ("first", ...) if layer == 0 else ("hidden", layer - 1)
    weights = parameters[name][place]
    noise = size * jnp.sqrt(jnp.mean(weights**2)) * sampling.normal(key, weights.shape, weights.dtype)
    return parameters | {name: parameters[name].at[place].add(noise)}


def batch_normalized(h: Float[Array, "batch units"]) -> Float[Array, "batch units"]:
    """Return pre-activations with mean 0 and variance 1 of each unit over the batch."""
    return (h - h.mean(0)) / jnp.sqrt(h.var(0) + 1e-5)


def trajectory_normalized(h: Float[Array, "batch units"]) -> Float[Array, "batch units"]:
    """Return pre-activations divided by the length per step of the polygon through the batch, over √(2 · units).

    Independent units of variance 1 keep their size. This is our reading of the paper's trajectory regularization.
    """
    step = jnp.mean(jnp.linalg.norm(h[1:] - h[:-1], axis=1)) / (2 * h.shape[1]) ** 0.5
    return h / (step + 1e-5)


def norms(parameters: PyTree) -> Float[Array, " layers"]:
    """Return the norms of the weights of the first and of every square layer."""
    hidden = jnp.sqrt(jnp.sum(parameters["hidden"] ** 2, (1, 2)))
    return jnp.concatenate([jnp.linalg.norm(parameters["first"])[None], hidden])
