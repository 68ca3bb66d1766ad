"""Second moments of a nonlinearity and of its derivative under a Gaussian: one layer of an infinitely wide network.

For (u, v) Gaussian with variances q₁, q₂ and covariance k, each nonlinearity here knows E[φ(u)φ(v)] and E[φ'(u)φ'(v)].
Sources: ReLU: Cho & Saul 2009, "Kernel methods for deep learning", orders 1 and 0. erf: Williams 1997, "Computing with
infinite networks", equation 11, and its derivative.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp

# arcsin(s) = s · P(s²) on 0 ≤ s ≤ ½; fitted for the least relative error, 8e-8.
_ARCSINE = (1.0000001192092896, 0.16665130853652954, 0.07547153532505035, 0.03967789560556412, 0.05059202015399933)


@jax.custom_jvp
def arcsine(x):
    """arcsin(x) on [−1, 1] to the accuracy of float32, at a fifth of the cost of `jnp.arcsin`.

    Its derivative at ±1, which is infinite, is taken to be 0. Above ½ it uses arcsin x = π/2 − 2 arcsin √((1 − x)/2).
    """
    if x.dtype != jnp.float32:
        return jnp.arcsin(x)
    size = jnp.abs(x)
    small = size <= 0.5
    square = jnp.where(small, size * size, 0.5 - 0.5 * size)
    root = jnp.where(small, size, jnp.sqrt(square))
    polynomial = _ARCSINE[-1]
    for coefficient in _ARCSINE[-2::-1]:
        polynomial = polynomial * square + coefficient
    near = root * polynomial
    positive = jnp.where(small, near, np.pi / 2 - 2 * near)
    return jnp.where(x < 0, -positive, positive)


@arcsine.defjvp
def _arcsine_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    rest = (1 - x) * (1 + x)
    inside = rest > 0
    return arcsine(x), jnp.where(inside, jax.lax.rsqrt(jnp.where(inside, rest, 1.0)), 0.0) * dx


@jax.custom_jvp
def _wedge(c):
    """√(1 − c²) + c·(π/2 + arcsin c), whose derivative is finite everywhere though its terms' are not."""
    return jnp.sqrt((1 - c) * (1 + c)) + c * (np.pi / 2 + arcsine(c))


@_wedge.defjvp
def _wedge_jvp(primals, tangents):
    (c,), (dc,) = primals, tangents
    return _wedge(c), (np.pi / 2 + arcsine(c)) * dc


class Dual(NamedTuple):
    """A nonlinearity in the infinite-width limit.

    Attributes:
        side: what `moments` needs of one input's variances, computed once for all pairs; a tuple of arrays.
        moments: (k, side₁, side₂) -> (E[φφ], E[φ'φ']), sides shaped to broadcast against k.
        diagonal: variances q -> (E[φ²], E[φ'²]): the moments of an input with itself, exactly.
    """

    side: Callable[[Any], tuple]
    moments: Callable[[Any, tuple, tuple], tuple]
    diagonal: Callable[[Any], tuple]


def _relu_side(q):
    alive = q > 0
    inverse = jnp.where(alive, jax.lax.rsqrt(jnp.where(alive, q, 1.0)), 0.0)
    return q * inverse, inverse


def _relu_moments(k, one, other):
    (scale1, inverse1), (scale2, inverse2) = one, other
    c = jnp.clip(k * (inverse1 * inverse2), -1.0, 1.0)
    angle = np.pi / 2 + arcsine(c)
    return (scale1 * scale2) * _wedge(c) / (2 * np.pi), angle / (2 * np.pi)


def _erf_moments(k, one, other):
    inverse = one[0] * other[0]
    sine = 2 * k * inverse
    return 2 / np.pi * arcsine(sine), 4 / np.pi * inverse * jax.lax.rsqrt((1 - sine) * (1 + sine))


DUALS = {
    "relu": Dual(_relu_side, _relu_moments, lambda q: (q / 2, jnp.full_like(q, 0.5))),
    "erf": Dual(
        lambda q: (jax.lax.rsqrt(1 + 2 * q),),
        _erf_moments,
        lambda q: (2 / np.pi * arcsine(2 * q / (1 + 2 * q)), 4 / np.pi * jax.lax.rsqrt(1 + 4 * q)),
    ),
}
