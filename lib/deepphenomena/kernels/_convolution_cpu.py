"""The faces of a convolution on a CPU, each by the route measured fastest for its shape, inside a loop or not.

XLA:CPU has two fast paths: a forward convolution (NHWC, HWIO) and a matrix product, of operands that lie in memory in
the order written. Autodiff's own gradients of a convolution are written with permuted dimensions or dilation; compiled
inside a loop they miss the fast path by a factor of ten to several hundred. So every route here is made of these two.
The barriers keep the compiler from folding a change of layout back into the convolution.
"""

import math

import jax
from jax import lax
from jax import numpy as jnp

from deepphenomena.kernels import _winograd
from deepphenomena.kernels._chunks import sum_over_chunks
from deepphenomena.kernels._convolution_native import by_patches, convolve, pad, window

_FEW = 8  # channels below which a pixel's row fills no vector register, so that transforms do not pay
_CHUNK_BYTES = 4e6  # temporaries of about this size stay in the cache of one core
_WASTE = 2.0  # tile pixels computed for each pixel wanted, above which Winograd's saving is gone


def forward(x, w, geometry):
    """y = x * w."""
    if _by_winograd(geometry, w.shape[2:]):
        return _in_chunks(
            lambda x: _winograd.forward(x, w, low=geometry.low, output=geometry.output),
            _winograd_chunk(geometry, w.shape[2:]),
            x,
        )
    return convolve(x, w, geometry)


def pullback(y, w, geometry):
    """The transpose in x. With stride 1 it is a forward convolution with the flipped weights."""
    if geometry.stride == (1, 1):
        flipped = lax.optimization_barrier(jnp.flip(w, (0, 1)).swapaxes(2, 3))
        low = tuple(size - 1 - before for size, before in zip(geometry.kernel, geometry.low, strict=True))
        return forward(y, flipped, geometry._replace(image=geometry.output, output=geometry.image, low=low))

    def of_chunk(y):
        x = jax.ShapeDtypeStruct((y.shape[0], *geometry.image, w.shape[2]), y.dtype)
        return jax.linear_transpose(lambda x: by_patches(x, w, geometry), x)(y)[0]

    patch = math.prod(geometry.output) * math.prod(geometry.kernel) * w.shape[2]
    return _in_chunks(of_chunk, _CHUNK_BYTES // (4 * patch), y)


def outer(x, y, geometry):
    """The transpose in w."""
    if _by_winograd(geometry, (x.shape[3], y.shape[3])):
        size = _chunk_size(x.shape[0], _winograd_chunk(geometry, (x.shape[3], y.shape[3])))
        return sum_over_chunks(lambda chunk: _winograd.outer(*chunk, low=geometry.low), size, (x, y))
    pixels = math.prod(geometry.image) * x.shape[3] + math.prod(geometry.output) * y.shape[3]
    one_tap = geometry.kernel == (1, 1)
    strided = geometry.stride != (1, 1) and min(x.shape[3], y.shape[3]) >= _FEW
    form = _outer_tap_by_tap if one_tap or strided else _outer_as_convolution
    size = _chunk_size(x.shape[0], _CHUNK_BYTES // (4 * pixels))
    return sum_over_chunks(lambda chunk: form(*chunk, geometry), size, (x, y))


def _outer_tap_by_tap(x, y, geometry):
    """One matrix product for each tap of the kernel."""
    x, y = pad(x, geometry), y.reshape(-1, y.shape[3])
    taps = [
        window(x, i, j, geometry).reshape(-1, x.shape[3]).T @ y
        for i in range(geometry.kernel[0])
        for j in range(geometry.kernel[1])
    ]
    return jnp.stack(taps).reshape(*geometry.kernel, x.shape[3], -1)


def _outer_as_convolution(x, y, geometry):
    """x convolved with y, where channels stand for the batch and the batch for channels."""
    x, y = lax.optimization_barrier((x.transpose(3, 1, 2, 0), y.transpose(1, 2, 0, 3)))
    edges = [
        (low, kernel - 1 + (output - 1) * stride + 1 - image - low)
        for image, kernel, output, stride, low in zip(*geometry, strict=True)
    ]
    w = lax.conv_general_dilated(
        x, y, (1, 1), edges, rhs_dilation=geometry.stride, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return w.transpose(1, 2, 0, 3)


def _by_winograd(geometry, channels: tuple[int, int]) -> bool:
    if geometry.kernel != (3, 3) or geometry.stride != (1, 1) or min(channels) < _FEW:
        return False
    computed = math.prod(_winograd.tiles_of(size) * _winograd.PIXELS for size in geometry.output)
    return computed <= _WASTE * math.prod(geometry.output)


def _winograd_chunk(geometry, channels: tuple[int, int]) -> float:
    tiles = math.prod(map(_winograd.tiles_of, geometry.output))
    return _CHUNK_BYTES // (4 * _winograd.POINTS**2 * tiles * sum(channels))


def _chunk_size(images: int, wanted: float) -> int:
    """A chunk of at most `wanted` images; a divisor of all where one is near, so that there is no remainder."""
    wanted = int(min(max(wanted, 1), images))
    divisors = [size for size in range(wanted, wanted // 2, -1) if images % size == 0]
    return divisors[0] if divisors else wanted


def _in_chunks(function, wanted: float, images):
    """Apply a function of images to chunks of them, one after the other."""
    size = _chunk_size(images.shape[0], wanted)
    whole, rest = divmod(images.shape[0], size)
    if whole == 1 and not rest:
        return function(images)
    done = lax.map(function, images[: whole * size].reshape(whole, size, *images.shape[1:]))
    done = done.reshape(-1, *done.shape[2:])
    return jnp.concatenate([done, function(images[whole * size :])]) if rest else done
