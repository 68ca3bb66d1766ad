"""Kernel matrices of fully connected networks on a GPU: one Pallas kernel, a tile from inputs to result in registers.

XLA would write the n × n products, then both kernels after every few layers. Here a program multiplies two groups of
inputs and takes their tile through all layers before anything is written.
"""

import math
from functools import partial

import jax
from jax import lax
from jax import numpy as jnp
from jax.experimental import pallas as pl

from deepphenomena.infinite_width._tiles import Prior, through

TILE = 64  # inputs on each side of a tile: both kernels of it are 8,192 numbers, some 64 registers for each thread
FEATURES = 32  # features multiplied at a time


def matrices_on_gpu(one, other, *, phi, prior: Prior, interpret: bool = False):
    """NNGP and NTK, (n₁, n₂) each, of inputs whose sides through at least one layer are known.

    Args:
        one, other: inputs `x` (n, features) with their `sides` (n, depth), as `kernel_matrix` makes them; other is
            None for a symmetric matrix, of which the tiles below the diagonal are mirrored.
        phi, prior: the network.
        interpret: run the kernel's operations one by one on any platform, for tests.
    """
    symmetric = other is None
    x1, sides1 = _padded(one)
    x2, sides2 = (x1, sides1) if symmetric else _padded(other)
    shape = jax.ShapeDtypeStruct((x1.shape[0], x2.shape[0]), x1.dtype)
    variances = jnp.stack([jnp.asarray(variance, x1.dtype) for variance in prior])
    of_features, depth = one.x.shape[1], sides1[0].shape[0]

    def rows(array):
        return pl.BlockSpec((TILE, array.shape[1]), lambda i, j: (i, 0))

    def columns(array):
        return pl.BlockSpec((TILE, array.shape[1]), lambda i, j: (j, 0))

    sides = [*(pl.BlockSpec((depth, TILE), lambda i, j: (0, i)) for _ in sides1)]
    sides += [pl.BlockSpec((depth, TILE), lambda i, j: (0, j)) for _ in sides2]
    results = pl.pallas_call(
        partial(_tile, phi=phi, count=len(sides1), features=of_features, symmetric=symmetric),
        out_shape=(shape, shape),
        grid=tuple(n // TILE for n in shape.shape),
        in_specs=[pl.BlockSpec(variances.shape, lambda i, j: (0,)), rows(x1), columns(x2), *sides],
        out_specs=[pl.BlockSpec((TILE, TILE), lambda i, j: (i, j))] * 2,
        interpret=interpret,
    )(variances, x1, x2, *sides1, *sides2)
    n1, n2 = one.x.shape[0], (one if symmetric else other).x.shape[0]
    if symmetric:
        results = [jnp.triu(result) + jnp.triu(result, 1).T for result in results]
    return tuple(result[:n1, :n2] for result in results)


def _tile(variances, x1, x2, *references, phi, count: int, features: int, symmetric: bool):
    """One program: tile (i, j) of both matrices."""
    *sides, nngp, ntk = references
    sides1, sides2 = sides[:count], sides[count:]

    def compute():
        prior = Prior(variances[0], variances[1])

        def multiply(k, products):
            some = pl.ds(k * FEATURES, FEATURES)
            return products + jnp.dot(x1[:, some], x2[:, some].T, precision="highest")

        products = lax.fori_loop(0, x1.shape[1] // FEATURES, multiply, jnp.zeros((TILE, TILE), nngp.dtype))

        def layer(depth, pair):
            one = tuple(side[depth, :][:, None] for side in sides1)
            other = tuple(side[depth, :][None, :] for side in sides2)
            return through(phi, prior.affine(*pair), one, other)

        pair = lax.fori_loop(0, sides1[0].shape[0], layer, (products / features, jnp.zeros_like(products)))
        nngp[...], ntk[...] = prior.affine(*pair)

    if symmetric:
        pl.when(pl.program_id(0) <= pl.program_id(1))(compute)
    else:
        compute()


def _padded(inputs):
    """Inputs and sides in whole tiles; the sides of what is added are those of the last input, so all stays finite."""
    samples, features = (_missing(size, whole) for size, whole in zip(inputs.x.shape, (TILE, FEATURES), strict=True))
    x = jnp.pad(inputs.x, ((0, samples), (0, features)))
    return x, [jnp.pad(side.T, ((0, 0), (0, samples)), mode="edge") for side in jax.tree.leaves(inputs.sides)]


def _missing(size: int, whole: int) -> int:
    return math.ceil(size / whole) * whole - size
