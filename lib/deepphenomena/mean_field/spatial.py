"""Signal propagation over the positions of a convolutional network: the averaging operator and its Fourier modes.

A layer maps the covariance Σ between positions in two steps: point by point as a fully connected layer would, then by
an average along each diagonal, over pairs of positions of the same separation (Xiao et al. 2018, Section 2.2).
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from deepphenomena.mean_field.moments import Activation, Number, cross_moment, second_moment
from deepphenomena.mean_field.phases import _chi_correlation, _floating, _reach
from deepphenomena.runtime.errors import InputError

Taps = Float[np.ndarray, "*kernel"]


def averaging_eigenvalues(taps: Taps, size: Sequence[int]) -> Float[Array, "*size"]:
    """λ_k = Σ_β v_β exp(2πi k·β / n), the factor by which the average over taps shrinks each Fourier mode k.

    `taps` is the variance vector v, of odd sides, over the kernel's axes; `size` the positions along each. Real for
    symmetric taps, complex otherwise. InputError for taps that are even, negative, or do not sum to 1.
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
    """The next layer's covariance between positions: σ_w² A_v ⋆ E[φ(h_α) φ(h_α')] + σ_b², on a torus.

    `covariance` is (n, n) for one spatial axis and (n, m, n, m) for two: between positions of one input. The covariance
    of two inputs is a block of that of their union; see `cross_covariance_map`.
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
    """As `covariance_map`, between the positions of one input and those of another with the given variances.

    With `same` the inputs are one, and the diagonal is taken as exactly correlated.
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
    """Depth scale of each Fourier mode k of a deviation, in layers: `ξ_k = −1 / log(χ_c* |λ_k|)`."""
    scale = _chi_correlation(activation, *_floating(activation, weight_variance, bias_variance))
    return _reach(scale * jnp.abs(averaging_eigenvalues(taps, size)).astype(scale.dtype))


def _offsets(taps: np.ndarray):
    """(offset from the centre, share) of every tap that has a share."""
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
