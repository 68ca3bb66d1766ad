"""Covariances of pixels between two inputs, and what a convolution or a pooling makes of them.

A field holds a number for each pair of pixels that a network needs, then the samples of both sides:

    FLAT       (n1, n2)                              inputs without pixels
    DIAGONAL   (height, width, n1, n2)               equal pixels of both inputs
    PAIRS      (height, height', width, width', n1, n2)   every pixel of one with every pixel of the other

The same holds for an input with itself, with one axis of samples in the place of two. A scalar is a field that is the
same everywhere, as the tangent kernel at the inputs is: it costs nothing to average.
"""

from jax import lax
from jax import numpy as jnp

from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError

FLAT, DIAGONAL, PAIRS = "flat", "diagonal", "pairs"
PADDINGS = ("SAME", "VALID", "CIRCULAR")

# The axes of rows and those of columns that a window moves along together.
_AXES = {DIAGONAL: ((0,), (1,)), PAIRS: ((0, 1), (2, 3))}


def products(one: Array, other: Array, kind: str) -> Array:
    """Return the mean products of channels: samples lead in the inputs, and stand last in the field."""
    form = {FLAT: "ac,bc->ab", DIAGONAL: "ahwc,bhwc->hwab", PAIRS: "ahwc,bgvc->hgwvab"}[kind]
    return jnp.einsum(form, one, other) / one.shape[-1]


def squares(x: Array, kind: str) -> Array:
    """Return the mean products of each input with itself."""
    form = {FLAT: "ac,ac->a", DIAGONAL: "ahwc,ahwc->hwa", PAIRS: "ahwc,agvc->hgwva"}[kind]
    return jnp.einsum(form, x, x) / x.shape[-1]


def diagonal(field: Array, kind: str) -> Array:
    """Return the entries of equal pixels."""
    return jnp.einsum("hhww...->hw...", field) if kind == PAIRS and field.ndim else field


def mean(field: Array, axes: tuple[int, ...]) -> Array:
    """Average over axes of pixels."""
    return field.mean(axes) if field.ndim else field


def of_pair(one: Array, other: Array, kind: str) -> tuple[Array, Array]:
    """Return numbers per pixel and sample, (..., pixels, n), so that they broadcast against a field of two inputs."""
    if kind == PAIRS:
        return one[..., :, None, :, None, :, None], other[..., None, :, None, :, None, :]
    return one[..., :, None], other[..., None, :]


def of_itself(side: Array, kind: str) -> tuple[Array, Array]:
    """The same for the field of each input with itself."""
    return (side[..., :, None, :, None, :], side[..., None, :, None, :, :]) if kind == PAIRS else (side, side)


def windows(field: Array, kind: str, size: int, stride: int, padding: str, *, apart: bool = False) -> Array:
    """Average over windows of pixels that move along both inputs together, or `apart`, along each by itself."""
    if not field.ndim:
        return field
    for axes in _AXES[kind]:
        for together in [(axis,) for axis in axes] if apart else [axes]:
            field = window(field, together, size, stride, padding)
    return field


def window(field: Array, axes: tuple[int, ...], taps: int, stride: int, padding: str) -> Array:
    """Average over a window that moves along all axes together: for two, the mean of field[p + δ, p' + δ] over δ."""
    pixels = field.shape[axes[0]]
    before, after = edges(pixels, taps, stride, padding)
    frame = [(before, after) if axis in axes else (0, 0) for axis in range(field.ndim)]
    # The barriers make field and frame lie in memory: fused into its readers, each would be computed for every tap.
    wide = jnp.pad(lax.optimization_barrier(field), frame, mode="wrap" if padding == "CIRCULAR" else "constant")
    wide = lax.optimization_barrier(wide)
    count = (pixels + before + after - taps) // stride + 1

    def shifted(tap: int) -> Array:
        cut = slice(tap, tap + (count - 1) * stride + 1, stride)
        return wide[tuple(cut if axis in axes else slice(None) for axis in range(field.ndim))]

    return sum(shifted(tap) for tap in range(taps)) / taps


def edges(pixels: int, taps: int, stride: int, padding: str) -> tuple[int, int]:
    """Return how many pixels a padding adds before and after an axis. Raise InputError if no window fits."""
    if padding == "VALID":
        total = 0
    elif padding == "CIRCULAR":
        total = taps - 1
    else:
        total = max((-(-pixels // stride) - 1) * stride + taps - pixels, 0)
    if pixels + total < taps:
        raise InputError(f"a window of {taps} pixels on {pixels}: it must not be larger than the image")
    return total // 2, total - total // 2
