"""Kernel matrices of convolutional networks with infinitely many channels."""

from typing import NamedTuple

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import Float, Real

from deepphenomena.infinite_width import _fields
from deepphenomena.infinite_width._inputs import checked_inputs, in_float64
from deepphenomena.infinite_width._tiles import (
    CLOSED_FORMS,
    Prior,
    averaged,
    climb,
    from_tiles,
    through,
    through_layers,
)
from deepphenomena.infinite_width.fully_connected import KernelMatrices, check_kernel
from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError, unknown

READOUTS = ("flatten", "pool")
PADDINGS = ("SAME", "CIRCULAR")


def convolutional_kernel_matrix(
    x1: Real[Array, "n1 height width channels"],
    x2: Real[Array, "n2 height width channels"] | None = None,
    *,
    depth: int,
    readout: str = "flatten",
    kernel_size: int = 3,
    padding: str = "CIRCULAR",
    activation: str = "relu",
    weight_variance: float | Float[Array, ""] = 2.0,
    bias_variance: float | Float[Array, ""] = 0.0,
    tile: int | None = None,
) -> KernelMatrices:
    """Compute the NNGP and NTK of `depth` convolutions, each followed by a nonlinearity, and a linear readout.

    A convolution of stride 1 averages a covariance over its window: `K(p, p') = σ_w² mean_δ N(p + δ, p' + δ) + σ_b²`.
    The readout of all pixels ("flatten") needs only equal pixels p = p' of two images. The readout of their mean
    ("pool") needs every pair of pixels, so it costs more by a factor of the number of pixels. Tiles of image pairs
    (single pairs for "pool") pass through all layers before they are written, so memory does not depend on n. If x2 is
    left out, only one side of the diagonal is computed. Small matrices are computed in float64, as in `kernel_matrix`.

    Args:
        x1, x2: images; x2 defaults to x1.
        depth: number of convolutions, at least 0.
        readout: "flatten" or "pool" (global average pooling).
        kernel_size: taps of the kernel in each direction, an odd number not above the image's sizes.
        padding: "CIRCULAR", or "SAME" with zeros.
        activation, weight_variance, bias_variance: as in `kernel_matrix`; the fan-in counts all taps and channels.
        tile: images on each side of a tile, for "flatten". The default depends on the platform. The result does not
            depend on it.

    Raises:
        InputError: for images of different shapes, unknown names, an even or too large kernel, a negative depth or
            variance, a tile below 1 or no images.

    Source: Novak et al. 2019, "Bayesian deep convolutional networks with many channels are Gaussian processes",
    equations 6 and 14-16; Arora et al. 2019, "On exact computation with an infinitely wide neural net", Section 4.

    Example:
        >>> images = jnp.ones((2, 8, 8, 3))
        >>> infinite_width.convolutional_kernel_matrix(images, depth=2).ntk.shape
        (2, 2)
    """
    depth, tile = check_kernel(depth, activation, tile)
    kernel_size = numbers.whole("kernel_size", kernel_size)
    prior, phi = Prior.checked(weight_variance, bias_variance), CLOSED_FORMS[activation]
    x1, x2 = checked_inputs(x1, x2)
    _check(x1, x2, readout, kernel_size, padding)
    window = _Window(kernel_size, padding)

    def matrices(x1, x2, *variances):
        prior = Prior(*variances)
        one, other = (None if x is None else _images(phi, prior, depth, x, window) for x in (x1, x2))
        if readout == "pool":
            # One pair at a time: the pairs of its pixels fill a cache by themselves.
            of_tile, diagonal, sizes = _pooled(phi, prior, window), None, {"tile": 1, "cpu": 1, "elsewhere": 1}
        else:
            diagonal = jnp.stack(prior.affine(*(field.mean((1, 2)) for field in one.last))) if x2 is None else None
            of_tile, sizes = _flattened(phi, prior, window), {"tile": tile, "cpu": 32, "elsewhere": 128}
        return from_tiles(of_tile, one, other, diagonal=diagonal, **sizes)

    pixels = x1.shape[1] * x1.shape[2]
    passes = (depth + 1) * kernel_size**2 * (pixels**2 if readout == "pool" else pixels)
    return KernelMatrices(*in_float64(matrices, x1, x2, *prior, passes=passes))


class _Images(NamedTuple):
    """Images with the per-image quantities that the layers need. Samples are the leading axis of every array."""

    x: Array
    sides: tuple
    last: tuple


class _Window(NamedTuple):
    """The window over which a convolution averages."""

    size: int
    padding: str

    def mean(self, field, *axes: int):
        """Average over the window along the given axes together."""
        return _fields.window(field, axes, self.size, 1, self.padding)


def _images(phi, prior, depth, x, window) -> _Images:
    squares = jnp.sum(x * x, axis=-1) / x.shape[-1]
    return _Images(x, *climb(phi, prior, depth, squares, lambda field: window.mean(window.mean(field, 1), 2)))


def _flattened(phi, prior, window):
    """Return the function of a tile (images, images). Pixels lead inside, so that the window moves over whole rows of
    memory.
    """

    def layer(pair, sides):
        pair = averaged(pair, lambda field: window.mean(window.mean(field, 0), 1))
        one, other = sides
        return through(phi, prior.affine(*pair), jax.tree.map(lambda side: side[..., None], one), other)

    def of_tile(one, other):
        first, second = (jnp.moveaxis(images.x, 0, 2) for images in (one, other))
        products = jnp.einsum("hwic,hwjc->hwij", first, second) / first.shape[-1]
        # (n, depth, height, width) -> (depth, height, width, n), and the second with an axis for the first's images
        sides = jax.tree.map(lambda side: jnp.moveaxis(side, 0, -1), (one.sides, other.sides))
        sides = lax.optimization_barrier((sides[0], jax.tree.map(lambda side: side[..., None, :], sides[1])))
        pair = through_layers(layer, products, sides)
        return jnp.stack(prior.affine(*averaged(pair, lambda field: field.mean((0, 1)))))

    return of_tile


def _pooled(phi, prior, window):
    """Return the function of single image pairs. Their pairs of pixels are (row, row', column, column')."""

    def layer(pair, sides):
        pair = averaged(pair, lambda field: window.mean(window.mean(field, 0, 1), 2, 3))
        one = jax.tree.map(lambda side: side[:, None, :, None], sides[0])
        other = jax.tree.map(lambda side: side[None, :, None, :], sides[1])
        return through(phi, prior.affine(*pair), one, other)

    def of_tile(one, other):
        one, other = (jax.tree.map(lambda leaf: leaf[0], images) for images in (one, other))
        products = jnp.einsum("hwc,gvc->hgwv", one.x, other.x) / one.x.shape[-1]
        pair = through_layers(layer, products, (one.sides, other.sides))
        return jnp.stack(prior.affine(*averaged(pair, jnp.mean)))[:, None, None]

    return of_tile


def _check(x1, x2, readout, kernel_size, padding) -> None:
    if x1.ndim != 4 or (x2 is not None and (x2.ndim != 4 or x2.shape[1:] != x1.shape[1:])):
        shapes = f"{x1.shape}" if x2 is None else f"{x1.shape} and {x2.shape}"
        raise InputError(f"images {shapes} of a kernel matrix: they must be (samples, height, width, channels), alike.")
    if readout not in READOUTS:
        raise unknown("readout", readout, READOUTS)
    if padding not in PADDINGS:
        raise unknown("padding", padding, PADDINGS)
    if kernel_size < 1 or kernel_size % 2 == 0 or kernel_size > min(x1.shape[1:3]):
        raise InputError(
            f"kernel_size {kernel_size} on images {x1.shape[1:3]}: it must be odd and not larger than the image."
        )
