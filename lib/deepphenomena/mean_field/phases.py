"""Signal propagation in wide random networks: fixed points, the order-to-chaos line and depth scales.

Fully connected and convolutional networks share these quantities (Xiao et al. 2018, Section 2.1; Poole et al. 2016;
Schoenholz et al. 2017). σ_w² is the variance of a weight times its fan-in and σ_b² the variance of a bias; q is the
variance of a pre-activation and c the correlation of the pre-activations of two inputs. Results have the dtype of the
variances. A network of thousands of layers multiplies rounding errors by its depth: compute its critical point under
`jax.enable_x64`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from deepphenomena.mean_field.activations import Activation, nonlinearity
from deepphenomena.mean_field.moments import checked_variances, cross_moment, floating, second_moment, slope_moment
from deepphenomena.mean_field.quadrature import Number
from deepphenomena.mean_field.results import DepthScales, FixedPoint, PhaseDiagram
from deepphenomena.mean_field.roots import bisect, implicit
from deepphenomena.runtime import numbers
from deepphenomena.runtime.errors import InputError, shown

_DOUBLINGS = 40


def variance_map(activation: Activation, weight_variance: Number, bias_variance: Number, q: Number) -> Float[Array, ""]:
    """Compute the variance of the next layer's pre-activations: `σ_w² E[φ(√q z)²] + σ_b²`.

    Example:
        >>> round(float(mean_field.variance_map("tanh", 1.5, 0.1, 1.0)), 3)
        0.691
    """
    return weight_variance * second_moment(activation, q) + bias_variance


def correlation_map(
    activation: Activation, weight_variance: Number, bias_variance: Number, c: Number, *, q: Number | None = None
) -> Float[Array, ""]:
    """Compute the next layer's correlation of two inputs that both have variance q. The default of q is q*.

    Where q* is 0 or infinite it is the limit: ReLU at σ_w² = 2 has a correlation whatever its variance.

    Raises:
        InputError: a variance that is negative, infinite or NaN, or a correlation outside [−1, 1].

    Example:
        >>> round(float(mean_field.correlation_map("tanh", 1.5, 0.1, 0.5)), 3)
        0.584
    """
    weight_variance, bias_variance = checked_variances(activation, weight_variance, bias_variance)
    if numbers.known(c) and not (np.abs(np.asarray(numbers.array("c", c), np.float64)) <= 1).all():
        raise InputError(f"correlation c of {shown(c)}: it lies between -1 and 1")
    if q is None:
        q = _moderate(_fixed_variance(activation, weight_variance, bias_variance))
    numbers.check_variance("q", q)
    return _next_covariance(activation, weight_variance, bias_variance, c, q) / variance_map(
        activation, weight_variance, bias_variance, q
    )


def chi(activation: Activation, weight_variance: Number, bias_variance: Number) -> Float[Array, ""]:
    """Compute `χ₁ = σ_w² E[φ'(√q* z)²]`, the factor by which a layer scales the mean squared gradient.

    χ₁ is 1 on the order-to-chaos line.

    Example:
        >>> float(mean_field.chi("relu", 2.0, 0.0))
        1.0
    """
    return _chi(activation, *checked_variances(activation, weight_variance, bias_variance))


def fixed_variance(activation: Activation, weight_variance: Number, bias_variance: Number) -> Float[Array, ""]:
    """Compute q*, the variance that a layer leaves unchanged; infinite where variances grow without bound, and where
    every variance is left unchanged, as by ReLU at σ_w² = 2 and σ_b² = 0.

    Example:
        >>> round(float(mean_field.fixed_variance("relu", 1.0, 0.1)), 3)
        0.2
    """
    return _fixed_variance(activation, *checked_variances(activation, weight_variance, bias_variance))


def fixed_point(activation: Activation, weight_variance: Number, bias_variance: Number) -> FixedPoint:
    """Compute the fixed point (q*, c*).

    In the ordered phase, χ₁ ≤ 1, c* is 1; in the chaotic phase it is the stable root below 1. Differentiable in both
    variances, by the implicit function theorem.

    Raises:
        InputError: a negative variance or an unknown activation. The other functions of this module raise it too.

    Example:
        >>> float(mean_field.fixed_point("tanh", 1.0, 0.1).correlation)  # ordered
        1.0
        >>> round(float(mean_field.fixed_point("tanh", 3.0, 0.1).correlation), 3)  # chaotic
        0.478
    """
    return _fixed_point(activation, *checked_variances(activation, weight_variance, bias_variance))


def depth_scale(activation: Activation, weight_variance: Number, bias_variance: Number) -> DepthScales:
    """Compute the depth scales of variance and correlation, in layers: `ξ_q = −1 / log χ_q*` and `ξ_c = −1 / log χ_c*`.

    Example:
        >>> scales = mean_field.depth_scale("tanh", 3.0, 0.1)
        >>> round(float(scales.variance), 3), round(float(scales.correlation), 2)
        (0.983, 8.98)
    """
    arguments = checked_variances(activation, weight_variance, bias_variance)
    return DepthScales(_reach(_chi_variance(activation, *arguments)), _reach(_chi_correlation(activation, *arguments)))


def critical_line(activation: Activation, q: Number) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Compute the point (σ_w², σ_b²) of the critical line, χ₁ = 1, whose fixed point is q.

    The weight variance is `1 / E[φ'²]` and the bias variance `q − σ_w² E[φ²]`.

    Raises:
        InputError: there is no such point, because σ_b² would be negative.

    Example:
        >>> weight_variance, bias_variance = mean_field.critical_line("tanh", 0.5)
        >>> round(float(weight_variance), 3), round(float(bias_variance), 3)
        (1.688, 0.038)
    """
    nonlinearity(activation)
    weight_variance, bias_variance = _critical_line(activation, floating(q))
    if not isinstance(bias_variance, jax.core.Tracer):
        rounding = 100 * jnp.finfo(bias_variance.dtype).eps * jnp.asarray(q)
        if bool(jnp.any(bias_variance < -rounding)) or bool(jnp.any(jnp.asarray(q) <= 0)):
            raise InputError(f"no critical point with variance q* = {q}: it must be positive and leave σ_b² ≥ 0")
    return weight_variance, jnp.maximum(bias_variance, 0)


def critical_point(activation: Activation, weight_variance: Number) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Compute (σ_b², q*) on the critical line for a given σ_w².

    Use it with saturating activations: they have one such point for each σ_w² > 1.

    Raises:
        InputError: no point of the critical line has this σ_w².

    Example:
        >>> bias_variance, q = mean_field.critical_point("tanh", 1.5)
        >>> round(float(bias_variance), 4), round(float(q), 4)
        (0.0158, 0.3342)
    """
    nonlinearity(activation)
    weight_variance = floating(weight_variance)
    q = _critical_variance(activation, weight_variance)
    if not isinstance(q, jax.core.Tracer) and not bool(jnp.isfinite(q) & (q > 0)):
        raise InputError(f"no point of the critical line has weight_variance {weight_variance}: take one above 1")
    return _critical_line(activation, q)[1], q


def phase_diagram(activation: Activation, weight_variances: ArrayLike, bias_variances: ArrayLike) -> PhaseDiagram:
    """Compute fixed points, χ₁ and ξ_c at every pair of a weight and a bias variance.

    Args:
        activation: a name of `ACTIVATIONS`, or an elementwise function.
        weight_variances, bias_variances: one number or a sequence each, the axes of the result.

    Example:
        >>> diagram = mean_field.phase_diagram("tanh", jnp.asarray([1.0, 3.0]), jnp.asarray([0.1]))
        >>> diagram.chi.ravel() > 1  # ordered, chaotic
        Array([False,  True], dtype=bool)
    """
    weight, bias = (floating(np.atleast_1d(values)) for values in (weight_variances, bias_variances))
    checked_variances(activation, weight, bias)
    grid = [axis.ravel() for axis in jnp.meshgrid(weight, bias, indexing="ij")]
    found = _phase_diagram(activation, *grid)
    return PhaseDiagram(*(column.reshape(weight.size, bias.size) for column in found))


def _moderate(q: Float[Array, ""]) -> Float[Array, ""]:
    """Return q, and numbers that stand for its limits 0 and infinity and whose moments are finite."""
    return jnp.where(q > 0, jnp.minimum(q, 1e12), 1e-6)


def _reach(chi: Float[Array, "*modes"]) -> Float[Array, "*modes"]:
    return jnp.where(chi < 1, -1 / jnp.log(jnp.where(chi < 1, chi, 0.5)), jnp.inf)


@functools.partial(jax.jit, static_argnames="activation")
def _fixed_variance(activation, weight_variance, bias_variance):
    def surplus(q, weight_variance, bias_variance):
        return variance_map(activation, weight_variance, bias_variance, q) - q

    fixed = lax.stop_gradient((weight_variance, bias_variance))
    ends = (2.0 * sum(fixed) + 1e-3) * 2.0 ** jnp.arange(_DOUBLINGS, dtype=weight_variance.dtype)
    below = jax.vmap(lambda q: surplus(q, *fixed) < 0)(ends)
    high = ends[jnp.argmax(below)]
    root = bisect(lambda q: surplus(q, *fixed) > 0, jnp.zeros_like(high), high)
    tiny = jnp.finfo(high.dtype).eps ** 2 * high
    differentiable = implicit(surplus, jnp.maximum(root, tiny), weight_variance, bias_variance)
    return jnp.where(below.any(), jnp.where(root > tiny, differentiable, 0.0), jnp.inf)


@functools.partial(jax.jit, static_argnames="activation")
def _chi(activation, weight_variance, bias_variance):
    q = _fixed_variance(activation, weight_variance, bias_variance)
    return weight_variance * slope_moment(activation, q)


@functools.partial(jax.jit, static_argnames="activation")
def _chi_variance(activation, weight_variance, bias_variance):
    q = _fixed_variance(activation, weight_variance, bias_variance)
    q = jnp.where(q > 0, q, jnp.finfo(q.dtype).eps)
    return jax.grad(variance_map, argnums=3)(activation, weight_variance, bias_variance, q)


def _next_covariance(activation, weight_variance, bias_variance, c, q):
    return weight_variance * cross_moment(activation, q, q, c) + bias_variance


@functools.partial(jax.jit, static_argnames="activation")
def _fixed_point(activation, weight_variance, bias_variance):
    q = _fixed_variance(activation, weight_variance, bias_variance)

    def surplus(c, weight_variance, bias_variance, q):
        return _next_covariance(activation, weight_variance, bias_variance, c, q) / q - c

    # Where variances grow without bound, a correlation grows only if slopes grow faster than the variance does.
    large = _moderate(q)
    growth = jnp.where(jnp.isfinite(q), 1, variance_map(activation, weight_variance, bias_variance, large) / large)
    chaotic = _chi(activation, weight_variance, bias_variance) > growth
    fixed = lax.stop_gradient((weight_variance, bias_variance, jnp.where(jnp.isfinite(q) & (q > 0), q, 1.0)))
    high = jnp.asarray(1 - jnp.finfo(q.dtype).eps ** 0.5, q.dtype)  # 1 itself is a root, an unstable one
    root = lax.cond(
        chaotic, lambda: bisect(lambda c: surplus(c, *fixed) > 0, jnp.zeros_like(high), high), lambda: high * 0.5
    )
    safe = jnp.where(chaotic & jnp.isfinite(q), q, fixed[2])
    differentiable = implicit(surplus, root, weight_variance, bias_variance, safe)
    return FixedPoint(q, jnp.where(chaotic, differentiable, 1.0))


@functools.partial(jax.jit, static_argnames="activation")
def _chi_correlation(activation, weight_variance, bias_variance):
    """d c' / d c at c*: χ₁ in the ordered phase."""
    q, c = _fixed_point(activation, weight_variance, bias_variance)
    slope = jax.grad(_next_covariance, argnums=3)
    inside = slope(activation, weight_variance, bias_variance, jnp.where(c < 1, c, 0.5), jnp.where(c < 1, q, 1.0)) / q
    return jnp.where(c < 1, inside, _chi(activation, weight_variance, bias_variance))


@functools.partial(jax.jit, static_argnames="activation")
def _critical_line(activation, q):
    weight_variance = 1 / slope_moment(activation, q)
    return weight_variance, q - weight_variance * second_moment(activation, q)


@functools.partial(jax.jit, static_argnames="activation")
def _critical_variance(activation, weight_variance):
    def surplus(log_q, weight_variance):
        return jnp.log(weight_variance * slope_moment(activation, jnp.exp(log_q)))

    low, high = (jnp.log(jnp.asarray(end, weight_variance.dtype)) for end in (1e-8, 1e4))
    fixed = lax.stop_gradient(weight_variance)
    crossed = (surplus(low, fixed) > 0) & (surplus(high, fixed) < 0)
    root = bisect(lambda log_q: surplus(log_q, fixed) > 0, low, high)
    return jnp.where(crossed, jnp.exp(implicit(surplus, root, weight_variance)), jnp.nan)


@functools.partial(jax.jit, static_argnames="activation")
def _phase_diagram(activation, weight_variances, bias_variances):
    def at(pair):
        q, c = _fixed_point(activation, *pair)
        return q, c, _chi(activation, *pair), _reach(_chi_correlation(activation, *pair))

    return lax.map(at, (weight_variances, bias_variances))
