"""Signal propagation over the positions of a convolutional network: the averaging operator and its Fourier modes.

A layer maps the covariance Σ between positions in two steps. The first acts on each entry as in a fully connected
layer; the second averages along each diagonal, over pairs of positions with the same separation (Xiao et al. 2018,
Section 2.2).
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from deepphenomena.mean_field.activations import Activation
from deepphenomena.mean_field.moments import checked_variances, cross_moment, second_moment
from deepphenomena.mean_field.phases import _chi_correlation, _reach
from deepphenomena.mean_field.quadrature import Number
from deepphenomena.runtime.errors import InputError

Taps = Float[np.ndarray, "*kernel"]


def averaging_eigenvalues(taps: Taps, size: Sequence[int]) -> Inexact[Array, "*size"]:
    """Compute `λ_k = Σ_β v_β exp(2πi k·β / n)`, the factor by which averaging over the taps shrinks Fourier mode k.

    Args:
        taps: the variance vector v over the kernel's axes, with odd sizes.
        size: the number of positions along each axis.

    Returns:
        The eigenvalues: real for symmetric taps, complex otherwise.

    Raises:
        InputError: taps with an even size, with negative entries, or that do not sum to 1.

    Example:
        >>> mean_field.averaging_eigenvalues(np.full(3, 1 / 3), (4,)).round(3)
        Array([ 1.   ,  0.333, -0.333,  0.333], dtype=float32)
    """
    taps = _checked(taps, size)
    wave = np.zeros(tuple(size))
    for offset, share in _offsets(taps):
        wave[tuple(np.mod(offset, size))] += share
    values = np.conj(np.fft.fftn(wave))
    return jnp.asarray(values.real if np.allclose(values.imag, 0) else values)


def covariance_map(
    activation: Activation,
    weight_variance: Number,
    bias_variance: Number,
    covariance: Float[Array, "*positions_twice"],
    *,
    taps: Taps,
) -> Float[Array, "*positions_twice"]:
    """Compute the next layer's covariance between positions, on a torus: `σ_w² A_v ⋆ E[φ(h_α) φ(h_α')] + σ_b²`.

    Args:
        covariance: between the positions of one input: (n, n) for one spatial axis, (n, m, n, m) for two. For two
            inputs, use `cross_covariance_map`.
        taps: as in `averaging_eigenvalues`.

    Example:
        >>> covariance = mean_field.covariance_map("relu", 2.0, 0.0, jnp.eye(4), taps=np.full(3, 1 / 3))
        >>> np.asarray(covariance[0], float).round(3)
        array([1.   , 0.318, 0.318, 0.318])
    """
    axes = covariance.ndim // 2
    size = covariance.shape[:axes]
    flat = covariance.reshape(np.prod(size), -1)
    variances = jnp.diagonal(flat)
    return cross_covariance_map(
        activation, weight_variance, bias_variance, covariance,
        variances=(variances.reshape(size), variances.reshape(size)), taps=taps, same=True,
    )  # fmt: skip


def cross_covariance_map(
    activation: Activation,
    weight_variance: Number,
    bias_variance: Number,
    covariance: Float[Array, "*positions_twice"],
    *,
    variances: tuple[Float[Array, "*positions"], Float[Array, "*positions"]],
    taps: Taps,
    same: bool = False,
) -> Float[Array, "*positions_twice"]:
    """Compute the next layer's covariance between the positions of two inputs with the given variances.

    With `same`, both inputs are equal and the diagonal is exactly correlated. Other arguments as in `covariance_map`.

    Example:
        >>> variances, taps = (jnp.ones(4), jnp.ones(4)), np.full(3, 1 / 3)
        >>> mean_field.cross_covariance_map("relu", 2.0, 0.0, jnp.zeros((4, 4)), variances=variances, taps=taps).shape
        (4, 4)
    """
    axes = covariance.ndim // 2
    size = covariance.shape[:axes]
    taps = _checked(taps, size)
    one, other = (variance.reshape(-1) for variance in variances)
    flat = covariance.reshape(one.size, other.size)
    limit = 1 - jnp.finfo(flat.dtype).eps
    correlation = jnp.clip(flat / jnp.sqrt(one[:, None] * other), -limit, limit)
    pairs = [jnp.broadcast_to(side, flat.shape).ravel() for side in (one[:, None], other[None])]
    moments = jax.lax.map(
        lambda pair: cross_moment(activation, *pair), (*pairs, correlation.ravel()), batch_size=16
    ).reshape(flat.shape)
    if same:
        exact = jax.vmap(lambda q: second_moment(activation, q))(one)
        moments = jnp.where(jnp.eye(one.size, dtype=bool), exact, moments)
    moments = moments.reshape(covariance.shape)
    averaged = sum(
        share * jnp.roll(moments, [-step for step in offset] * 2, range(2 * axes)) for offset, share in _offsets(taps)
    )
    return weight_variance * averaged + bias_variance


def mode_depth_scales(
    activation: Activation, weight_variance: Number, bias_variance: Number, *, taps: Taps, size: Sequence[int]
) -> Float[Array, "*size"]:
    """Compute the depth scale of each Fourier mode k of a deviation, in layers: `ξ_k = −1 / log(χ_c* |λ_k|)`.

    Example:
        >>> scales = mean_field.mode_depth_scales("tanh", 1.5, 0.1, taps=np.full(3, 1 / 3), size=(4,))
        >>> np.asarray(scales, float).round(2)
        array([7.65, 0.81, 0.81, 0.81])
    """
    scale = _chi_correlation(activation, *checked_variances(activation, weight_variance, bias_variance))
    return _reach(scale * jnp.abs(averaging_eigenvalues(taps, size)).astype(scale.dtype))


def _offsets(taps: np.ndarray):
    """Yield (offset from the centre, share) of every nonzero tap."""
    for index in itertools.product(*map(range, taps.shape)):
        if taps[index]:
            yield tuple(i - side // 2 for i, side in zip(index, taps.shape, strict=True)), float(taps[index])


def _checked(taps: Taps, size: Sequence[int]) -> np.ndarray:
    taps = np.asarray(taps, np.float64)
    if taps.ndim != len(size) or not all(side % 2 for side in taps.shape):
        raise InputError(
            f"taps of shape {taps.shape} for positions {tuple(size)}: give an odd side for each spatial axis"
        )
    if (taps < 0).any() or not np.isclose(taps.sum(), 1):
        raise InputError(f"taps that sum to {taps.sum():g}: shares of the variance, none negative, must sum to 1")
    return taps
