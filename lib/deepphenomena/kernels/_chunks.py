"""Sums over a batch in chunks, so that the temporaries of a chunk stay in the cache."""

from collections.abc import Callable

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import PyTree


def sum_over_chunks(function: Callable[[PyTree], PyTree], size: int, batch: PyTree) -> PyTree:
    """Compute Σ function(chunk) over chunks of `size` samples, along the leading axis of every leaf of the batch.

    The last chunk is smaller if `size` does not divide the batch.
    """
    whole, rest = divmod(jax.tree.leaves(batch)[0].shape[0], size)
    if (whole, rest) == (1, 0):
        return function(batch)
    chunks = jax.tree.map(lambda leaf: leaf[: whole * size].reshape(whole, size, *leaf.shape[1:]), batch)
    if rest:
        start = function(jax.tree.map(lambda leaf: leaf[whole * size :], batch))
    else:
        shapes = jax.eval_shape(function, jax.tree.map(lambda leaf: leaf[0], chunks))
        start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    if not whole:
        return start
    return lax.scan(lambda total, chunk: (jax.tree.map(jnp.add, total, function(chunk)), None), start, chunks)[0]
