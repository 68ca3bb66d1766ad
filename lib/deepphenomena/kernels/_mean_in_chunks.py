"""A mean over samples, differentiated in chunks so that activations stay in the cache."""

from collections.abc import Callable
from functools import partial

import jax
from jax import lax
from jax import numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Float, PyTree

from deepphenomena.kernels._chunks import sum_over_chunks
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError

type MeanLoss = Callable[[PyTree, PyTree], Float[Array, ""]]


def mean_in_chunks(loss: MeanLoss, *, samples: int = 16, everywhere: bool = False) -> MeanLoss:
    """Return the same loss, evaluated and differentiated in chunks of `samples` samples on a CPU.

    On a CPU the activations of a whole batch of images do not fit in the cache, and a training step waits for memory.
    The gradients of the chunks are summed one by one, so memory does not grow with the batch. Hessian-vector products
    (`jax.jvp` of `jax.grad`) gain in the same way. On other platforms the loss is unchanged.

    Args:
        loss: `loss(parameters, batch)`, a mean over the leading axis of every leaf of `batch`. Each sample must
            contribute independently: with batch normalization the statistics would be those of a chunk.
        samples: samples per chunk. The last chunk is smaller if `samples` does not divide the batch.
        everywhere: use chunks on every platform, to save memory.

    Raises:
        InputError: if `samples` is below 1; when called, if the leaves of a batch differ in their leading axis.

    Example:
        >>> loss = kernels.mean_in_chunks(lambda centre, batch: jnp.mean((centre - batch) ** 2), samples=2)
        >>> float(loss(1.0, jnp.asarray([0.0, 1.0, 2.0, 3.0])))
        1.5
    """
    if samples < 1:
        raise InputError(f"samples {samples} in a chunk: give 1 or more.")

    def by_platform(parameters, batch):
        sizes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(batch)}
        if len(sizes) != 1 or () in sizes:
            raise InputError(
                f"a batch with leading axes {sorted(sizes)}: every leaf needs one leading axis of as many samples."
            )
        in_chunks = partial(_mean, loss, samples)
        if everywhere:
            return in_chunks(parameters, batch)
        return lax.platform_dependent(parameters, batch, cpu=in_chunks, default=lambda p, batch: loss(p, batch))

    return by_platform


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _mean(loss, samples, parameters, batch):
    return _weighted_sum(lambda chunk: loss(parameters, chunk), samples, batch)


@partial(_mean.defjvp, symbolic_zeros=True)
def _mean_jvp(loss, samples, primals, tangents):
    """For the parameters: compute each chunk's gradient together with its value, and keep only the sum."""
    parameters, batch = primals
    if any(not isinstance(tangent, SymbolicZero) for tangent in jax.tree.leaves(tangents[1], is_leaf=_is_zero)):
        tangents = jax.tree.map(_instantiate, tangents, is_leaf=_is_zero)
        return jax.jvp(lambda *both: _weighted_sum(partial(loss, both[0]), samples, both[1]), primals, tangents)
    value, gradient = _weighted_sum(lambda chunk: jax.value_and_grad(loss)(parameters, chunk), samples, batch)
    pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(tangents[0], is_leaf=_is_zero), strict=True)
    return value, sum((jnp.vdot(g, t) for g, t in pairs if not isinstance(t, SymbolicZero)), jnp.zeros_like(value))


def _weighted_sum(function, samples: int, batch):
    """Compute Σ (share of the chunk in the batch) · function(chunk)."""
    count = _length(batch)

    def part(chunk):
        return jax.tree.map(lambda value: _length(chunk) / count * value, function(chunk))

    return sum_over_chunks(part, samples, batch)


def _length(batch) -> int:
    return jax.tree.leaves(batch)[0].shape[0]


def _is_zero(leaf) -> bool:
    return isinstance(leaf, SymbolicZero)


def _instantiate(leaf):
    return jnp.zeros(leaf.shape, leaf.dtype) if isinstance(leaf, SymbolicZero) else leaf
