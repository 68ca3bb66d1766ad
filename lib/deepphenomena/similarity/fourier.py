"""Canonical correlations of convolutional layers, frequency by frequency.

If the images of a data set come with all their shifts, the covariance of a layer with circular padding is block
diagonal in the Fourier basis, with one block of channels × channels for each frequency. CCA then needs no matrix larger
than a block.
"""

from typing import NamedTuple

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from jaxtyping import Float

from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError
from deepphenomena.similarity.moments import check_activations


class FourierCorrelations(NamedTuple):
    """Canonical correlations of two convolutional layers at each frequency.

    Attributes:
        similarity: the mean of ρ over all frequencies and the directions found at each.
        correlations: ρ at each frequency, in descending order, with zeros after those found.
        by_frequency: the mean of ρ at each frequency; 0 without directions.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (50, 4, 4, 2))
        >>> similarity.dft_cca(x, x).by_frequency.shape
        (4, 4)
    """

    similarity: Float[Array, ""]
    correlations: Float[Array, "height width most"]
    by_frequency: Float[Array, "height width"]


def dft_cca(
    x: Float[Array, "samples height width p"], y: Float[Array, "samples height width q"]
) -> FourierCorrelations:
    """Return CCA of two convolutional layers at every frequency, after a Fourier transform of each channel.

    The mean over frequencies and directions is the CCA similarity of the flattened layers if the data contain every
    shift of each image and the layers wrap around. Give at least ten samples for each channel.

    Args:
        x, y: activations of the same images, with the same height and width; resize the larger layer first.

    Source: Raghu et al. (2017), "SVCCA", section 2.2 and Theorem 1.

    Raises:
        InputError: unless both are real, four-dimensional and of one size, with two samples or more.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (50, 4, 4, 2))
        >>> shifted = jnp.roll(x, 1, axis=2) @ jnp.array([[1.0, 2.0], [0.0, 1.0]])
        >>> round(float(similarity.dft_cca(x, shifted).similarity), 3)  # shifts and mixtures of channels do not matter
        1.0
    """
    x, y = numbers.array("activations", x), numbers.array("activations", y)
    if x.ndim != 4 or y.ndim != 4 or x.shape[:3] != y.shape[:3] or 0 in x.shape + y.shape:
        raise InputError(
            f"similarity of {x.shape} with {y.shape}: layers are (samples, height, width, channels) with the same "
            "samples, height and width; resize the larger one."
        )
    flat = check_activations(x.reshape(len(x), -1), y.reshape(len(y), -1))
    return _dft_cca(flat[0].reshape(x.shape), flat[1].reshape(y.shape))


@jax.jit
def _dft_cca(x, y):
    height, width = x.shape[1:3]
    kept, weight = _half(height, width)
    bases = [_transformed(a, kept) for a in (x, y)]
    most = min(x.shape[0], x.shape[3], y.shape[3])

    def at_frequency(pair):
        (v, found_v), (w, found_w) = (_basis(a, height * width) for a in pair)
        found = jnp.minimum(found_v, found_w)
        rho = jnp.linalg.svd(jnp.matmul(jnp.conj(v.T), w, precision="highest"), compute_uv=False)[:most]
        return jnp.where(jnp.arange(most) < found, jnp.clip(rho, 0, 1), 0), found

    rho, found = lax.map(at_frequency, tuple(bases))
    weights = jnp.asarray(weight, rho.dtype)
    similarity = (weights * rho.sum(1)).sum() / jnp.maximum((weights * found).sum(), 1)
    everywhere = np.zeros((height, width), int)
    for place, (u, v) in enumerate(kept):
        everywhere[u, v] = everywhere[-u % height, -v % width] = place
    by_frequency = rho.sum(1) / jnp.maximum(found, 1)
    return FourierCorrelations(similarity, rho[everywhere], by_frequency[everywhere])


def _half(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one frequency of each conjugate pair, and how many it stands for: activations are real."""
    u, v = np.indices((height, width)).reshape(2, -1)
    index, opposite = u * width + v, (-u % height) * width + -v % width
    kept = index <= opposite
    return np.stack([u, v], 1)[kept], np.where(index == opposite, 1, 2)[kept]


def _transformed(a, kept):
    """Return (frequencies, samples, channels), centered and of unit scale."""
    difference = a - a[0]
    difference = difference - difference.mean(0)
    largest = jnp.abs(difference).max()
    waves = jnp.fft.fft2(difference / jnp.where(largest > 0, largest, 1), axes=(1, 2))
    return jnp.moveaxis(waves[:, kept[:, 0], kept[:, 1]], 1, 0)


def _basis(a, pixels: int):
    """Return orthonormal columns that span those of a complex matrix, zero after the rank, and the rank."""
    lengths = jnp.linalg.norm(a, axis=0)
    # A channel without any of this frequency is only rounding: of order ε √(samples · pixels), for entries near 1.
    silent = lengths <= 8 * jnp.finfo(lengths.dtype).eps * (len(a) * pixels) ** 0.5
    q, r = jnp.linalg.qr(a / jnp.where(silent, jnp.inf, lengths))
    vectors, size, _ = jnp.linalg.svd(r)
    used = size > max(a.shape) * jnp.finfo(size.dtype).eps * size[0]
    return jnp.matmul(q, vectors[:, : len(size)], precision="highest") * used, used.sum()
