"""Winograd's minimal filtering for 3 × 3 kernels of stride 1: a quarter of the multiplications.

Four output pixels under three taps are the middle of a product of polynomials; evaluated at the six points 0, ±√½, ±√2
and ∞ they cost six multiplications instead of twelve (Lavin & Gray 2016, "Fast algorithms for convolutional neural
networks", Section 4). In two dimensions that is 36 instead of 144 for a tile of 4 × 4 pixels, and all channels and
tiles at one pair of points make one matrix product.

Rounding: these points halve the error of the customary 0, ±1, ±2, ∞ and cut the largest fourfold; what is left is about
ten times that of the direct sum.
"""

import numpy as np
from jax import lax
from jax import numpy as jnp

_VALUES = (0.0, 0.5**0.5, -(0.5**0.5), 2.0**0.5, -(2.0**0.5))  # and infinity
POINTS = len(_VALUES) + 1
TAPS = 3
PIXELS = POINTS + 1 - TAPS


def _evaluate(terms: int) -> np.ndarray:
    """The matrix that evaluates a polynomial of so many terms at the points; at infinity, its last coefficient."""
    return np.vstack([np.vander(_VALUES, terms, increasing=True), np.eye(terms)[-1:]])


_OF_PIXELS = _evaluate(PIXELS)
_OF_TAPS = np.kron(_evaluate(TAPS), _evaluate(TAPS))  # both axes at once
_OF_IMAGE = np.linalg.inv(_evaluate(POINTS)).T


def tiles_of(output: int) -> int:
    """How many tiles cover `output` pixels along one axis."""
    return -(-output // PIXELS)


def _apply(matrix: np.ndarray, pieces) -> list:
    """The matrix times a vector of arrays; written out, because zeros are many and the compiler fuses the rest."""
    return [
        sum(float(entry) * piece for entry, piece in zip(row, pieces, strict=True) if abs(entry) > 1e-12)
        for row in matrix
    ]


def _transform_image(x, low, tiles):
    """(n, height, width, c) -> (36, n·tiles, c): every tile with its margin, evaluated at the points."""
    edges = [
        (before, count * PIXELS + TAPS - 1 - size - before, 0)
        for before, count, size in zip(low, tiles, x.shape[1:3], strict=True)
    ]
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *edges, (0, 0, 0)))
    tall, wide = (count * PIXELS for count in tiles)
    rows = jnp.stack(_apply(_OF_IMAGE, [x[:, i : i + tall : PIXELS] for i in range(POINTS)]))
    both = _apply(_OF_IMAGE, [rows[:, :, :, j : j + wide : PIXELS] for j in range(POINTS)])
    return jnp.stack(both, axis=1).reshape(POINTS * POINTS, -1, x.shape[-1])


def _to_pixels(products, n, output, tiles):
    """(36, n·tiles, d) -> (n, height', width', d): interpolate the products back to pixels."""
    products = products.reshape(POINTS, POINTS, n, *tiles, -1)
    rows = _apply(_OF_PIXELS.T, products)
    y = jnp.stack([jnp.stack(_apply(_OF_PIXELS.T, row), axis=3) for row in rows], axis=2)
    return y.reshape(n, tiles[0] * PIXELS, tiles[1] * PIXELS, -1)[:, : output[0], : output[1]]


def _from_pixels(y, tiles):
    """(n, height', width', d) -> (36, n·tiles, d): the transpose of `_to_pixels`."""
    n, height, width, features = y.shape
    edges = ((0, tiles[0] * PIXELS - height, 0), (0, tiles[1] * PIXELS - width, 0))
    y = lax.pad(y, jnp.zeros((), y.dtype), ((0, 0, 0), *edges, (0, 0, 0)))
    y = y.reshape(n, tiles[0], PIXELS, tiles[1], PIXELS, features)
    rows = jnp.stack(_apply(_OF_PIXELS, [y[:, :, i] for i in range(PIXELS)]))
    both = _apply(_OF_PIXELS, [rows[:, :, :, :, j] for j in range(PIXELS)])
    return jnp.stack(both, axis=1).reshape(POINTS * POINTS, -1, features)


def forward(x, w, *, low: tuple[int, int], output: tuple[int, int]):
    """x * w with `low` zeros before the image and as many after it as `output` needs."""
    tiles = tuple(map(tiles_of, output))
    weights = (jnp.asarray(_OF_TAPS, w.dtype) @ w.reshape(TAPS * TAPS, -1)).reshape(-1, *w.shape[2:])
    products = jnp.einsum("ptc,pcd->ptd", _transform_image(x, low, tiles), weights)
    return _to_pixels(products, x.shape[0], output, tiles)


def outer(x, y, *, low: tuple[int, int]):
    """The transpose of `forward` in w."""
    tiles = tuple(map(tiles_of, y.shape[1:3]))
    # The barrier has the transpose made once: XLA:CPU's product along the same axis of both is half as fast.
    images = lax.optimization_barrier(_transform_image(x, low, tiles).swapaxes(1, 2))
    products = images @ _from_pixels(y, tiles)
    w = jnp.asarray(_OF_TAPS.T, y.dtype) @ products.reshape(POINTS * POINTS, -1)
    return w.reshape(TAPS, TAPS, *products.shape[1:])
