"""The faces of a convolution on a CPU, each as XLA:CPU does it fastest, inside a loop or not.

XLA:CPU has one fast path: a forward convolution (NHWC, HWIO), undilated, of operands that lie in memory in that
order. Autodiff's own gradients of a convolution are written with permuted dimensions or dilation; compiled inside a
loop they miss the fast path by a factor of ten to several hundred. So each face is written here as forward
convolutions of plainly laid out operands. The barriers keep the compiler from folding the layout change back in.
"""

from typing import NamedTuple

from jax import lax
from jax import numpy as jnp

from deepphenomena.kernels._convolution_native import convolve


class _Phase(NamedTuple):
    """Along one axis: pixels stride·t + pixel and the taps stride·u + tap that reach them, where t = o + u + shift."""

    pixel: int
    tap: int
    shift: int
    taps: int


def _phases(kernel: int, stride: int, low: int) -> list[_Phase]:
    """One phase for each pixel residue that some tap reaches."""
    return [
        _Phase((tap - low) % stride, tap, (tap - low) // stride, -(-(kernel - tap) // stride))
        for tap in range(min(stride, kernel))
    ]


def forward(x, w, geometry):
    """y = x * w."""
    return convolve(x, w, geometry)


def pullback(y, w, geometry):
    """The transpose in x: y convolved with the flipped weights, one phase of the stride at a time.

    The pixels of one phase see only every stride-th tap, so that each phase is an undilated convolution of y and no
    multiplication by a zero is done.
    """
    (height, width), (kh, kw), (oh, ow), (sh, sw), (top, left) = geometry
    tall, wide = -(-height // sh), -(-width // sw)  # pixels of a phase; the last row or column may be cropped
    nothing = jnp.zeros((y.shape[0], tall, wide, w.shape[2]), y.dtype)
    grid = [[nothing] * sw for _ in range(sh)]
    for row in _phases(kh, sh, top):
        for column in _phases(kw, sw, left):
            taps = jnp.flip(w[row.tap :: sh, column.tap :: sw], (0, 1)).swapaxes(2, 3)
            padding = (
                _fit(row.shift + row.taps - 1, oh, row.taps, tall),
                _fit(column.shift + column.taps - 1, ow, column.taps, wide),
            )
            grid[row.pixel][column.pixel] = _plain(y, lax.optimization_barrier(taps), padding)
    if (sh, sw) == (1, 1):
        return grid[0][0]
    x = jnp.stack([jnp.stack(line, axis=3) for line in grid], axis=2)
    return x.reshape(y.shape[0], tall * sh, wide * sw, w.shape[2])[:, :height, :width]


def outer(x, y, geometry):
    """The transpose in w: x convolved with y, channels standing for the batch and the batch for channels."""
    _, (kh, kw), (oh, ow), (sh, sw), (top, left) = geometry
    kernel = lax.optimization_barrier(y.transpose(1, 2, 0, 3))
    w = jnp.zeros((kh, kw, x.shape[3], y.shape[3]), y.dtype)
    for row in _phases(kh, sh, top):
        for column in _phases(kw, sw, left):
            image = lax.optimization_barrier(x[:, row.pixel :: sh, column.pixel :: sw].transpose(3, 1, 2, 0))
            padding = (
                _fit(-row.shift, image.shape[1], oh, row.taps),
                _fit(-column.shift, image.shape[2], ow, column.taps),
            )
            taps = _plain(image, kernel, padding).transpose(1, 2, 0, 3)
            w += _spread(taps, (row.tap, column.tap), (sh, sw), (kh, kw))
    return w


def _plain(x, w, padding):
    return lax.conv_general_dilated(x, w, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _fit(low: int, image: int, kernel: int, output: int) -> tuple[int, int]:
    """The padding that starts with `low` and makes a convolution's output `output` long."""
    return low, output + kernel - 1 - image - low


def _spread(taps, start, stride, kernel):
    """Put taps at every stride-th place of a kernel otherwise zero."""
    edges = [
        (first, size - first - (count - 1) * step - 1, step - 1)
        for first, step, size, count in zip(start, stride, kernel, taps.shape, strict=False)
    ]
    return lax.pad(taps, jnp.zeros((), taps.dtype), (*edges, (0, 0, 0), (0, 0, 0)))
