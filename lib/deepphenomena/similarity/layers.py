"""One layer taken apart for canonical correlations: orthonormal directions over the samples, and how units make them.

A layer is decomposed once and then compared with any number of others: the canonical correlations of two layers are the
singular values of VᵀW for their orthonormal directions V and W.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import Float, Int

from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError, unknown
from deepphenomena.similarity.moments import check_activations, product, rescale, rescaled
from deepphenomena.similarity.subspaces import reciprocal

# What the cut sums up: squared singular values are variances; the appendix of the SVCCA paper sums singular values.
CUTS = ("variance", "singular values")


class Layer(NamedTuple):
    """A layer as directions V over the samples: x − mean is V loadingsᵀ, up to what the cut removes.

    Attributes:
        directions: V, orthonormal columns in descending order of variance; zero after the first `kept`.
        loadings: of every unit on every direction.
        weights: V = (x − mean) weights, so that directions can be computed for other samples.
        mean: of every unit.
        kept: number of directions.

    Example:
        >>> layer = similarity.decompose(jax.random.normal(jax.random.key(0), (200, 3)))
        >>> layer.directions.shape, int(layer.kept)
        ((200, 3), 3)
    """

    directions: Float[Array, "samples most"]
    loadings: Float[Array, "features most"]
    weights: Float[Array, "features most"]
    mean: Float[Array, " features"]
    kept: Int[Array, ""]


def decompose(x: Float[Array, "samples features"], *, keep: float = 1.0, cut: str = "variance") -> Layer:
    """Take a layer apart by singular values, and keep the fewest directions that hold the share `keep`.

    Constant units are left out, and linearly dependent ones are reduced to their span. Moments are used when they are
    accurate and the singular value decomposition otherwise, as for `cca`.

    Args:
        x: activations.
        keep: the share to keep; 1 keeps all directions, as CCA does.
        cut: "variance" for the share of the sum of squared singular values, "singular values" for that of their sum.

    Source: Raghu et al. (2017), "SVCCA", section 2.1, and Appendix A for the sum of singular values.

    Raises:
        InputError: unless x is a real matrix of two samples or more; a share outside (0, 1]; an unknown cut.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (200, 3)) * jnp.array([10.0, 10.0, 0.01])
        >>> int(similarity.decompose(x, keep=0.99).kept)  # the weak direction is dropped
        2
    """
    if not (isinstance(keep, int | float) and math.isfinite(keep) and 0 < keep <= 1):
        raise InputError(f"keep is {keep!r}: the share to keep must be above 0 and at most 1; 0.99 is usual.")
    if cut not in CUTS:
        raise unknown("cut", str(cut), CUTS)
    return _decompose(check_activations(x, x)[0], float(keep), cut)


@partial(jax.jit, static_argnums=(1, 2))
def _decompose(x, keep: float, cut: str) -> Layer:
    # With a cut all units share one scale, because it weighs them by their variance; without one each has its own.
    scaled = rescale(x, None if keep == 1 else jnp.max)
    z = rescaled(scaled)
    norms = jnp.linalg.norm(z, axis=0) if keep == 1 else jnp.ones(z.shape[1], z.dtype)
    z = z * reciprocal(norms)
    by_svd = partial(_by_svd, keep=keep, cut=cut)
    if x.shape[0] <= x.shape[1]:
        lengths, turned, used = by_svd(z)
    else:
        *by_moments, accurate = _by_moments(z, keep, cut)
        lengths, turned, used = lax.cond(accurate, lambda z: tuple(by_moments), by_svd, z)
    weights = turned * reciprocal(jnp.where(used, lengths, 0))
    directions = product(z, weights)
    loadings = turned * jnp.where(used, lengths, 0) * norms[:, None] * scaled.scale[:, None]
    mean = x[0] + scaled.shift
    weights = weights * (reciprocal(norms) / scaled.scale)[:, None]
    finite = jnp.isfinite(scaled.shift).all()
    return Layer(jnp.where(finite, directions, jnp.nan), loadings, weights, mean, used.sum())


def _by_moments(z, keep: float, cut: str):
    """Return singular values, right singular vectors, which are used, and whether rounding stays below √ε."""
    values, vectors = jnp.linalg.eigh(product(z.T, z))
    values, vectors = jnp.maximum(values[::-1], 0), vectors[:, ::-1]
    lengths = jnp.sqrt(values)
    used = _leading(lengths, keep, cut)
    accurate = jnp.where(used, values, jnp.inf).min() >= jnp.finfo(z.dtype).eps ** 0.5 * values[0]
    return lengths, vectors, used, accurate & (values[0] > 0)


def _by_svd(z, *, keep: float, cut: str):
    _, lengths, turned = jnp.linalg.svd(z, full_matrices=False)
    used = (lengths > max(z.shape) * jnp.finfo(z.dtype).eps * lengths[0]) & _leading(lengths, keep, cut)
    return lengths, turned.T, used


def _leading(lengths, keep: float, cut: str):
    """Return a mask of the fewest of the descending singular values that hold this share."""
    if keep == 1:
        return jnp.ones(len(lengths), bool)
    size = lengths**2 if cut == "variance" else lengths
    before = jnp.concatenate([jnp.zeros(1, size.dtype), jnp.cumsum(size)[:-1]])
    return before < keep * size.sum()
