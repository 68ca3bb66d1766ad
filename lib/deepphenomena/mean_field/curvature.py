"""Mean-field theory of a circle on its way through a wide random network: length, curvature and turning.

Source: Poole et al. 2016, "Exponential expressivity in deep neural networks through transient chaos", Section 4. The
circle starts in the first layer's pre-activations with the mean square q*, and so do all of its images. Per layer the
squared speed g grows by χ₁ and the squared curvature follows `κ² ↦ 3χ₂ / (N χ₁²) + κ² / χ₁`.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from deepphenomena.mean_field.activations import Activation, nonlinearity
from deepphenomena.mean_field.moments import checked_variances
from deepphenomena.mean_field.phases import chi, fixed_variance
from deepphenomena.mean_field.quadrature import Number, expectation
from deepphenomena.runtime.errors import InputError

_BROKEN = {"relu", "hard_tanh"}  # their slope jumps, so its derivative has no square


class CircleTheory(NamedTuple):
    """What theory says of a great circle in layers 1, 2, ..., that is, before and after each random layer.

    Attributes:
        speed: squared speed over the number of units; at first q*.
        curvature: squared curvature times the number of units; at first 1/q*.
        turning: the Grassmannian length; at first 2π.

    Example:
        >>> curvature.circle_theory("tanh", 6.25, 0.09, 3).turning.shape
        (3,)
    """

    speed: Float[Array, " layers"]
    curvature: Float[Array, " layers"]
    turning: Float[Array, " layers"]


def curvature_moment(activation: Activation, q: Number) -> Number:
    """Compute `E[φ''(√q z)²]` for standard normal z, for a smooth φ.

    Raises:
        InputError: ReLU and hard tanh, whose slope jumps: the moment is infinite. Other functions are not examined.

    Example:
        >>> float(curvature.curvature_moment(jnp.square, 1.0))
        4.0
    """
    if activation in _BROKEN:
        raise InputError(
            f"curvature_moment of {activation}: its slope jumps, so E[φ''²] is infinite; take a smooth one"
        )

    def slope(u):
        return jax.jvp(nonlinearity(activation).function, (u,), (jnp.ones_like(u),))[1]

    return expectation(lambda u: jax.jvp(slope, (u,), (jnp.ones_like(u),))[1] ** 2, q)


def chi_2(activation: Activation, weight_variance: Number, bias_variance: Number) -> Float[Array, ""]:
    """Compute `χ₂ = σ_w² E[φ''(√q* z)²]`, from which the curvature of curves comes.

    Raises:
        InputError: as `curvature_moment`; or a variance that is negative, infinite or NaN.

    Example:
        >>> round(float(curvature.chi_2("tanh", 6.25, 0.09)), 2)
        1.2
    """
    weight_variance, bias_variance = checked_variances(activation, weight_variance, bias_variance)
    return weight_variance * curvature_moment(activation, fixed_variance(activation, weight_variance, bias_variance))


def circle_theory(activation: Activation, weight_variance: Number, bias_variance: Number, layers: int) -> CircleTheory:
    """Compute what becomes of a great circle of mean square q* in the first `layers` layers of a wide network.

    The turning does not depend on the number of units. In the ordered phase it stays finite; in the chaotic phase it
    ends up growing by √χ₁ per layer.

    Example:
        >>> theory = curvature.circle_theory("tanh", 6.25, 0.09, 40)
        >>> growth = theory.turning[1:] / theory.turning[:-1]
        >>> round(float(growth[0]), 3), round(float(growth[-1]), 3)  # the last is √χ₁
        (3.199, 1.259)
    """
    q = fixed_variance(activation, weight_variance, bias_variance)
    chi1, chi2 = chi(activation, weight_variance, bias_variance), chi_2(activation, weight_variance, bias_variance)
    return _circle(q, chi1, chi2, layers)


@functools.partial(jax.jit, static_argnames="layers")
def _circle(q, chi1, chi2, layers):
    def layer(state, _):
        speed, bend = state
        return (chi1 * speed, 3 * chi2 / chi1**2 + bend / chi1), state

    _, (speed, bend) = jax.lax.scan(layer, (q, 1 / q), length=layers)
    return CircleTheory(speed, bend, 2 * math.pi * jnp.sqrt(speed * bend))
