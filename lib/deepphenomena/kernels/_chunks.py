"""A sum over a batch, taken some samples at a time, so that what a chunk needs stays in the cache."""

from collections.abc import Callable

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import PyTree


def sum_over_chunks(function: Callable[[PyTree], PyTree], size: int, batch: PyTree) -> PyTree:
    """Σ function(chunk) over chunks of `size` samples, along the leading axis of every leaf of the batch.

    What does not divide the batch is one smaller chunk.
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
