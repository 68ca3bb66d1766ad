"""Canonical correlation analysis: CCA, SVCCA and PWCCA.

With few samples CCA says little: independent features already have Σρ² = pq/(n − 1) on average, for n samples and p
and q features, and from n − 1 ≤ p, q on every ρ is 1. Ten samples for each feature are a common minimum.
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
    return _canonical(*check_activations(x, y), 1.0)


def svcca(
    x: Float[Array, "samples p"], y: Float[Array, "samples q"], *, variance: float = 0.99
) -> CanonicalCorrelations:
    """Singular vector CCA: of each side keep the fewest principal directions with that share of the variance, then CCA.

    No rotation, isotropic scaling or shift of either side changes it; with variance = 1 it is `cca`.

    Source: Raghu et al. (2017), "SVCCA", section 2.1.

    Raises:
        InputError: as `cca`, and for a variance that is not in (0, 1].
    """
    return _canonical(*check_activations(x, y), _checked_variance(variance))


def pwcca(
    x: Float[Array, "samples p"], y: Float[Array, "samples q"], *, variance: float = 1.0
) -> ProjectionWeightedCorrelations:
    """Projection-weighted CCA: the mean of ρ weighted by how much of x each canonical direction accounts for.

    The weight of direction h of x, a unit vector over the samples, is Σⱼ |⟨h, xⱼ⟩| over the centred features xⱼ,
    divided by the sum over directions. The weights come from x whatever the widths are, so pwcca(x, y) and pwcca(y, x)
    differ. Invertible maps of y change nothing; of x, only permutations and isotropic scalings.

    Args:
        x, y: activations.
        variance: the share of each side's variance to keep first, as in `svcca`; 1 keeps all.

    Source: Morcos, Raghu and Bengio (2018), section 2 (the released code instead weights by the narrower side).

    Raises:
        InputError: as `svcca`.
    """
    return _projection_weighted(*check_activations(x, y), _checked_variance(variance))


def _sides(x, y, variance: float):
    over = None if variance == 1 else jnp.max
    x, y = rescale(x, over), rescale(y, over)
    return x, y, jnp.isfinite(x.shift).all() & jnp.isfinite(y.shift).all()


def _correlations(squares, alignment: Alignment, finite):
    """ρ from the eigenvalues ρ², ascending, and how many there are. Activations that are not finite give NaN."""
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
        raise InputError(f"variance is {variance!r}: the share to keep must be above 0 and at most 1; 0.99 is usual.")
    return float(variance)
