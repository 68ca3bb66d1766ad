"""Canonical correlation analysis: CCA, SVCCA and PWCCA.

With few samples, CCA is not informative: independent features have Σρ² = pq/(n − 1) on average for n samples and p and
q features, and every ρ is 1 if n − 1 ≤ p, q. Ten samples per feature are a common minimum.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Float, Int

from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError
from deepphenomena.similarity.moments import check_activations, product, rescale
from deepphenomena.similarity.subspaces import Alignment, align, reciprocal


class CanonicalCorrelations(NamedTuple):
    """Canonical correlations ρ of two representations, in descending order, each between 0 and 1.

    Attributes:
        similarity: the mean of ρ over the `directions`; 0 without directions.
        correlations: ρ, with zeros after the first `directions`.
        kept: number of directions of x and of y that are compared: their ranks, or those left by a variance cut.
        directions: number of correlations, the smaller of `kept`.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (200, 3))
        >>> similarity.cca(x, x).correlations.round(3).tolist()
        [1.0, 1.0, 1.0]
    """

    similarity: Float[Array, ""]
    correlations: Float[Array, " most"]
    kept: Int[Array, "2"]
    directions: Int[Array, ""]


class ProjectionWeightedCorrelations(NamedTuple):
    """Canonical correlations and their weights in the first representation. The weights sum to 1.

    Attributes:
        similarity: the sum of weights times correlations; 0 without directions.
        weights: the weight of each canonical direction in x.
        correlations, kept, directions: as in `CanonicalCorrelations`.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (200, 3))
        >>> round(float(similarity.pwcca(x, x).similarity), 3)
        1.0
    """

    similarity: Float[Array, ""]
    weights: Float[Array, " most"]
    correlations: Float[Array, " most"]
    kept: Int[Array, "2"]
    directions: Int[Array, ""]


def cca(x: Float[Array, "samples p"], y: Float[Array, "samples q"]) -> CanonicalCorrelations:
    """Return canonical correlations: the cosines of the angles between the spans of the centered features.

    ρ are the singular values of Sxx^(-1/2) Sxy Syy^(-1/2). They are invariant to invertible affine maps of either side.
    Features are first scaled to unit length, and constant features are dropped. Linearly dependent features are reduced
    to their span: singular values below (features · ε) times the largest are dropped.

    Source: Hotelling (1936), "Relations between two sets of variates"; the mean of ρ is the similarity of Raghu et al.
    (2017), section 2.1.

    Raises:
        InputError: unless x and y are real matrices with the same number of rows, at least two.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (200, 3))
        >>> mixed = x @ jnp.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
        >>> round(float(similarity.cca(x, mixed).similarity), 3)  # an invertible map changes nothing
        1.0
    """
    return _canonical(*check_activations(x, y), 1.0)


def svcca(
    x: Float[Array, "samples p"], y: Float[Array, "samples q"], *, variance: float = 0.99
) -> CanonicalCorrelations:
    """Return singular vector CCA: CCA of the fewest principal directions that hold this fraction of the variance.

    It is invariant to rotations, isotropic scalings and shifts of either side. With variance = 1 it equals `cca`.

    Source: Raghu et al. (2017), "SVCCA", section 2.1.

    Raises:
        InputError: as `cca`, or a variance outside (0, 1].

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (200, 3)) * jnp.array([10.0, 10.0, 0.01])
        >>> round(float(similarity.svcca(x, x[:, :2], variance=0.99).similarity), 3)  # the weak direction is dropped
        1.0
    """
    return _canonical(*check_activations(x, y), _checked_variance(variance))


def pwcca(
    x: Float[Array, "samples p"], y: Float[Array, "samples q"], *, variance: float = 1.0
) -> ProjectionWeightedCorrelations:
    """Return projection-weighted CCA: the mean of ρ, weighted by how much of x each canonical direction explains.

    The weight of direction h of x, a unit vector over the samples, is `Σⱼ |⟨h, xⱼ⟩|` over the centered features xⱼ,
    divided by the sum over directions. The weights always come from x, for any widths, so pwcca(x, y) and pwcca(y, x)
    differ. It is invariant to invertible maps of y, and to permutations and isotropic scalings of x.

    Args:
        x, y: activations.
        variance: the fraction of the variance of each side to keep first, as in `svcca`; 1 keeps all.

    Source: Morcos, Raghu and Bengio (2018), section 2 (the released code instead weights by the narrower side).

    Raises:
        InputError: as `svcca`.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (200, 3))
        >>> round(float(similarity.pwcca(x, 2 * x + 1).similarity), 3)
        1.0
    """
    return _projection_weighted(*check_activations(x, y), _checked_variance(variance))


def _sides(x, y, variance: float):
    over = None if variance == 1 else jnp.max
    x, y = rescale(x, over), rescale(y, over)
    return x, y, jnp.isfinite(x.shift).all() & jnp.isfinite(y.shift).all()


def _correlations(squares, alignment: Alignment, finite):
    """Return ρ from the ascending eigenvalues ρ², and their number. Activations that are not finite give NaN."""
    directions = alignment.kept.min()
    squares = squares[::-1][: min(alignment.cosines.shape)]
    present = jnp.arange(len(squares)) < directions
    rho = jnp.where(present, jnp.sqrt(jnp.clip(squares, 0, 1)), 0)
    return jnp.where(finite, rho, jnp.nan), present, directions


@partial(jax.jit, static_argnums=2)
def _canonical(x, y, variance: float) -> CanonicalCorrelations:
    x, y, finite = _sides(x, y, variance)
    alignment = align(x, y, variance)
    a = alignment.cosines
    squares = jnp.linalg.eigvalsh(product(a, a.T) if a.shape[0] <= a.shape[1] else product(a.T, a))
    rho, _, directions = _correlations(squares, alignment, finite)
    similarity = jnp.minimum(rho.sum() / jnp.maximum(directions, 1), 1)
    return CanonicalCorrelations(similarity, rho, alignment.kept, directions)


@partial(jax.jit, static_argnums=2)
def _projection_weighted(x, y, variance: float) -> ProjectionWeightedCorrelations:
    x, y, finite = _sides(x, y, variance)
    alignment = align(x, y, variance)
    squares, vectors = jnp.linalg.eigh(product(alignment.cosines, alignment.cosines.T))
    rho, present, directions = _correlations(squares, alignment, finite)
    loadings = alignment.loadings * (x.scale / x.scale.max())[:, None]
    shares = jnp.abs(product(loadings, vectors[:, ::-1][:, : len(rho)])).sum(0) * present
    weights = shares * reciprocal(shares.sum())
    similarity = jnp.minimum((weights * rho).sum(), 1)
    return ProjectionWeightedCorrelations(similarity, weights, rho, alignment.kept, directions)


def _checked_variance(variance: float) -> float:
    if not (isinstance(variance, int | float) and math.isfinite(variance) and 0 < variance <= 1):
        raise InputError(
            f"variance is {variance!r}: the fraction to keep must be above 0 and at most 1; 0.99 is usual."
        )
    return float(variance)
