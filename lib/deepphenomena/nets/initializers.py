"""Initializers of weights, with the names of JAX and Flax: He, LeCun, orthogonal, delta-orthogonal.

Call every initializer as in JAX and Flax, `init(key, shape, dtype)`. The outputs are the last axis of `shape`, and the
fan-in is the product of the other axes. In contrast to JAX, normal distributions are not truncated.

    kernel = he_normal()(jax.random.key(0), (3, 3, 16, 32))

Source: He et al. 2015, "Delving deep into rectifiers", for he_normal and he_uniform; LeCun et al. 1998, "Efficient
backprop", for lecun_normal and lecun_uniform; Xiao et al. 2018, "Dynamical isometry and a mean field theory of CNNs",
Sections 2.3 and 3, for the convolutions, whose squared singular values average gain² for circular padding and stride 1.
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import DTypeLike, Float, Key

from deepphenomena.runtime import sampling
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError

Shape = Sequence[int]
Initializer = Callable[[Key[jax.Array, ""], Shape, DTypeLike], Array]


def normal(stddev: float = 1.0) -> Initializer:
    """Return an initializer of independent Gaussian weights with this standard deviation."""

    def init(key, shape, dtype=jnp.float32):
        # `sampling` compiles faster for three or more axes; for two it would only change the last digits.
        draw = sampling.normal if len(shape) > 2 else jax.random.normal
        return stddev * draw(key, shape, dtype)

    return init


def he_normal() -> Initializer:
    """Return an initializer of independent Gaussian weights with variance 2 / fan-in, for layers before a ReLU."""
    return _scaled_normal(2.0)


def he_uniform() -> Initializer:
    """Return an initializer of independent uniform weights with variance 2 / fan-in, for layers before a ReLU."""
    return _scaled_uniform(2.0)


def lecun_normal() -> Initializer:
    """Return an initializer of independent Gaussian weights with variance 1 / fan-in."""
    return _scaled_normal(1.0)


def lecun_uniform() -> Initializer:
    """Return an initializer of independent uniform weights with variance 1 / fan-in."""
    return _scaled_uniform(1.0)


def orthogonal(gain: float = 1.0) -> Initializer:
    """Return an initializer of gain times a matrix (inputs, outputs) with orthonormal rows, Haar distributed.

    It is the Q of the QR decomposition of a Gaussian matrix, with signs that make the diagonal of R positive. Without
    the signs, Q is not Haar distributed (Mezzadri 2007, "How to generate random matrices from the classical compact
    groups"). It raises InputError for more inputs than outputs.
    """

    def init(key, shape, dtype=jnp.float32):
        if len(shape) != 2 or shape[0] > shape[1]:
            raise InputError(
                f"orthogonal matrix of shape {tuple(shape)}: it must be (inputs, outputs) with no more inputs than "
                "outputs; add outputs"
            )
        q, r = jnp.linalg.qr(sampling.normal(key, shape[::-1], dtype))
        return gain * (q * jnp.where(jnp.diag(r) < 0, -1, 1)).T.astype(dtype)

    return init


def delta_orthogonal(gain: float = 1.0) -> Initializer:
    """Return an initializer of kernels whose center tap is gain times a Haar matrix H, H Hᵀ = I; other taps are zero.

    The convolution multiplies the norm of its input by exactly `gain`, at every position and for every spatial mode,
    with any padding. This is algorithm 2 of the paper, the delta-orthogonal initialization. It raises InputError for
    more input than output channels, or an even kernel size.
    """

    def init(key, shape, dtype=jnp.float32):
        height, width, inputs, outputs = _checked("delta-orthogonal", shape)
        if height % 2 == 0 or width % 2 == 0:
            raise InputError(
                f"delta-orthogonal kernel of {height} x {width} taps: it needs a center tap; make both sides odd"
            )
        kernel = jnp.zeros((height, width, inputs, outputs), dtype)
        return kernel.at[height // 2, width // 2].set(orthogonal(gain)(key, (inputs, outputs), dtype))

    return init


def orthogonal_convolution(gain: float = 1.0) -> Initializer:
    """Return an initializer of gain times an orthogonal convolution whose kernel uses all k × k taps.

    A Haar matrix H is convolved with k − 1 kernels of 2 × 2 taps. Each is built from two random orthogonal projections
    P and Q, whose rank is half the output channels: [[PQ, P(I−Q)], [(I−P)Q, (I−P)(I−Q)]] (Kautsky & Turcajova 1994;
    algorithm 1 of the paper). It raises InputError for more input than output channels, or a kernel that is
    not square.
    """

    def init(key, shape, dtype=jnp.float32):
        height, width, inputs, outputs = _checked("orthogonal", shape)
        if height != width:
            raise InputError(f"orthogonal kernel of {height} x {width} taps: it supports square kernels only")
        first, *keys = jax.random.split(key, 1 + 2 * (height - 1))
        kernel = orthogonal(gain)(first, (inputs, outputs), dtype)[None, None]
        for k in range(height - 1):
            p, q = (_projection(one, outputs, dtype) for one in keys[2 * k : 2 * k + 2])
            kernel = _convolve_kernels(kernel, _two_by_two(p, q))
        return kernel

    return init


def gaussian_convolution(gain: float = 1.0, *, taps: Float[np.ndarray, "height width"] | None = None) -> Initializer:
    """Return an initializer of independent Gaussian weights with variance gain² v[tap] / input channels.

    `taps` is the variance vector v of the paper: the fraction of the variance at each tap, nonnegative with sum 1. By
    default all taps have the same fraction, which is the usual initialization. It raises InputError for other `taps`.
    """

    def init(key, shape, dtype=jnp.float32):
        height, width, inputs, _ = shape
        shares = np.full((height, width), 1 / (height * width)) if taps is None else np.asarray(taps, np.float64)
        if shares.shape != (height, width) or (shares < 0).any() or not np.isclose(shares.sum(), 1):
            raise InputError(
                f"taps of shape {shares.shape} and sum {shares.sum():g} for a kernel of {height} x {width}: "
                "give each tap a nonnegative fraction of the variance; they must sum to 1"
            )
        deviation = jnp.asarray(gain * np.sqrt(shares / inputs), dtype)
        return deviation[..., None, None] * sampling.normal(key, shape, dtype)

    return init


def stacked(init: Initializer) -> Initializer:
    """Return the initializer for layers stacked on a leading axis, drawn independently."""

    def init_layers(key, shape, dtype=jnp.float32):
        layers, *shape = shape
        return jax.vmap(lambda key: init(key, shape, dtype))(jax.random.split(key, layers))

    return init_layers


def _scaled_normal(scale):
    def init(key, shape, dtype=jnp.float32):
        return sampling.normal(key, shape, dtype) / math.sqrt(math.prod(shape[:-1]) / scale)

    return init


def _scaled_uniform(scale):
    def init(key, shape, dtype=jnp.float32):
        bound = math.sqrt(3 * scale / math.prod(shape[:-1]))
        return sampling.uniform(key, shape, dtype, -bound, bound)

    return init


def _checked(kind: str, shape: Shape) -> Shape:
    if len(shape) != 4 or shape[2] > shape[3]:
        raise InputError(
            f"{kind} kernel of shape {tuple(shape)}: it must be (height, width, channels in, channels out) with "
            "no more channels in than out, or the convolution cannot keep the norm; add channels out"
        )
    return shape


def _projection(key, size, dtype):
    """Return an orthogonal projection onto a random subspace of half the dimension."""
    basis = orthogonal()(key, (max(size // 2, 1), size), dtype)
    return basis.T @ basis


def _two_by_two(p, q):
    """Return the block kernel of two projections, (2, 2, channels, channels), an orthogonal convolution."""
    identity = jnp.eye(len(p), dtype=p.dtype)
    rows, columns = (p, identity - p), (q, identity - q)
    return jnp.stack([jnp.stack([row @ column for column in columns]) for row in rows])


def _convolve_kernels(first, second):
    """Return the kernel of two successive convolutions; sizes add up minus one, channels multiply as matrices."""
    height, width = (one + two - 1 for one, two in zip(first.shape[:2], second.shape[:2], strict=True))
    kernel = jnp.zeros((height, width, first.shape[2], second.shape[3]), first.dtype)
    for i, j in np.ndindex(*second.shape[:2]):
        kernel = kernel.at[i : i + first.shape[0], j : j + first.shape[1]].add(first @ second[i, j])
    return kernel
