"""Second moments of a nonlinearity under a Gaussian, in closed form or by quadrature.

Sources: erf: Williams 1997, "Computing with infinite networks", equation 11. ReLU: Cho & Saul 2009, "Kernel methods for
deep learning", order 1. Quadrature: the trapezoidal rule. On the whole line it needs far fewer nodes than Gauss-Hermite
for the same accuracy (Trefethen 2022, "Exactness of quadrature formulas", Section 5).
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf, ndtr
from jaxtyping import Array, Float

from deepphenomena.runtime.errors import InputError, unknown

Activation = str | Callable[[Array], Array]
Number = float | Float[Array, ""]

FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "erf": erf,
    "relu": jax.nn.relu,
    "identity": lambda x: x,
    "hard_tanh": lambda x: jnp.clip(x, -1, 1),
}

_REACH = 8.5  # standard deviations; the density beyond is 1e-16 of its peak
_LINE = np.linspace(-_REACH, _REACH, 1025)
_PLANE = np.linspace(-_REACH, _REACH, 171)


def function_of(activation: Activation) -> Callable[[Array], Array]:
    """Return the nonlinearity, given by name or as a function. Raise InputError for an unknown name."""
    if callable(activation):
        return activation
    if activation not in FUNCTIONS:
        raise unknown("activation", str(activation), FUNCTIONS)
    return FUNCTIONS[activation]


def _weights(nodes: np.ndarray) -> np.ndarray:
    density = np.exp(-(nodes**2) / 2)
    return density / density.sum()


def expectation(function: Callable[[Array], Array], q: Number) -> Float[Array, ""]:
    """Compute `E[f(√q z)]` for standard normal z, with 1,025 nodes.

    Exact to rounding where f is analytic near the real line. The error is about 1e-5 where f has a kink, and 1e-3 where
    it has a jump.

    Example:
        >>> round(float(mean_field.expectation(jnp.square, 2.0)), 4)
        2.0
    """
    dtype = jnp.result_type(q)
    return jnp.asarray(_weights(_LINE), dtype) @ function(jnp.sqrt(q) * jnp.asarray(_LINE, dtype))


def second_moment(activation: Activation, q: Number) -> Float[Array, ""]:
    """Compute `E[φ(√q z)²]` for standard normal z.

    Example:
        >>> float(mean_field.second_moment("relu", 1.0))
        0.5
    """
    phi, q = function_of(activation), jnp.asarray(q)
    if activation == "identity":
        return q
    if activation == "relu":
        return q / 2
    if activation == "erf":
        return 2 / math.pi * jnp.arcsin(2 * q / (1 + 2 * q))
    if activation == "hard_tanh":
        edge = 1 / _root(q)
        inside = erf(edge / math.sqrt(2))
        return q * (inside - 2 * edge * _density(edge)) + 1 - inside
    return expectation(lambda u: phi(u) ** 2, q)


def slope_moment(activation: Activation, q: Number) -> Float[Array, ""]:
    """Compute `E[φ'(√q z)²]` for standard normal z.

    Example:
        >>> float(mean_field.slope_moment("relu", 1.0))
        0.5
    """
    phi, q = function_of(activation), jnp.asarray(q)
    if activation == "identity":
        return jnp.ones_like(q)
    if activation == "relu":
        return jnp.full_like(q, 0.5)
    if activation == "erf":
        return 4 / math.pi / jnp.sqrt(1 + 4 * q)
    if activation == "hard_tanh":
        return erf(1 / (_root(q) * math.sqrt(2)))
    return expectation(lambda u: jax.jvp(phi, (u,), (jnp.ones_like(u),))[1] ** 2, q)


def cross_moment(activation: Activation, q1: Number, q2: Number, c: Number) -> Float[Array, ""]:
    """Compute `E[φ(u₁) φ(u₂)]` for Gaussian u with variances q₁, q₂ and correlation −1 ≤ c ≤ 1.

    Exact for the named activations ("hard_tanh" and "tanh": to 1e-5 or better). Another function uses a product rule of
    171 x 171 nodes: exact to rounding where it is analytic near the real line, to about 1e-3 where it has a kink.
    Differentiable for −1 < c < 1.

    Example:
        >>> round(float(mean_field.cross_moment("relu", 1.0, 1.0, 0.0)), 4)  # 1 / 2π
        0.1592
    """
    phi = function_of(activation)
    c = jnp.clip(c, -1, 1)
    if activation == "identity":
        return c * _root(q1) * _root(q2)
    if activation == "relu":
        return _root(q1) * _root(q2) / (2 * math.pi) * (_root(1 - c**2) + c * (math.pi - jnp.arccos(c)))
    if activation == "erf":
        sine = 2 * c * _root(q1) * _root(q2) / jnp.sqrt((1 + 2 * q1) * (1 + 2 * q2))
        return 2 / math.pi * jnp.arcsin(sine)
    rest = _root(1 - c**2)
    if activation == "hard_tanh":  # given u₁, the mean of the clipped u₂ is known
        u = _root(q1) * jnp.asarray(_LINE, jnp.result_type(q1))
        mean, deviation = c * _root(q2) / _root(q1) * u, rest * _root(q2)
        clipped = _mean_above(mean + 1, deviation) - _mean_above(mean - 1, deviation) - 1
        return jnp.asarray(_weights(_LINE), u.dtype) @ (phi(u) * clipped)
    z = jnp.asarray(_PLANE, jnp.result_type(q1))
    weights = jnp.asarray(_weights(_PLANE), z.dtype)
    second = phi(_root(q2) * (c * z[:, None] + rest * z)) @ weights
    return weights @ (phi(_root(q1) * z) * second)


def _root(q):
    """Compute √q, bounded away from zero so that derivatives stay finite."""
    return jnp.sqrt(jnp.maximum(q, jnp.finfo(jnp.result_type(q)).tiny))


def _density(x):
    return jnp.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def _mean_above(mean, deviation):
    """Compute `E[max(x, 0)]` for Gaussian x."""
    return mean * ndtr(mean / deviation) + deviation * _density(mean / deviation)


def check_variances(weight_variance, bias_variance) -> None:
    """Raise InputError for a negative or NaN variance. Traced values are not checked."""
    for name, value in (("weight_variance", weight_variance), ("bias_variance", bias_variance)):
        if not isinstance(value, jax.core.Tracer) and not (np.asarray(value) >= 0).all():
            raise InputError(f"{name} {value}: a variance is zero or more; change it")
