"""Gabor functions: filters drawn from them, and how well a given filter is one.

    g(x, y) = exp(-(x'² + γ² y'²) / (2σ²)) cos(2π x' / λ + ψ),   (x', y') = (x, y) turned by θ

with lengths in pixels. Source: Daugman 1985; Raghu et al. 2019, "Transfusion", Section 5, for both uses.
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Key

from deepphenomena.runtime import sampling
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError

SHORTEST = 2.5  # wavelength in pixels; 2 is the finest that a grid of pixels can hold
# σ of an envelope as a share of the wavelength: about one oscillation inside it, as in trained nets.
WIDTHS = (0.3, 0.6)


def gabor(x, y, *, angle, wavelength, phase, width, aspect):
    """The function above at (x, y): θ = angle, λ = wavelength, ψ = phase, σ = width, γ = aspect. Arrays broadcast."""
    along = x * jnp.cos(angle) + y * jnp.sin(angle)
    across = y * jnp.cos(angle) - x * jnp.sin(angle)
    envelope = jnp.exp(-(along**2 + (aspect * across) ** 2) / (2 * width**2))
    return envelope * jnp.cos(2 * jnp.pi * along / wavelength + phase)


def filters(shape: tuple[int, int], number: int, *, key: Key[jax.Array, ""]) -> Float[Array, "rows columns number"]:
    """Random Gabor filters, each of mean 0 and standard deviation 1.

    θ and ψ are uniform; λ from 2.5 pixels to one and a half times the side; σ from 0.3 to 0.6 λ; γ from a half to 1.
    InputError for a side below 3 pixels, which holds no oscillation.
    """
    _check(shape)
    uniform = sampling.uniform(key, (5, number))
    longest = 1.5 * max(shape)
    wavelength = SHORTEST + (longest - SHORTEST) * uniform[1]
    y, x = _grid(shape)
    drawn = gabor(
        x[..., None],
        y[..., None],
        angle=jnp.pi * uniform[0],
        wavelength=wavelength,
        phase=2 * jnp.pi * uniform[2],
        width=wavelength * (WIDTHS[0] + (WIDTHS[1] - WIDTHS[0]) * uniform[3]),
        aspect=0.5 + 0.5 * uniform[4],
    )
    drawn = drawn - drawn.mean((0, 1))
    return drawn / drawn.std((0, 1))


def fit(kernel: Float[Array, "rows columns channels filters"]) -> Float[Array, " filters"]:
    """R² of the best Gabor function for each filter: the share of its variance over pixels that the function explains.

    The means of filter and function over pixels are taken out first, so that a uniform patch is no success. Position,
    θ, λ, σ and γ are the filter's, chosen from a fine grid; amplitude and ψ are each channel's own, by least squares.
    Noise fits too, the better the smaller the filter: compare with fresh filters of the same shape. A constant filter
    has R² = 0.

    Raises:
        InputError: for anything but a kernel of four axes with sides of 3 pixels or more.
    """
    kernel = jnp.asarray(kernel)
    if kernel.ndim != 4:
        raise InputError(f"Gabor fit of an array {kernel.shape}: give (rows, columns, channels, filters)")
    _check(kernel.shape[:2])
    return _fit(kernel, jnp.asarray(_planes(kernel.shape[:2])))


@jax.jit
def _fit(kernel, planes):
    centred = kernel - kernel.mean((0, 1))
    flat = centred.reshape(-1, *kernel.shape[2:])
    explained = jnp.max(jnp.sum(jnp.einsum("apk,pcf->akcf", planes, flat, precision="highest") ** 2, (1, 2)), 0)
    total = jnp.sum(flat**2, (0, 1))
    return jnp.where(total > 0, jnp.minimum(explained / jnp.where(total > 0, total, 1), 1), 0)


@functools.cache
def _planes(shape: tuple[int, int]) -> Float[np.ndarray, "functions pixels 2"]:
    """An orthonormal basis of what even and odd phase span, means taken out, for every function of the grid."""
    longest = 1.5 * max(shape)
    wavelengths = np.geomspace(SHORTEST, longest, 8)
    shares, aspects, angles = (0.3, 0.4, 0.5, 0.6), (0.5, 0.75, 1.0), np.arange(12) * math.pi / 12
    offsets = [np.linspace(-side / 4, side / 4, 5) for side in shape]
    grid = np.array(list(itertools.product(angles, wavelengths, shares, aspects, *offsets)), np.float32).T
    angle, wavelength, share, aspect, row, column = grid[:, :, None]
    y, x = (np.asarray(axis).reshape(-1) for axis in _grid(shape))
    even, odd = (
        np.asarray(
            gabor(
                x - column, y - row, angle=angle, wavelength=wavelength, phase=phase, width=share * wavelength,
                aspect=aspect,
            ),
            np.float64,
        )
        for phase in (0.0, -math.pi / 2)
    )  # fmt: skip
    even, odd = (wave - wave.mean(1, keepdims=True) for wave in (even, odd))
    even = even / np.linalg.norm(even, axis=1, keepdims=True)
    odd = odd - np.sum(odd * even, 1, keepdims=True) * even
    odd = odd / np.linalg.norm(odd, axis=1, keepdims=True)
    return np.stack([even, odd], -1).astype(np.float32)


def _grid(shape):
    rows, columns = shape
    return jnp.meshgrid(jnp.arange(rows) - (rows - 1) / 2, jnp.arange(columns) - (columns - 1) / 2, indexing="ij")


def _check(shape):
    if min(shape) < 3:
        raise InputError(f"Gabor functions on {shape[0]} x {shape[1]} pixels: a side of 3 or more is needed")
