"""Random networks against theory: fixed points, gradients, and singular values of critical networks."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from deepphenomena import mean_field
from deepphenomena.nets.initializers import Initializer
from deepphenomena.papers.dynamical_isometry.signals import Follow, Variances, jacobian_spectra


class Spectrum(NamedTuple):
    """The predicted spectrum of the input-output Jacobian.

    Attributes:
        radial: the singular value along the signal, χ_q*^L.
        spread: the relative variance of the squares of all others, L (μ₂/μ₁² - 1).
    """

    radial: float
    spread: float


def predicted_spectrum(point: Sequence[float], depth: int) -> Spectrum:
    """The predictions for a tanh network of `depth` layers at (σ_w², σ_b², q*).

    Source: Pennington, Schoenholz & Ganguli 2017, "Resurrecting the sigmoid in deep learning through dynamical
    isometry", for the spread, with μ_k the mean of φ'(h)^2k over Gaussian h of variance q*.

    Example:
        >>> bias, q = map(float, mean_field.critical_point("tanh", 1.05))
        >>> spectrum = predicted_spectrum((1.05, bias, q), 10)
        >>> round(spectrum.radial, 2), round(spectrum.spread, 3)
        (0.61, 0.043)
    """

    def moment(k):
        return float(mean_field.expectation(lambda h: (1 - jnp.tanh(h) ** 2) ** (2 * k), point[2]))

    with jax.enable_x64(True):
        reach = float(mean_field.depth_scale("tanh", *point[:2]).variance)
        return Spectrum(float(np.exp(-depth / reach)), depth * (moment(2) / moment(1) ** 2 - 1))


def against_theory(
    follow: Follow,
    norms: Callable[..., Float[np.ndarray, "draws layers"]],
    seed: int,
    variances: Variances,
    expected: Mapping[str, float],
) -> tuple[float, float, float]:
    """Measured over predicted q* and χ₁, and measured minus predicted c*, in random networks.

    Variance and correlation are means over the layers after the fortieth; the factor is the slope of the logarithm of
    the mean squared gradient.

    Args:
        follow, norms: `follow_pairs` and `gradient_norms` with their width and draws.
        seed, variances: as for `follow_pairs`.
        expected: "variance", "chi" and "correlation", the predictions.
    """
    seen = follow(seed, 1, variances, q=expected["variance"], c=0.6, layers=240, pairs=8, positions=2)
    q, c = (float(seen[name][:, 40:].mean()) for name in ("q", "c"))
    back = norms(seed, 3, variances, q=expected["variance"], layers=24, samples=16, positions=8)
    factor = float(np.exp(-np.polyfit(range(24), np.log(back).mean(0), 1)[0]))
    return q / expected["variance"], factor / expected["chi"], c - expected["correlation"]


def approach(
    follow: Follow, seed: int, variances: Variances, expected: Mapping[str, float]
) -> Float[np.ndarray, " layers"]:
    """log(1 - c) after each of 24 layers, for nearly equal pairs of inputs; 1 - c is a mean over the random networks.

    The arguments are those of `against_theory`.
    """
    seen = follow(seed, 2, variances, q=expected["variance"], c=0.99, layers=24, pairs=32, positions=8)
    return np.log((1 - seen["c"]).mean(0))


def percentiles(
    start: Callable[[float], Initializer],
    points: Mapping[int, Sequence[float]],
    seed: int,
    shares: Sequence[float],
    **sizes: int,
) -> Float[np.ndarray, "depths shares"]:
    """Quantiles of the singular values of `jacobian_spectra` at each depth, with a point of its own for each.

    Args:
        start, seed, sizes: as for `jacobian_spectra`.
        points: {depth: (σ_w², σ_b², q*)}.
        shares: of the singular values below each quantile.
    """
    spectra = (jacobian_spectra(start, point, seed, [depth], **sizes)[0] for depth, point in points.items())
    return np.array([np.quantile(values, shares) for values in spectra])
