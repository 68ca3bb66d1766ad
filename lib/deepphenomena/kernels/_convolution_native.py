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


def patches(x, geometry):
    """Every window the kernel sees: (n, height, width, c) -> (n, height', width', kernel height · width · c)."""
    (oh, ow), (kh, kw), (sh, sw) = geometry.output, geometry.kernel, geometry.stride
    edges = [
        (low, max((output - 1) * stride + kernel - image - low, 0), 0)
        for image, kernel, output, stride, low in zip(*geometry, strict=True)
    ]
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *edges, (0, 0, 0)))
    windows = [
        x[:, i : i + (oh - 1) * sh + 1 : sh, j : j + (ow - 1) * sw + 1 : sw] for i in range(kh) for j in range(kw)
    ]
    return jnp.concatenate(windows, axis=-1)


def _by_patches(x, w, geometry):
    return patches(x, geometry) @ w.reshape(-1, w.shape[-1])


def _form(members: bool):
    return jax.vmap(_by_patches, in_axes=(0, 0, None)) if members else convolve


def forward(x, w, geometry):
    return _form(x.ndim == 5)(x, w, geometry)


def pullback(y, w, geometry):
    x = jax.ShapeDtypeStruct((*y.shape[:-3], *geometry.image, w.shape[-2]), y.dtype)
    return jax.linear_transpose(lambda x: _form(y.ndim == 5)(x, w, geometry), x)(y)[0]


def outer(x, y, geometry):
    w = jax.ShapeDtypeStruct((*x.shape[:-4], *geometry.kernel, x.shape[-1], y.shape[-1]), y.dtype)
    return jax.linear_transpose(lambda w: _form(x.ndim == 5)(x, w, geometry), w)(y)[0]
