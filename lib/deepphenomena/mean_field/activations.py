"""The table of activations: each function φ with what is known in closed form of its moments under a Gaussian.

Mean-field theory needs E[φ(u)²], E[φ'(u)²] and E[φ(u)φ(v)]; kernels of infinitely wide networks need the moments of
pairs for many pairs at once. Both read this table.

Sources: erf: Williams 1997, "Computing with infinite networks", equation 11, and its derivative. ReLU: Cho & Saul 2009,
"Kernel methods for deep learning", orders 1 and 0.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf, ndtr
from jaxtyping import Array

from deepphenomena.mean_field.arcsine import arcsine, wedge
from deepphenomena.mean_field.quadrature import root
from deepphenomena.runtime.errors import unknown

Activation = str | Callable[[Array], Array]


class PairMoments(NamedTuple):
    """Closed forms of the moments of a pair (u, v) of Gaussians with variances q₁, q₂ and covariance k.

    Attributes:
        side: q -> a tuple of arrays, what `of` needs of one variance; compute it once for all pairs.
        of: (k, side(q₁), side(q₂)) -> (E[φ(u)φ(v)], E[φ'(u)φ'(v)]); sides broadcast against k.
    """

    side: Callable[[Any], tuple]
    of: Callable[[Any, tuple, tuple], tuple]


class Nonlinearity(NamedTuple):
    """One activation. A closed form that is not known is None; then quadrature is used.

    Attributes:
        function: φ, elementwise.
        moments: q -> (E[φ(u)²], E[φ'(u)²]) for u of variance q.
        pair: the moments of two Gaussians.
        smoothed: (mean, deviation) -> E[φ(mean + deviation · z)], z standard normal.
    """

    function: Callable[[Array], Array]
    moments: Callable[[Any], tuple] | None = None
    pair: PairMoments | None = None
    smoothed: Callable[[Array, Array], Array] | None = None


def nonlinearity(activation: Activation) -> Nonlinearity:
    """The table's entry for a name; for a function of one's own, an entry without closed forms.

        nonlinearity("relu").moments(2.0)  # (1.0, 0.5)

    Raises:
        InputError: for an unknown name.
    """
    if callable(activation):
        return Nonlinearity(activation)
    if activation not in ACTIVATIONS:
        raise unknown("activation", str(activation), ACTIVATIONS)
    return ACTIVATIONS[activation]


def _relu_side(q):
    alive = q > 0
    inverse = jnp.where(alive, jax.lax.rsqrt(jnp.where(alive, q, 1.0)), 0.0)
    return q * inverse, inverse


def _relu_pair(k, one, other):
    (scale1, inverse1), (scale2, inverse2) = one, other
    c = jnp.clip(k * (inverse1 * inverse2), -1.0, 1.0)
    angle = np.pi / 2 + arcsine(c)
    return (scale1 * scale2) * wedge(c) / (2 * np.pi), angle / (2 * np.pi)


def _erf_pair(k, one, other):
    inverse = one[0] * other[0]
    sine = 2 * k * inverse
    return 2 / np.pi * arcsine(sine), 4 / np.pi * inverse * jax.lax.rsqrt((1 - sine) * (1 + sine))


def _hard_tanh_moments(q):
    edge = 1 / root(q)
    inside = erf(edge / math.sqrt(2))
    return q * (inside - 2 * edge * _density(edge)) + 1 - inside, inside


def _hard_tanh_smoothed(mean, deviation):
    return _mean_above(mean + 1, deviation) - _mean_above(mean - 1, deviation) - 1


def _mean_above(mean, deviation):
    """E[max(x, 0)] for Gaussian x."""
    return mean * ndtr(mean / deviation) + deviation * _density(mean / deviation)


def _density(x):
    return jnp.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


ACTIVATIONS: dict[str, Nonlinearity] = {
    "tanh": Nonlinearity(jnp.tanh),
    "erf": Nonlinearity(
        erf,
        lambda q: (2 / np.pi * arcsine(2 * q / (1 + 2 * q)), 4 / np.pi * jax.lax.rsqrt(1 + 4 * q)),
        PairMoments(lambda q: (jax.lax.rsqrt(1 + 2 * q),), _erf_pair),
    ),
    "relu": Nonlinearity(jax.nn.relu, lambda q: (q / 2, jnp.full_like(q, 0.5)), PairMoments(_relu_side, _relu_pair)),
    "identity": Nonlinearity(
        lambda x: x, lambda q: (q, jnp.ones_like(q)), PairMoments(lambda q: (q,), lambda k, *_: (k, jnp.ones_like(k)))
    ),
    "hard_tanh": Nonlinearity(lambda x: jnp.clip(x, -1, 1), _hard_tanh_moments, smoothed=_hard_tanh_smoothed),
}
