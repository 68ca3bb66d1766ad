"""The faces of a convolution for accelerators: XLA's own convolution, or matrix products where weights are many.

A convolution whose weights carry a batch axis becomes a grouped convolution, whose gradients no vendor library does
well; as patches times weights it is a batched matrix product, which all do.
"""

import jax
from jax import lax
from jax import numpy as jnp


def convolve(x, w, geometry):
    """XLA's convolution."""
    padding = [
        (low, (output - 1) * stride + kernel - image - low)
        for image, kernel, output, stride, low in zip(*geometry, strict=True)
    ]
    return lax.conv_general_dilated(x, w, geometry.stride, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def pad(x, geometry):
    """Add the zeros that the kernel sees outside the image."""
    edges = [
        (low, max((output - 1) * stride + kernel - image - low, 0), 0)
        for image, kernel, output, stride, low in zip(*geometry, strict=True)
    ]
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *edges, (0, 0, 0)))


def window(x, i: int, j: int, geometry):
    """What tap (i, j) sees of padded images: (n, height', width', c)."""
    rows, columns = (
        slice(first, first + (output - 1) * step + 1, step)
        for first, output, step in zip((i, j), geometry.output, geometry.stride, strict=True)
    )
    return x[:, rows, columns]


def by_patches(x, w, geometry):
    """Every patch that the kernel sees, as the rows of one matrix, times the weights."""
    x = pad(x, geometry)
    taps = [window(x, i, j, geometry) for i in range(geometry.kernel[0]) for j in range(geometry.kernel[1])]
    return jnp.concatenate(taps, axis=-1) @ w.reshape(-1, w.shape[-1])


def _form(members: bool):
    return jax.vmap(by_patches, in_axes=(0, 0, None)) if members else convolve


def forward(x, w, geometry):
    return _form(x.ndim == 5)(x, w, geometry)


def pullback(y, w, geometry):
    x = jax.ShapeDtypeStruct((*y.shape[:-3], *geometry.image, w.shape[-2]), y.dtype)
    return jax.linear_transpose(lambda x: _form(y.ndim == 5)(x, w, geometry), x)(y)[0]


def outer(x, y, geometry):
    w = jax.ShapeDtypeStruct((*x.shape[:-4], *geometry.kernel, x.shape[-1], y.shape[-1]), y.dtype)
    return jax.linear_transpose(lambda w: _form(x.ndim == 5)(x, w, geometry), w)(y)[0]
