"""Similarity of two representations of the same samples: CCA, SVCCA, PWCCA and linear CKA.

Activations are samples × features, one row for each input; the two may differ in features. A convolutional layer is
first made so, by averaging over its pixels or by flattening them.

All four are computed from the features' second moments, because a matrix product is the fastest thing a machine does.
Moments square the condition number, so the canonical forms check it and go back to the singular vectors of the
activations themselves (Björck and Golub 1973, "Numerical methods for computing angles between linear subspaces") where
rounding would otherwise reach √ε: 3e-4 in float32, 1e-8 in float64. Under `vmap` both forms run; use `lax.map`.

With few samples CCA says little: independent features already have Σρ² = pq/(n − 1) on average, for n samples and p
and q features, and from n − 1 ≤ p, q on every ρ is 1. Ten samples for each feature are a common minimum.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from deepphenomena.runtime.errors import InputError


class CanonicalCorrelations(NamedTuple):
    """Canonical correlations ρ of two representations, in descending order, each between 0 and 1.

    Attributes:
        similarity: the mean of ρ over the `directions`; 0 where there are none.
        correlations: ρ, with zeros after the first `directions`.
        kept: the directions compared of x and of y: their ranks, or what a variance cut left.
        directions: how many correlations there are, the smaller of `kept`.
    """

    similarity: Float[Array, ""]
    correlations: Float[Array, " most"]
    kept: Int[Array, "2"]
    directions: Int[Array, ""]


class ProjectionWeightedCorrelations(NamedTuple):
    """Canonical correlations with the weight of each in the first representation; the weights sum to 1.

    Attributes:
        similarity: the sum of weights times correlations; 0 where there are none.
        weights: the share of each canonical direction in x.
        correlations, kept, directions: as in `CanonicalCorrelations`.
    """

    similarity: Float[Array, ""]
    weights: Float[Array, " most"]
    correlations: Float[Array, " most"]
    kept: Int[Array, "2"]
    directions: Int[Array, ""]


def cca(x: Float[Array, "samples p"], y: Float[Array, "samples q"]) -> CanonicalCorrelations:
    """Canonical correlation analysis: the cosines of the angles between the spans of the centred features.

    ρ are the singular values of Sxx^(-1/2) Sxy Syy^(-1/2); no invertible affine map of either side changes them.
    Features are scaled to unit length first, constant ones are left out, and where features depend on each other
    linearly the span is what counts: singular values below (features · ε) times the largest are cut.

    Source: Hotelling (1936), "Relations between two sets of variates"; the mean of ρ is the similarity of Raghu et al.
    (2017), section 2.1.

    Raises:
        InputError: for anything but two matrices of real numbers with the same number of rows, at least two.
    """
    return _canonical(*_checked(x, y), 1.0)


def svcca(
    x: Float[Array, "samples p"], y: Float[Array, "samples q"], *, variance: float = 0.99
) -> CanonicalCorrelations:
    """Singular vector CCA: of each side keep the fewest principal directions with that share of the variance, then CCA.

    No rotation, isotropic scaling or shift of either side changes it; with variance = 1 it is `cca`.

    Source: Raghu et al. (2017), "SVCCA", section 2.1.

    Raises:
        InputError: as `cca`, and for a variance that is not in (0, 1].
    """
    return _canonical(*_checked(x, y), _checked_variance(variance))


def pwcca(
    x: Float[Array, "samples p"], y: Float[Array, "samples q"], *, variance: float = 1.0
) -> ProjectionWeightedCorrelations:
    """Projection-weighted CCA: the mean of ρ weighted by how much of x each canonical direction accounts for.

    The weight of direction h of x, a unit vector over the samples, is `Σⱼ |⟨h, xⱼ⟩|` over the centred features xⱼ,
    divided by the sum over directions. The weights come from x whatever the widths are, so pwcca(x, y) and pwcca(y, x)
    differ. Invertible maps of y change nothing; of x, only permutations and isotropic scalings.

    Args:
        x, y: activations.
        variance: the share of each side's variance to keep first, as in `svcca`; 1 keeps all.

    Source: Morcos, Raghu and Bengio (2018), section 2 (the released code instead weights by the narrower side).

    Raises:
        InputError: as `svcca`.
    """
    return _projection_weighted(*_checked(x, y), _checked_variance(variance))


@jax.jit
def _linear_cka(x, y):
    scaled = [_scaled(a, jnp.max) for a in (x, y)]
    finite = jnp.isfinite(scaled[0].shift).all() & jnp.isfinite(scaled[1].shift).all()
    n, p, q = x.shape[0], x.shape[1], y.shape[1]
    if n * (p + q) < p * p + q * q + p * q:
        x, y = (_rows(a) for a in scaled)
        gram_x, gram_y = _product(x, x.T), _product(y, y.T)
        xx, yy, xy = (gram_x**2).sum(), (gram_y**2).sum(), (gram_x * gram_y).sum()
    else:
        xx, yy, xy = ((moment**2).sum() for moment in _second_moments(*scaled))
    scale = jnp.sqrt(xx) * jnp.sqrt(yy)
    return jnp.where(finite, jnp.minimum(xy / jnp.where(scale == 0, 1, scale), 1), jnp.nan)


def linear_cka(x: Float[Array, "samples p"], y: Float[Array, "samples q"]) -> Float[Array, ""]:
    """Centred kernel alignment with linear kernels: ‖XᵀY‖² / (‖XᵀX‖ ‖YᵀY‖), Frobenius norms of centred features.

    Between 0 and 1, and 0 where a side is constant. Rotations, isotropic scalings and shifts of either side change
    nothing; other invertible maps do. Computed over features or over samples, whichever is less work.

    Source: Kornblith et al. (2019), "Similarity of neural network representations revisited", section 3 (the biased
    estimate: independent features do not give 0 for finite samples).

    Raises:
        InputError: as `cca`.
    """
    return _linear_cka(*_checked(x, y))


class _Scaled(NamedTuple):
    """Activations, and what makes them centred columns of at most 1: (a − first − shift) / scale."""

    activations: Float[Array, "samples features"]
    shift: Float[Array, " features"]
    scale: Float[Array, " features"]


def _scaled(a, over=None) -> _Scaled:
    """Scale each feature by its largest value or, with `over`, all of them by one; a constant feature by 1.

    Subtracting the first sample before the mean makes a constant feature exactly zero, and loses no digits to a large
    common offset.
    """
    difference = a - a[0]
    shift = difference.mean(0)
    scale = jnp.maximum(difference.max(0) - shift, shift - difference.min(0))
    scale = scale if over is None else jnp.broadcast_to(over(scale), scale.shape)
    return _Scaled(a, shift, jnp.where(scale == 0, 1, scale))


def _rows(scaled: _Scaled, start=None, count=None):
    """The scaled activations, or `count` rows of them."""
    a, shift, scale = scaled
    rows = a if start is None else lax.dynamic_slice_in_dim(a, start, count)
    return (rows - a[0] - shift) / scale


def _second_moments(x: _Scaled, y: _Scaled):
    """XᵀX, YᵀY and XᵀY of scaled activations; by chunks on a processor, where they do not fit in its cache."""
    large = x.activations.size + y.activations.size > 2**18
    cpu = _moments_by_chunks if large else _moments_at_once
    moments = lax.platform_dependent(x, y, cpu=cpu, default=_moments_at_once)
    p = x.activations.shape[1]
    return moments[:p, :p], moments[p:, p:], moments[:p, p:]


def _moments_at_once(x: _Scaled, y: _Scaled):
    z = jnp.concatenate([_rows(x), _rows(y)], 1)
    return _product(z.T, z)


def _moments_by_chunks(x: _Scaled, y: _Scaled, *, rows: int = 256, columns: int = 256):
    """The same, some rows at a time, so that the scaled copy is never written out; the upper half only.

    The barrier has the transpose made once: XLA:CPU's product along the first axis of both is half as fast.
    """
    samples, features = x.activations.shape[0], x.activations.shape[1] + y.activations.shape[1]
    blocks = [(start, min(start + columns, features)) for start in range(0, features, columns)]

    def add(sums, start, count):
        z = jnp.concatenate([_rows(x, start, count), _rows(y, start, count)], 1)
        turned = lax.optimization_barrier(z.T)
        return tuple(s + turned[:end] @ z[:, start:end] for s, (start, end) in zip(sums, blocks, strict=True))

    dtype = jnp.result_type(x.activations, y.activations)
    sums = tuple(jnp.zeros((end, end - start), dtype) for start, end in blocks)
    rest = samples % rows
    if samples >= rows:
        sums = lax.fori_loop(0, samples // rows, lambda i, sums: add(sums, i * rows, rows), sums)
    if rest:
        sums = add(sums, samples - rest, rest)
    upper = jnp.triu(jnp.concatenate([jnp.pad(s, ((0, features - len(s)), (0, 0))) for s in sums], 1))
    return upper + jnp.triu(upper, 1).T


class _Alignment(NamedTuple):
    """X = Q Fᵀ with orthonormal Q, and Y = R Gᵀ likewise: the cosines QᵀR, the loadings F and the columns in use."""

    cosines: Float[Array, "a b"]
    loadings: Float[Array, "p a"]
    kept: Int[Array, "2"]


def _align(x: _Scaled, y: _Scaled, variance: float) -> _Alignment:
    """Orthonormal directions of both sides and the cosines between them, in the fastest way that is accurate."""
    exact = partial(_align_by_svd, variance=variance)
    if x.activations.shape[0] <= max(x.activations.shape[1], y.activations.shape[1]):
        return exact(x, y)
    xx, yy, xy = _second_moments(x, y)
    whiten = _by_cholesky if variance == 1 else partial(_by_eigenvectors, variance=variance)
    (left, loadings, kept_x, safe_x), (right, _, kept_y, safe_y) = whiten(xx), whiten(yy)
    fast = _Alignment(_product(_product(left.T, xy), right), loadings, jnp.stack([kept_x, kept_y]))
    return lax.cond(safe_x & safe_y, lambda x, y: fast, exact, x, y)


def _by_cholesky(gram):
    """W and F with W = F⁻ᵀ, Wᵀ gram W = 1, the columns in use (all), and whether rounding stays below √ε."""
    norms = jnp.sqrt(jnp.diagonal(gram))
    factor = lax.linalg.cholesky(gram / jnp.outer(norms, norms), symmetrize_input=False)
    inverse = jax.scipy.linalg.solve_triangular(factor, jnp.eye(len(gram), dtype=gram.dtype), lower=True)
    # The error of a correlation is of order ε over the smallest eigenvalue, whose inverse this norm bounds.
    safe = jnp.linalg.norm(_product(inverse.T, inverse)) <= jnp.finfo(gram.dtype).eps ** -0.5
    return inverse.T / norms[:, None], factor * norms[:, None], jnp.array(len(gram)), safe


def _by_eigenvectors(gram, *, variance: float):
    """The same with the principal directions that hold the share `variance`; the other columns are zero."""
    values, vectors = jnp.linalg.eigh(gram)
    values, vectors = jnp.maximum(values[::-1], 0), vectors[:, ::-1]
    used = _leading(values, variance)
    lengths = jnp.where(used, jnp.sqrt(values), 0)
    safe = jnp.where(used, values, jnp.inf).min() >= jnp.finfo(gram.dtype).eps ** 0.5 * values[0]
    return vectors * _inverse(lengths), vectors * lengths, used.sum(), safe


def _align_by_svd(x: _Scaled, y: _Scaled, *, variance: float) -> _Alignment:
    (left, loadings, kept_x), (right, _, kept_y) = (_by_svd(_rows(side), variance) for side in (x, y))
    return _Alignment(_product(left.T, right), loadings, jnp.stack([kept_x, kept_y]))


def _by_svd(a, variance: float):
    """Orthonormal columns, zero where not in use, the loadings, and how many are in use."""
    norms = jnp.linalg.norm(a, axis=0) if variance == 1 else jnp.ones(a.shape[1], a.dtype)
    vectors, lengths, turned = jnp.linalg.svd(a * _inverse(norms), full_matrices=False)
    used = lengths > a.shape[1] * jnp.finfo(a.dtype).eps * lengths[0]
    if variance < 1:
        used &= _leading(lengths**2, variance)
    return vectors * used, turned.T * (lengths * used) * norms[:, None], used.sum()


def _leading(variances, share: float):
    """Which of the descending `variances` are the fewest that hold the share of their sum."""
    before = jnp.concatenate([jnp.zeros(1, variances.dtype), jnp.cumsum(variances)[:-1]])
    return before < share * variances.sum()


def _inverse(a):
    return jnp.where(a > 0, 1 / jnp.where(a > 0, a, 1), 0)


def _sides(x, y, variance: float):
    over = None if variance == 1 else jnp.max
    x, y = _scaled(x, over), _scaled(y, over)
    return x, y, jnp.isfinite(x.shift).all() & jnp.isfinite(y.shift).all()


def _correlations(squares, alignment: _Alignment, finite):
    """ρ from the eigenvalues ρ², ascending, and how many there are. Activations that are not finite give NaN."""
    directions = alignment.kept.min()
    squares = squares[::-1][: min(alignment.cosines.shape)]
    present = jnp.arange(len(squares)) < directions
    rho = jnp.where(present, jnp.sqrt(jnp.clip(squares, 0, 1)), 0)
    return jnp.where(finite, rho, jnp.nan), present, directions


@partial(jax.jit, static_argnums=2)
def _canonical(x, y, variance: float) -> CanonicalCorrelations:
    x, y, finite = _sides(x, y, variance)
    alignment = _align(x, y, variance)
    a = alignment.cosines
    squares = jnp.linalg.eigvalsh(_product(a, a.T) if a.shape[0] <= a.shape[1] else _product(a.T, a))
    rho, _, directions = _correlations(squares, alignment, finite)
    similarity = jnp.minimum(rho.sum() / jnp.maximum(directions, 1), 1)
    return CanonicalCorrelations(similarity, rho, alignment.kept, directions)


@partial(jax.jit, static_argnums=2)
def _projection_weighted(x, y, variance: float) -> ProjectionWeightedCorrelations:
    x, y, finite = _sides(x, y, variance)
    alignment = _align(x, y, variance)
    squares, vectors = jnp.linalg.eigh(_product(alignment.cosines, alignment.cosines.T))
    rho, present, directions = _correlations(squares, alignment, finite)
    loadings = alignment.loadings * (x.scale / x.scale.max())[:, None]
    shares = jnp.abs(_product(loadings, vectors[:, ::-1][:, : len(rho)])).sum(0) * present
    weights = shares * _inverse(shares.sum())
    similarity = jnp.minimum((weights * rho).sum(), 1)
    return ProjectionWeightedCorrelations(similarity, weights, rho, alignment.kept, directions)


def _product(a, b):
    # Accelerators multiply float32 matrices in fewer bits unless told.
    return jnp.matmul(a, b, precision="highest")


def _checked(x, y):
    x, y = jnp.asarray(x), jnp.asarray(y)
    shapes = f"similarity of {x.shape} with {y.shape}"
    if x.ndim != 2 or y.ndim != 2 or 0 in x.shape + y.shape:
        raise InputError(f"{shapes}: activations are (samples, features); flatten or average the other axes.")
    if len(x) != len(y) or len(x) < 2:
        raise InputError(f"{shapes}: both need the same samples, two or more, as rows; check the order of the axes.")
    dtype = jnp.promote_types(jnp.result_type(x, y), jnp.float32)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise InputError(f"similarity in {dtype}: real numbers are needed; compare real and imaginary parts instead.")
    return x.astype(dtype), y.astype(dtype)


def _checked_variance(variance: float) -> float:
    if not (isinstance(variance, int | float) and math.isfinite(variance) and 0 < variance <= 1):
        raise InputError(f"variance is {variance!r}: the share to keep must be above 0 and at most 1; 0.99 is usual.")
    return float(variance)
