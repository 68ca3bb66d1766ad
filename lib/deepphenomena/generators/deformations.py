"""Infinitely many images from some thousand: each is a random affine and elastic deformation of a real image.

Source: Loosli, Canu and Bottou 2007, "Training invariant support vector machines using selective sampling" (infinite
MNIST); Simard, Steinkraus and Platt 2003 for the elastic fields.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Key

from deepphenomena.generators.samples import Samples, keys_of
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError

_CONTROLS = 4  # control points of the elastic field along each side


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["corners", "labels", "affine", "shift", "elastic"],
    meta_fields=["shape"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Deformations:
    """Sample i: a base image chosen uniformly, deformed by a map p ↦ A p + t + e(p) of pixel positions.

    Positions are relative to the center. A is the identity plus a matrix uniform in ± `affine`. t is uniform in
    ± `shift`, and e is a smooth Gaussian random field of standard deviation `elastic`, both in pixels. Values between
    pixels are interpolated linearly; values outside the image are 0. Returned by `deformations`.

    Example:
        >>> digits = datasets.load("mnist", n=20)
        >>> endless = generators.deformations(digits.images, digits.labels, pixels=14)
        >>> one, other = (endless(jnp.arange(3), key=jax.random.key(seed)).images for seed in (0, 0))
        >>> bool(jnp.all(one == other))  # a number and a key fix a sample
        True
    """

    corners: Float[
        Array, "positions corners_channels"
    ]  # each pixel of each base image with its right and lower neighbors
    labels: Int[Array, " bases"]
    affine: Float[Array, ""]
    shift: Float[Array, ""]
    elastic: Float[Array, ""]
    shape: tuple[int, int, int]
    size = None

    @jax.jit
    def __call__(self, index: Int[Array, " n"], *, key: Key[jax.Array, ""]) -> Samples:
        base, rows, columns = jax.vmap(self._one)(keys_of(index, key))
        return Samples(self._interpolated(base, rows, columns), self.labels[base])

    def _one(self, key):
        """Return (base image, row and column in it of every pixel) of one sample."""
        height, width, _ = self.shape
        # One draw for everything compiles several times faster than one key per part.
        uniform = jax.random.uniform(key, (7 + 2 * _CONTROLS**2,), minval=np.nextafter(-1, 0, dtype=np.float32))
        choose, matrix, offset, bend = jnp.split(uniform, [1, 5, 7])
        base = jnp.int32((choose[0] + 1) / 2 * len(self.labels)).clip(0, len(self.labels) - 1)
        field = math.sqrt(2) * jax.lax.erf_inv(bend).reshape(2, _CONTROLS, _CONTROLS)  # standard normal
        field = self.elastic * jnp.einsum("ia,cab,jb->cij", smoothing(height), field, smoothing(width))
        matrix, offset = jnp.eye(2) + self.affine * matrix.reshape(2, 2), self.shift * offset
        centre = jnp.array([(height - 1) / 2, (width - 1) / 2])
        y, x = jnp.arange(height)[:, None] - centre[0], jnp.arange(width)[None] - centre[1]
        rows = matrix[0, 0] * y + matrix[0, 1] * x + offset[0] + field[0] + centre[0]
        columns = matrix[1, 0] * y + matrix[1, 1] * x + offset[1] + field[1] + centre[1]
        return base, rows, columns

    def _interpolated(self, base, rows, columns):
        height, width, channels = self.shape
        # The table has a border of zeros, so position -1 is its row 0. The four corners of a pixel are adjacent in it:
        # one gather instead of four, half the time on a CPU.
        rows, columns = jnp.clip(rows + 1, 0, height + 1), jnp.clip(columns + 1, 0, width + 1)
        above, left = rows.astype(jnp.int32), columns.astype(jnp.int32)
        position = (base[:, None, None] * (height + 2) + above) * (width + 2) + left
        four = self.corners.at[position].get(mode="promise_in_bounds").reshape(*position.shape, 4, channels)
        down, right = (rows - above)[..., None], (columns - left)[..., None]
        upper = four[..., 0, :] * (1 - right) + four[..., 1, :] * right
        lower = four[..., 2, :] * (1 - right) + four[..., 3, :] * right
        return upper * (1 - down) + lower * down


def smoothing(side: int) -> np.ndarray:
    """Return weights (side, controls) that interpolate normal values smoothly over `side` pixels, with variance 1."""
    controls = np.linspace(0, side - 1, _CONTROLS)
    spacing = (side - 1) / (_CONTROLS - 1)
    weights = np.exp(-0.5 * ((np.arange(side)[:, None] - controls) / (0.6 * spacing)) ** 2)
    return (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(np.float32)


def deformations(
    images: Float[np.ndarray, "bases height width channels"],
    labels: Int[np.ndarray, " bases"],
    *,
    pixels: int | None = None,
    affine: float = 0.12,
    shift: float = 0.1,
    elastic: float = 0.04,
) -> Deformations:
    """Return the distribution of random deformations of these images, each chosen with the same probability.

    Args:
        images: base images, 0 to 1.
        labels: their labels, from 0.
        pixels: the side to which images are shrunk first; None keeps their size.
        affine: the largest change of an entry of the 2×2 matrix; 0.12 is a rotation or shear of 7°, or 12% in size.
        shift: the largest shift, as a fraction of the image's side.
        elastic: standard deviation of the elastic displacement, as a fraction of the side.

    Raises:
        InputError: no images, labels that do not match, or strengths below 0.

    Example:
        >>> digits = datasets.load("mnist", n=20)
        >>> endless = generators.deformations(digits.images, digits.labels, pixels=14)
        >>> samples = endless(jnp.arange(1000, 1005), key=jax.random.key(0))  # samples 1000 to 1004 of this key
        >>> samples.images.shape, samples.labels.shape
        ((5, 14, 14, 1), (5,))
    """
    images, labels = np.asarray(images, np.float32), np.asarray(labels, np.int32)
    if images.ndim != 4 or not len(images) or labels.shape != images.shape[:1]:
        raise InputError(
            f"deformations of images {images.shape} with labels {labels.shape}: give (n, height, width, channels) and "
            "(n,) with n of 1 or more"
        )
    if min(affine, shift, elastic) < 0:
        raise InputError(f"affine {affine:g}, shift {shift:g} and elastic {elastic:g}: strengths are 0 or more")
    images = shrunk(images, pixels) if pixels is not None else images
    height, width, channels = images.shape[1:]
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2), (0, 0)))
    down, right = slice(1, None), slice(1, None)
    here, there = slice(None, -1), slice(None, -1)
    four = [padded[:, here, there], padded[:, here, right], padded[:, down, there], padded[:, down, right]]
    return Deformations(
        corners=jnp.asarray(np.stack(four, 3).reshape(-1, 4 * channels)),
        labels=jnp.asarray(labels),
        affine=jnp.float32(affine),
        shift=jnp.float32(shift * height),
        elastic=jnp.float32(elastic * height),
        shape=(height, width, channels),
    )


def shrunk(images: Float[np.ndarray, "n height width channels"], pixels: int) -> np.ndarray:
    """Resize images to `pixels` rows and columns, by weighted means if that makes them smaller.

    Example:
        >>> generators.shrunk(np.ones((2, 28, 28, 1), np.float32), 14).shape
        (2, 14, 14, 1)
    """
    n, _, _, channels = images.shape
    return np.asarray(jax.image.resize(images, (n, pixels, pixels, channels), "linear"))
