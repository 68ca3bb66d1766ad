"""Second moments of two sets of activations, rescaled so that squares do not overflow or lose digits."""

from typing import NamedTuple

import numpy as np
from jax import lax
from jax import numpy as jnp
from jaxtyping import Float

from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError


def check_activations(x, y):
    """Return both activations in one floating-point dtype. Raise InputError unless they fit together.

    Every similarity ignores a shift of the features and a common scale, so wide NumPy arrays are shifted and scaled in
    float64: what JAX makes of them in float32 keeps the digits that matter.
    """
    x, y = numbers.array("activations", x), numbers.array("activations", y)
    shapes = f"similarity of {x.shape} with {y.shape}"
    if x.ndim != 2 or y.ndim != 2 or 0 in x.shape + y.shape:
        raise InputError(f"{shapes}: activations are (samples, features); flatten or average the other axes.")
    if len(x) != len(y) or len(x) < 2:
        raise InputError(f"{shapes}: both need the same samples, two or more, as rows; check the order of the axes.")
    x, y = (jnp.asarray(_centered(a) if numbers.narrowed(a) else a) for a in (x, y))
    dtype = jnp.promote_types(jnp.result_type(x, y), jnp.float32)
    return x.astype(dtype), y.astype(dtype)


def _centered(a):
    """Return a float64 or 64-bit array as float32, with the first row taken out and the largest entry near 1."""
    with np.errstate(invalid="ignore", over="ignore"):  # activations that are not finite give NaN later
        difference = a.astype(np.float64) - a[0].astype(np.float64)
    largest = np.abs(difference).max()
    exponent = np.frexp(largest)[1] if np.isfinite(largest) else 0
    return np.ldexp(difference, -exponent).astype(np.float32)


class Scaled(NamedTuple):
    """Activations with the shift and scale of centered columns of at most 1: (a − first − shift) / scale."""

    activations: Float[Array, "samples features"]
    shift: Float[Array, " features"]
    scale: Float[Array, " features"]


def rescale(a, over=None) -> Scaled:
    """Scale each feature by its largest value, or with `over` all features by one value; constant features by 1.

    The first sample is subtracted before the mean, so that constant features are exactly zero and a large common offset
    loses no digits.
    """
    difference = a - a[0]
    shift = difference.mean(0)
    scale = jnp.maximum(difference.max(0) - shift, shift - difference.min(0))
    scale = scale if over is None else jnp.broadcast_to(over(scale), scale.shape)
    return Scaled(a, shift, jnp.where(scale == 0, 1, scale))


def rescaled(scaled: Scaled, start=None, count=None):
    """Return the scaled activations, or `count` rows of them."""
    a, shift, scale = scaled
    rows = a if start is None else lax.dynamic_slice_in_dim(a, start, count)
    return (rows - a[0] - shift) / scale


def second_moments(x: Scaled, y: Scaled):
    """Return XᵀX, YᵀY and XᵀY of scaled activations; on a CPU, in chunks if they do not fit in its cache."""
    large = x.activations.size + y.activations.size > 2**18
    cpu = moments_by_chunks if large else moments_at_once
    moments = lax.platform_dependent(x, y, cpu=cpu, default=moments_at_once)
    p = x.activations.shape[1]
    return moments[:p, :p], moments[p:, p:], moments[:p, p:]


def moments_at_once(x: Scaled, y: Scaled):
    z = jnp.concatenate([rescaled(x), rescaled(y)], 1)
    return product(z.T, z)


def moments_by_chunks(x: Scaled, y: Scaled, *, rows: int = 256, columns: int = 256):
    """Compute the same in chunks of rows, without storing the scaled copy. Only the upper half is computed.

    The barrier forces one transpose: the product of XLA:CPU along the first axis of both is half as fast.
    """
    samples, features = x.activations.shape[0], x.activations.shape[1] + y.activations.shape[1]
    blocks = [(start, min(start + columns, features)) for start in range(0, features, columns)]

    def add(sums, start, count):
        z = jnp.concatenate([rescaled(x, start, count), rescaled(y, start, count)], 1)
        turned = lax.optimization_barrier(z.T)
        return tuple(s + turned[:end] @ z[:, start:end] for s, (start, end) in zip(sums, blocks, strict=True))

    dtype = jnp.result_type(x.activations, y.activations)
    sums = tuple(jnp.zeros((end, end - start), dtype) for start, end in blocks)
    rest = samples % rows
    if samples >= rows:
        sums = lax.fori_loop(0, samples // rows, lambda i, sums: add(sums, i * rows, rows), sums)
    if rest:
        sums = add(sums, samples - rest, rest)
    upper = jnp.triu(jnp.concatenate([jnp.pad(s, ((0, features - len(s)), (0, 0))) for s in sums], 1))
    return upper + jnp.triu(upper, 1).T


def product(a, b):
    """Return the matrix product in full precision; accelerators multiply float32 with fewer bits by default."""
    return jnp.matmul(a, b, precision="highest")
