"""Singular values of a circular convolution, and projection onto a ball of its operator norm.

On images of n₁ × n₂ pixels that wrap around, a convolution of stride 1 is block diagonal in the Fourier basis. Each
frequency has one (channels × features) matrix, its symbol. The operator's singular values are those of all symbols.
Source: Sedghi, Gupta & Long 2019, "The singular values of convolutional layers", Theorem 6 and Section 4.
"""

import numpy as np
from jax import lax
from jax import numpy as jnp
from jaxtyping import Float

from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError, shown
from deepphenomena.spectra._clipping import clip_singular_values


def singular_values_of_convolution(
    w: Float[Array, "kernel_height kernel_width channels features"], input_shape: tuple[int, int]
) -> Float[Array, " values"]:
    """Compute all singular values of `convolution(x, w, padding="CIRCULAR")` as a linear map of x, largest first.

    Args:
        w: weights; a kernel larger than the image wraps around it.
        input_shape: (height, width) of the images, in pixels.

    Returns:
        height · width · min(channels, features) values, as many as the dense matrix of the map has.

    Raises:
        InputError: if w is not a four-dimensional real array or input_shape not a pair of positive whole numbers.

    Example:
        >>> spectra.singular_values_of_convolution(jnp.ones((1, 1, 1, 1)), (2, 2)).round(3)
        Array([1., 1., 1., 1.], dtype=float32)
    """
    w, fourier, twice, _ = _fourier(w, input_shape)
    values = _values(_symbols(w, fourier))
    return jnp.sort(jnp.concatenate([values.ravel(), values[twice].ravel()]), descending=True)


def top_singular_value_of_convolution(
    w: Float[Array, "kernel_height kernel_width channels features"], input_shape: tuple[int, int]
) -> Float[Array, ""]:
    """Compute the operator norm of the circular convolution. Arguments and errors as in
    `singular_values_of_convolution`.

    Example:
        >>> round(float(spectra.top_singular_value_of_convolution(jnp.ones((3, 3, 1, 1)), (4, 4))), 3)
        9.0
    """
    w, fourier, *_ = _fourier(w, input_shape)
    return jnp.max(_values(_symbols(w, fourier)))


def project_to_operator_norm_ball(
    w: Float[Array, "kernel_height kernel_width channels features"],
    input_shape: tuple[int, int],
    bound: float | Float[Array, ""],
    *,
    iterations: int = 10,
) -> Float[Array, "kernel_height kernel_width channels features"]:
    """Find the weights nearest to w whose circular convolution has an operator norm of at most `bound`.

    Clipping every symbol's singular values projects onto the ball, but gives a kernel as large as the image. Cutting
    that to the taps of w projects onto the small kernels. Dykstra's algorithm alternates the two and converges to the
    projection onto both (Boyle & Dykstra 1986); Sedghi et al. alternate once. A final scaling makes the bound hold
    exactly.

    Args:
        w: weights, with a kernel no larger than the image.
        input_shape: (height, width) of the images, in pixels.
        bound: the largest singular value allowed, above 0.
        iterations: number of alternations; each costs one decomposition of every symbol.

    Raises:
        InputError: as in `singular_values_of_convolution`, for a kernel larger than the image, and for a bound that is
            not above 0.

    Example:
        >>> w = spectra.project_to_operator_norm_ball(jnp.ones((3, 3, 1, 1)), (4, 4), 1.0)
        >>> round(float(spectra.top_singular_value_of_convolution(w, (4, 4))), 3)
        1.0
    """
    w, fourier, twice, input_shape = _fourier(w, input_shape)
    iterations = numbers.whole("iterations", iterations)
    if any(taps > pixels for taps, pixels in zip(w.shape[:2], input_shape, strict=True)):
        raise InputError(f"kernel {w.shape[:2]} on images {input_shape}: it must not be larger than the image here.")
    if numbers.known(bound) and not 0 < bound < np.inf:
        raise InputError(f"bound {shown(bound)} of the operator norm: it must be above 0 and finite.")
    weight = np.full(len(fourier), 1.0)
    weight[twice] = 2.0
    adjoint = jnp.asarray(fourier.conj().T * weight / np.prod(input_shape), _complex(w))

    def alternate(state, _):
        small, correction = state  # the correction is a kernel of the image's size, kept as symbols
        before = _symbols(small, fourier) + correction
        clipped = clip_singular_values(before, jnp.asarray(bound, w.dtype))
        small = jnp.real(adjoint @ clipped.reshape(len(fourier), -1)).reshape(w.shape)
        return (small, before - clipped), None

    inside = top_singular_value_of_convolution(w, input_shape) <= bound
    # Inside the ball the projection is the identity; zero stands for w there, so that no derivative of it is NaN.
    start = (jnp.where(inside, 0, w), jnp.zeros((len(fourier), *w.shape[2:]), _complex(w)))
    projected = lax.scan(alternate, start, length=iterations)[0][0]
    scale = bound / jnp.maximum(top_singular_value_of_convolution(projected, input_shape), bound)
    return jnp.where(inside, w, projected * scale)


def _fourier(w, input_shape) -> tuple[Array, np.ndarray, np.ndarray, tuple[int, int]]:
    """Return w, one frequency of every conjugate pair (f, −f), as rows over the taps, which rows stand for a pair, and
    the shape of the images.
    """
    w = jnp.asarray(numbers.array("weights", w))
    if w.ndim != 4 or 0 in w.shape or not jnp.issubdtype(w.dtype, jnp.floating):
        raise InputError(f"weights {w.dtype}{w.shape}: they must be real and (height, width, channels, features).")
    if w.dtype.itemsize < 4:
        w = w.astype(jnp.float32)  # LAPACK has no half precision
    input_shape = numbers.pair("input_shape", input_shape)
    rows, columns = (np.arange(size) for size in input_shape)
    index = rows[:, None] * input_shape[1] + columns
    opposite = (-rows % input_shape[0])[:, None] * input_shape[1] + -columns % input_shape[1]
    kept = np.argwhere(index <= opposite)
    waves = [
        np.exp(2j * np.pi * np.outer(kept[:, axis], np.arange(w.shape[axis])) / input_shape[axis]) for axis in (0, 1)
    ]
    fourier = (waves[0][:, :, None] * waves[1][:, None, :]).reshape(len(kept), -1)
    return w, fourier, np.flatnonzero((index < opposite)[tuple(kept.T)]), input_shape


def _complex(w):
    return jnp.result_type(w.dtype, jnp.complex64)


def _symbols(w, fourier: np.ndarray):
    """(frequencies, channels, features)."""
    flat = jnp.asarray(fourier, _complex(w)) @ w.reshape(fourier.shape[1], -1).astype(_complex(w))
    return flat.reshape(len(fourier), *w.shape[2:])


def _values(matrices):
    """Compute singular values of a batch of matrices. On a CPU, LAPACK's QR iteration is faster for values alone."""

    def on_cpu(matrices):
        algorithm = lax.linalg.SvdAlgorithm.QR
        return lax.linalg.svd(matrices, compute_uv=False, algorithm=algorithm)

    def elsewhere(matrices):
        return jnp.linalg.svd(matrices, compute_uv=False)

    return lax.platform_dependent(matrices, cpu=on_cpu, default=elsewhere)
