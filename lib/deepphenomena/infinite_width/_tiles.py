"""What the kernels of all infinitely wide architectures share: the recursion's steps, and evaluation tile by tile.

Between layers a kernel is a pair: N, the mean product of two inputs' activations, and T, the tangent kernel as seen
from there, so that at the inputs N = x·x'/d and T = 0.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from jaxtyping import Float

from deepphenomena.mean_field.activations import ACTIVATIONS, Nonlinearity
from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array

UNROLLED = 8  # layers evaluated in registers before a tile is written

# The activations whose moments of pairs are known in closed form.
CLOSED_FORMS = {name: phi for name, phi in ACTIVATIONS.items() if phi.moments and phi.pair}


class Prior(NamedTuple):
    """Variances of weights (times fan-in) and of biases."""

    weight: Float[Array, ""] | float
    bias: Float[Array, ""] | float

    @classmethod
    def checked(cls, weight_variance, bias_variance) -> "Prior":
        """Return the prior. Raise InputError for a variance that is negative, infinite or NaN."""
        numbers.check_variance("weight_variance", weight_variance)
        numbers.check_variance("bias_variance", bias_variance)
        return cls(weight_variance, bias_variance)

    def affine(self, activations, tangents):
        """Through a layer of weights: K = σ_w² N + σ_b², Θ = K + σ_w² T."""
        covariance = self.weight * activations + self.bias
        return covariance, covariance + self.weight * tangents


def through(phi: Nonlinearity, kernels: tuple, one: tuple, other: tuple) -> tuple:
    """Through a nonlinearity: N = E[φφ], T = E[φ'φ'] Θ."""
    activations, slopes = phi.pair.of(kernels[0], one, other)
    return activations, slopes * kernels[1]


def through_layers(layer: Callable, products, sides) -> tuple:
    """From the inputs' products to the pair (N, T) after all layers, (pair, sides) -> pair.

    The first layer stands apart: its tangents are zero, and a scalar zero costs nothing to average.
    """
    pair = (products, jnp.zeros((), products.dtype))
    if not jax.tree.leaves(sides)[0].shape[0]:
        return pair
    pair = layer(pair, jax.tree.map(lambda side: side[0], sides))
    rest = jax.tree.map(lambda side: side[1:], sides)
    return lax.scan(lambda pair, one: (layer(pair, one), None), pair, rest, unroll=UNROLLED)[0]


def averaged(pair: tuple, mean: Callable) -> tuple:
    """The pair's means by a function of a field; what is a scalar is the same everywhere."""
    return tuple(mean(field) if field.ndim else field for field in pair)


def climb(phi: Nonlinearity, prior: Prior, depth: int, squares, average: Callable = lambda field: field) -> tuple:
    """What `depth` layers need to know of each input alone, and the pair (N, T) of each input with itself after them.

    Args:
        phi, prior: the network.
        depth: layers of weights followed by a nonlinearity.
        squares: mean squares of the inputs, (n, ...).
        average: what a layer of weights does to such a field: nothing, or a mean over a window.

    Returns:
        Sides, every array (n, depth, ...), and the pair, each (n, ...).
    """

    def layer(pair, _):
        covariance, tangent = prior.affine(*map(average, pair))
        activations, slopes = phi.moments(covariance)
        return (activations, slopes * tangent), phi.pair.side(covariance)

    last, sides = lax.scan(layer, (squares, jnp.zeros_like(squares)), length=depth)
    return jax.tree.map(lambda side: jnp.moveaxis(side, 0, 1), sides), last


def from_tiles(
    of_tile: Callable, one, other, *, diagonal: Array | None, tile: int | None, cpu: int, elsewhere: int
) -> tuple[Array, Array]:
    """Two matrices, n₁ × n₂ each, whose tiles are computed one after the other.

    Args:
        of_tile: from slices of one and other to both matrices' tile, stacked.
        one: a pytree whose arrays lead with n₁ samples.
        other: the same with n₂, or None for a symmetric matrix of n₁ × n₁: one triangle of tiles is computed.
        diagonal: of a symmetric matrix, where it is known exactly.
        tile: rows and columns of a tile, or None for the platform's: `cpu` or `elsewhere`.
    """

    def matrices(tile):
        return _from_tiles(of_tile, one, other, diagonal, tile)

    if tile is None:
        return lax.platform_dependent(cpu=partial(matrices, cpu), default=partial(matrices, elsewhere))
    return matrices(tile)


def _from_tiles(of_tile, one, other, diagonal, tile: int):
    symmetric = other is None
    other = one if symmetric else other
    n1, n2 = (jax.tree.leaves(side)[0].shape[0] for side in (one, other))
    rows, columns = (-(-n // -(-n // tile)) for n in (n1, n2))  # as many tiles as asked for, of even sizes
    # The last tile starts early enough to be whole; what it shares with the one before is computed twice.
    corners = np.array(
        [(min(a, n1 - rows), min(b, n2 - columns)) for a in range(0, n1, rows) for b in range(0, n2, columns)],
        np.int32,
    )
    if symmetric:
        corners = corners[corners[:, 0] <= corners[:, 1]]

    def cut(side, start, size):
        return jax.tree.map(lambda leaf: lax.dynamic_slice_in_dim(leaf, start, size), side)

    @jax.checkpoint  # so that differentiation, too, keeps no tile
    def compute(one, other, diagonal, a, b):
        piece = of_tile(cut(one, a, rows), cut(other, b, columns))
        if diagonal is None:
            return piece
        same = (a + jnp.arange(rows))[:, None] == b + jnp.arange(columns)
        return jnp.where(same, lax.dynamic_slice_in_dim(diagonal, a, rows, axis=1)[:, :, None], piece)

    def place(matrix, piece, a, b):
        if symmetric:
            matrix = lax.dynamic_update_slice(matrix, piece.T, (b, a))
        return lax.dynamic_update_slice(matrix, piece, (a, b))

    def step(matrices, corner):
        # The barrier keeps both kernels of a tile in one pass over its products.
        pieces = lax.optimization_barrier(compute(one, other, diagonal, *corner))
        return tuple(place(*both, *corner) for both in zip(matrices, pieces, strict=True)), None

    empty = jnp.zeros((n1, n2), jax.tree.leaves(one)[0].dtype)
    return lax.scan(step, (empty, empty), corners)[0]
