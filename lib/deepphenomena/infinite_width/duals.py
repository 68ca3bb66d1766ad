"""Moments of pairs of Gaussians under an activation: closed forms, and a Hermite series for any other function.

A kernel needs E[φ(u)φ(v)] and E[φ'(u)φ'(v)] for Gaussians u, v with variances q₁, q₂ and covariance k, for millions of
pairs. `dual` gives both as functions of (k, q₁, q₂), split into what depends on one variance and what on the pair.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from deepphenomena.mean_field.activations import ACTIVATIONS, Nonlinearity, PairMoments
from deepphenomena.mean_field.arcsine import arcsine
from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import unknown

Activation = str | Callable[[Array], Array] | Nonlinearity

_TERMS, _UNROLLED = 64, 16  # of a Hermite series, and how many of them are added in registers
_REACH, _PANELS, _NODES = 12.0, 60, 20  # standard deviations, and a Gauss-Legendre rule on each side of the origin


def dual(activation: Activation) -> Nonlinearity:
    """Return an activation with the moments of pairs.

    Closed forms are known for the names in `NAMES` and for `leaky_relu`. Any other elementwise function gets a Hermite
    series of 64 terms. For smooth functions such as tanh it is exact to 1e-6, and to 1e-4 for E[φ'φ'] near correlation
    1, at variances up to 3. A kink costs digits where the correlation is near ±1: 1e-3 of E[φφ] and a tenth of E[φ'φ']
    at ±1 itself.

    Args:
        activation: a name, an elementwise JAX function, or an activation with moments.

    Raises:
        InputError: for an unknown name.

    Example:
        >>> u = infinite_width.dual("gelu")
        >>> [round(float(moment), 4) for moment in u.pair.of(0.5, u.pair.side(1.0), u.pair.side(1.0))]
        [0.2273, 0.3423]
    """
    if isinstance(activation, Nonlinearity):
        return activation if activation.pair else _series(activation.function)
    if callable(activation):
        return _series(activation)
    if activation not in NAMES:
        raise unknown("activation of an infinitely wide network", str(activation), NAMES)
    return NAMES[activation]


def leaky_relu(slope: float = 0.01) -> Nonlinearity:
    """Return the activation that is x above 0 and `slope · x` below; slope −1 is the absolute value.

    Source: Cho and Saul 2009, "Kernel methods for deep learning", orders 0 and 1, by linearity.

    Example:
        >>> infinite_width.leaky_relu(-1.0).function(jnp.array([-2.0, 3.0])).tolist()
        [2.0, 3.0]
    """
    slope = float(numbers.floats("slope", slope))
    kink, even = (1 - slope) ** 2, (1 + slope**2) / 2

    def of(k, one, other):
        (scale1, inverse1), (scale2, inverse2) = one, other
        c = jnp.clip(k * (inverse1 * inverse2), -1.0, 1.0)
        angle = np.pi / 2 - arcsine(c)
        bent = scale1 * scale2 * (_root(1 - c**2) - angle * c) / (2 * np.pi)
        return kink * bent + even * k, even - kink * angle / (2 * np.pi)

    return Nonlinearity(
        lambda x: jnp.where(x > 0, x, slope * x),
        lambda q: (even * q, even * jnp.ones_like(q)),
        PairMoments(ACTIVATIONS["relu"].pair.side, of),
    )


def _root(x: Array) -> Array:
    """√x for x ≥ 0, with a derivative of 0 instead of infinity at 0."""
    return jnp.sqrt(jnp.where(x > 0, x, 1.0)) * (x > 0)


def _gelu_of(k, one, other):
    """E[φφ] and E[φ'φ'] of x Φ(x), by integration by parts; D is the determinant of I + covariance."""
    (q1,), (q2,) = one, other
    determinant = (1 + q1) * (1 + q2) - k * k
    inverse = jax.lax.rsqrt(determinant)
    both = 0.25 + arcsine(k * jax.lax.rsqrt((1 + q1) * (1 + q2))) / (2 * np.pi)  # E[Φ(u)Φ(v)]
    crossed = (q2 * (1 + q1) - k * k) * inverse / (2 * np.pi)  # (1 + q₁) E[v ϕ(u) Φ(v)]
    product = q1 / (1 + q1) * crossed + k * both + k * k * inverse / (2 * np.pi * (1 + q2))
    slopes = both + k * inverse / (2 * np.pi) * (1 / (1 + q1) + 1 / (1 + q2) + inverse * inverse)
    return product, slopes


def _gelu_moments(q):
    q = jnp.asarray(q)
    return _gelu_of(q, (q,), (q,))


def _wave(odd: bool) -> Nonlinearity:
    """Sine (odd) or cosine: E[sin u sin v] = (e^(k − q) − e^(−k − q)) / 2 with q the mean variance."""

    def of(k, one, other):
        near, far = jnp.exp(k - (one[0] + other[0])), jnp.exp(-k - (one[0] + other[0]))
        sines, cosines = (near - far) / 2, (near + far) / 2
        return (sines, cosines) if odd else (cosines, sines)

    def moments(q):
        far = jnp.exp(-2 * q)
        return ((1 - far) / 2, (1 + far) / 2) if odd else ((1 + far) / 2, (1 - far) / 2)

    return Nonlinearity(jnp.sin if odd else jnp.cos, moments, PairMoments(lambda q: (q / 2,), of))


@functools.cache
def _basis() -> tuple[np.ndarray, np.ndarray]:
    """Nodes z, and the normalized Hermite polynomials there times density and weights, (terms, nodes)."""
    edges = np.linspace(-_REACH, _REACH, 2 * _PANELS + 1)
    x, w = np.polynomial.legendre.leggauss(_NODES)
    half = (edges[1] - edges[0]) / 2
    z = ((edges[1:] + edges[:-1]) / 2)[:, None] + half * x
    weights = (half * w * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)).ravel()
    z = z.ravel()
    rows = [np.ones_like(z), z]
    for n in range(1, _TERMS - 1):
        rows.append((z * rows[-1] - np.sqrt(n) * rows[-2]) / np.sqrt(n + 1))
    return z, np.stack(rows) * weights


@functools.lru_cache(maxsize=64)
def _series(function: Callable[[Array], Array]) -> Nonlinearity:
    """E[φ(u)φ(v)] = Σ aₙ(q₁) aₙ(q₂) cⁿ with Hermite coefficients a of φ(√q z) and the correlation c (Mehler)."""

    def coefficients(q):
        z, basis = (jnp.asarray(of, jnp.result_type(q, float)) for of in _basis())
        values = function(_root(jnp.asarray(q))[..., None] * z)
        return jnp.moveaxis(values @ basis.T, -1, 0)

    def side(q):
        q = jnp.asarray(q)
        inverse = jnp.where(q > 0, jax.lax.rsqrt(jnp.where(q > 0, q, 1.0)), 0.0)
        return coefficients(q), inverse

    def of(k, one, other):
        (first, inverse1), (second, inverse2) = one, other
        c = jnp.clip(k * (inverse1 * inverse2), -1.0, 1.0)

        def term(sums, both):  # Horner's scheme, with the derivative in c
            product, slope = sums
            return (product * c + both[0] * both[1], slope * c + product), None

        zeros = jnp.zeros(jnp.broadcast_shapes(c.shape, first.shape[1:], second.shape[1:]), c.dtype)
        (product, slope), _ = jax.lax.scan(term, (zeros, zeros), (first[::-1], second[::-1]), unroll=_UNROLLED)
        return product, slope * (inverse1 * inverse2)

    def moments(q):
        z, basis = (jnp.asarray(of, jnp.result_type(q, float)) for of in _basis())
        at = _root(jnp.asarray(q))[..., None] * z
        _, slopes = jax.jvp(function, (at,), (jnp.ones_like(at),))
        return function(at) ** 2 @ basis[0], slopes**2 @ basis[0]

    return Nonlinearity(function, moments, PairMoments(side, of))


NAMES: dict[str, Nonlinearity] = {
    **{name: of for name, of in ACTIVATIONS.items() if of.pair and of.moments},
    "gelu": Nonlinearity(
        functools.partial(jax.nn.gelu, approximate=False), _gelu_moments, PairMoments(lambda q: (q,), _gelu_of)
    ),
    "leaky_relu": leaky_relu(),
    "sin": _wave(True),
    "cos": _wave(False),
    "tanh": _series(jnp.tanh),
}
