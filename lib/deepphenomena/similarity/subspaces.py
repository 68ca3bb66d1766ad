"""Orthonormal directions of two sets of activations, and the cosines between them.

The fast method uses second moments, which square the condition number. If its rounding error would reach √ε, singular
vectors of the activations are used (Björck and Golub 1973, "Numerical methods for computing angles between
linear subspaces").
"""

from functools import partial
from typing import NamedTuple

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import Float, Int

from deepphenomena.runtime.arrays import Array
from deepphenomena.similarity.moments import Scaled, product, rescaled, second_moments


class Alignment(NamedTuple):
    """X = Q Fᵀ and Y = R Gᵀ with orthonormal Q and R: the cosines QᵀR, the loadings F and the columns used."""

    cosines: Float[Array, "a b"]
    loadings: Float[Array, "p a"]
    kept: Int[Array, "2"]


def align(x: Scaled, y: Scaled, variance: float) -> Alignment:
    """Return orthonormal directions of both sides and the cosines between them, by the fastest accurate method."""
    exact = partial(_align_by_svd, variance=variance)
    if x.activations.shape[0] <= max(x.activations.shape[1], y.activations.shape[1]):
        return exact(x, y)
    xx, yy, xy = second_moments(x, y)
    whiten = _by_cholesky if variance == 1 else partial(_by_eigenvectors, variance=variance)
    (left, loadings, kept_x, safe_x), (right, _, kept_y, safe_y) = whiten(xx), whiten(yy)
    fast = Alignment(product(product(left.T, xy), right), loadings, jnp.stack([kept_x, kept_y]))
    return lax.cond(safe_x & safe_y, lambda x, y: fast, exact, x, y)


def _by_cholesky(gram):
    """Return W and F with W = F⁻ᵀ, Wᵀ gram W = 1, the number of columns, and whether rounding stays below √ε."""
    norms = jnp.sqrt(jnp.diagonal(gram))
    factor = lax.linalg.cholesky(gram / jnp.outer(norms, norms), symmetrize_input=False)
    inverse = jax.scipy.linalg.solve_triangular(factor, jnp.eye(len(gram), dtype=gram.dtype), lower=True)
    # The error of a correlation is of order ε over the smallest eigenvalue, whose inverse this norm bounds.
    safe = jnp.linalg.norm(product(inverse.T, inverse)) <= jnp.finfo(gram.dtype).eps ** -0.5
    return inverse.T / norms[:, None], factor * norms[:, None], jnp.array(len(gram)), safe


def _by_eigenvectors(gram, *, variance: float):
    """Return the same for the principal directions that hold the fraction `variance`; other columns are zero."""
    values, vectors = jnp.linalg.eigh(gram)
    values, vectors = jnp.maximum(values[::-1], 0), vectors[:, ::-1]
    used = _leading(values, variance)
    lengths = jnp.where(used, jnp.sqrt(values), 0)
    safe = jnp.where(used, values, jnp.inf).min() >= jnp.finfo(gram.dtype).eps ** 0.5 * values[0]
    return vectors * reciprocal(lengths), vectors * lengths, used.sum(), safe


def _align_by_svd(x: Scaled, y: Scaled, *, variance: float) -> Alignment:
    (left, loadings, kept_x), (right, _, kept_y) = (_by_svd(rescaled(side), variance) for side in (x, y))
    return Alignment(product(left.T, right), loadings, jnp.stack([kept_x, kept_y]))


def _by_svd(a, variance: float):
    """Return orthonormal columns (zero if not used), the loadings, and the number of columns used."""
    norms = jnp.linalg.norm(a, axis=0) if variance == 1 else jnp.ones(a.shape[1], a.dtype)
    vectors, lengths, turned = jnp.linalg.svd(a * reciprocal(norms), full_matrices=False)
    used = lengths > a.shape[1] * jnp.finfo(a.dtype).eps * lengths[0]
    if variance < 1:
        used &= _leading(lengths**2, variance)
    return vectors * used, turned.T * (lengths * used) * norms[:, None], used.sum()


def _leading(variances, share: float):
    """Return a mask of the fewest of the descending `variances` that hold this fraction of their sum."""
    before = jnp.concatenate([jnp.zeros(1, variances.dtype), jnp.cumsum(variances)[:-1]])
    return before < share * variances.sum()


def reciprocal(a):
    """Return 1 / a where a > 0, else 0."""
    return jnp.where(a > 0, 1 / jnp.where(a > 0, a, 1), 0)
