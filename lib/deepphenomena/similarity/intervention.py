"""Canonical directions of a pair of layers, and the replacement of a layer by its part along a few of them."""

from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Float, Int

from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError, unknown
from deepphenomena.similarity.layers import decompose
from deepphenomena.similarity.moments import check_activations, product
from deepphenomena.similarity.subspaces import reciprocal

PROJECTIONS = ("orthogonal", "oblique")


class Directions(NamedTuple):
    """The canonical directions of one layer, from the best matched down; zero after the first `found`.

    Attributes:
        correlations: ρ of each direction with its partner in the other layer.
        weights: a column for each direction: (x − mean) weights are the canonical variates, of unit length.
        loadings: of every unit on every direction, the regression of the units on the variates.
        mean: of every unit.
        found: number of directions.

    Example:
        >>> x, y = jax.random.normal(jax.random.key(0), (2, 200, 3))
        >>> similarity.canonical_directions(x, y).weights.shape
        (3, 3)
    """

    correlations: Float[Array, " most"]
    weights: Float[Array, "features most"]
    loadings: Float[Array, "features most"]
    mean: Float[Array, " features"]
    found: Int[Array, ""]


def canonical_directions(
    x: Float[Array, "samples p"], y: Float[Array, "samples q"], *, keep: float = 1.0, cut: str = "variance"
) -> Directions:
    """Return the canonical directions of x with respect to y, as weights of the units of x.

    Args:
        x, y: activations of the same samples.
        keep, cut: which directions of both sides are kept first, as in `decompose`. SVCCA keeps 0.99.

    Source: Raghu et al. (2017), "SVCCA", section 2.1.

    Raises:
        InputError: as `cca` and `decompose`.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (200, 3))
        >>> found = similarity.canonical_directions(x, x[:, :1])
        >>> int(found.found), round(float(found.correlations[0]), 3)
        (1, 1.0)
    """
    x, y = check_activations(x, y)
    one, other = decompose(x, keep=keep, cut=cut), decompose(y, keep=keep, cut=cut)
    left, rho, _ = jnp.linalg.svd(product(one.directions.T, other.directions), full_matrices=False)
    found = jnp.minimum(one.kept, other.kept)
    present = jnp.arange(len(rho)) < found
    left = left * present
    rho = jnp.where(present, jnp.clip(rho, 0, 1), 0)
    return Directions(rho, product(one.weights, left), product(one.loadings, left), one.mean, found)


def project(
    activations: Float[Array, "samples features"], directions: Directions, count: int, *, kind: str = "orthogonal"
) -> Float[Array, "samples features"]:
    """Replace activations by their part along the first `count` directions, around the mean.

    Args:
        activations: of any samples, for example test images.
        directions: `canonical_directions` of the same layer; components in `Directions` of another origin work too.
        count: how many directions to keep.
        kind: "orthogonal" projects every activation vector onto the span of the directions' weights. "oblique"
            predicts the units from the variates by least squares.

    Raises:
        InputError: a count that is not between 0 and the number of directions, or an unknown kind.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (200, 3))
        >>> found = similarity.canonical_directions(x, x)
        >>> bool(jnp.allclose(similarity.project(x, found, 3), x, atol=1e-4))  # nothing is lost
        True
    """
    most = directions.weights.shape[1]
    if kind not in PROJECTIONS:
        raise unknown("kind of projection", str(kind), PROJECTIONS)
    count = numbers.whole("count", count)
    if count > most:
        raise InputError(f"count {count}: there are {most} directions; give a number up to that.")
    weights, centered = directions.weights[:, :count], activations - directions.mean
    if kind == "oblique":
        return directions.mean + product(product(centered, weights), directions.loadings[:, :count].T)
    basis = _orthonormal(weights)
    return directions.mean + product(product(centered, basis), basis.T)


@jax.jit
def _orthonormal(weights):
    """Return orthonormal columns with the same span; zero columns stay zero."""
    lengths = jnp.linalg.norm(weights, axis=0)
    basis, size, _ = jnp.linalg.svd(weights * reciprocal(lengths), full_matrices=False)
    used = size > max(weights.shape) * jnp.finfo(weights.dtype).eps * jnp.max(size, initial=0)
    return basis * used
