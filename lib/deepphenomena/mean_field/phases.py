"""Signal propagation in wide random networks: fixed points, the order-to-chaos line and depth scales.

Fully connected and convolutional networks share all of these (Xiao et al. 2018, Section 2.1; Poole et al. 2016;
Schoenholz et al. 2017). Throughout, σ_w² is the variance of a weight times its fan-in and σ_b² that of a bias; q is the
variance of a pre-activation and c the correlation of the pre-activations of two inputs. The dtype is that of the
variances given: a network of thousands of layers multiplies rounding by its depth, so compute its critical point under
`jax.enable_x64`.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from deepphenomena.mean_field.activations import Activation, nonlinearity
from deepphenomena.mean_field.moments import check_variances, cross_moment, floating, second_moment, slope_moment
from deepphenomena.mean_field.quadrature import Number
from deepphenomena.runtime.errors import InputError

_HALVINGS = 100
_DOUBLINGS = 40


class FixedPoint(NamedTuple):
    """What signals become in a deep network: the variance q* and the correlation c* of any two of them."""

    variance: Number
    correlation: Number


class DepthScales(NamedTuple):
    """Layers over which a deviation from the fixed point shrinks by a factor e; infinite on the critical line."""

    variance: Number
    correlation: Number


class PhaseDiagram(NamedTuple):
    """Fixed points, χ₁ and ξ_c over a grid; each is (weight variances, bias variances)."""

    variance: Float[Array, "weights biases"]
    correlation: Float[Array, "weights biases"]
    chi: Float[Array, "weights biases"]
    depth_scale: Float[Array, "weights biases"]


def variance_map(activation: Activation, weight_variance: Number, bias_variance: Number, q: Number) -> Number:
    """The variance of the next layer's pre-activations: σ_w² E[φ(√q z)²] + σ_b²."""
    return weight_variance * second_moment(activation, q) + bias_variance


def correlation_map(
    activation: Activation, weight_variance: Number, bias_variance: Number, c: Number, *, q: Number | None = None
) -> Number:
    """The next layer's correlation of two inputs that both have variance q, by default q*."""
    q = fixed_variance(activation, weight_variance, bias_variance) if q is None else q
    return _next_covariance(activation, weight_variance, bias_variance, c, q) / variance_map(
        activation, weight_variance, bias_variance, q
    )


def chi(activation: Activation, weight_variance: Number, bias_variance: Number) -> Number:
    """χ₁ = σ_w² E[φ'(√q* z)²]: what a layer does to the mean squared gradient. 1 on the order-to-chaos line."""
    return _chi(activation, *_floating(activation, weight_variance, bias_variance))


def fixed_variance(activation: Activation, weight_variance: Number, bias_variance: Number) -> Number:
    """q*, the variance that a layer leaves as it is; infinite where variances grow without bound."""
    return _fixed_variance(activation, *_floating(activation, weight_variance, bias_variance))


def fixed_point(activation: Activation, weight_variance: Number, bias_variance: Number) -> FixedPoint:
    """(q*, c*). In the ordered phase, χ₁ ≤ 1, c* = 1; in the chaotic phase it is the stable root below 1.

    Differentiable in both variances, by the implicit function theorem. InputError for a negative variance or an
    unknown activation; the same holds throughout this module.
    """
    return _fixed_point(activation, *_floating(activation, weight_variance, bias_variance))


def depth_scale(activation: Activation, weight_variance: Number, bias_variance: Number) -> DepthScales:
    """ξ_q = −1 / log χ_q* and ξ_c = −1 / log χ_c*, in layers: how far deviations of variance and correlation reach."""
    arguments = _floating(activation, weight_variance, bias_variance)
    return DepthScales(_reach(_chi_variance(activation, *arguments)), _reach(_chi_correlation(activation, *arguments)))


def critical_line(activation: Activation, q: Number) -> tuple[Number, Number]:
    """(σ_w², σ_b²) where χ₁ = 1 and the fixed point is q: 1 / E[φ'²] and q − σ_w² E[φ²].

    InputError where no bias variance makes it so, for then σ_b² would be negative.
    """
    nonlinearity(activation)
    weight_variance, bias_variance = _critical_line(activation, floating(q))
    if not isinstance(bias_variance, jax.core.Tracer):
        rounding = 100 * jnp.finfo(bias_variance.dtype).eps * jnp.asarray(q)
        if bool(jnp.any(bias_variance < -rounding)) or bool(jnp.any(jnp.asarray(q) <= 0)):
            raise InputError(f"no critical point with variance q* = {q}: it must be positive and leave σ_b² ≥ 0")
    return weight_variance, jnp.maximum(bias_variance, 0)


def critical_point(activation: Activation, weight_variance: Number) -> tuple[Number, Number]:
    """(σ_b², q*) on the critical line at a given σ_w². For saturating activations, which have one for each σ_w² > 1.

    InputError where σ_w² has none.
    """
    nonlinearity(activation)
    weight_variance = floating(weight_variance)
    q = _critical_variance(activation, weight_variance)
    if not isinstance(q, jax.core.Tracer) and not bool(jnp.isfinite(q) & (q > 0)):
        raise InputError(f"no point of the critical line has weight_variance {weight_variance}: take one above 1")
    return _critical_line(activation, q)[1], q


def phase_diagram(
    activation: Activation, weight_variances: Float[Array, " weights"], bias_variances: Float[Array, " biases"]
) -> PhaseDiagram:
    """Fixed points, χ₁ and ξ_c at every pair of a weight and a bias variance."""
    weight, bias = (floating(np.atleast_1d(values)) for values in (weight_variances, bias_variances))
    _floating(activation, weight, bias)
    grid = [axis.ravel() for axis in jnp.meshgrid(weight, bias, indexing="ij")]
    found = _phase_diagram(activation, *grid)
    return PhaseDiagram(*(column.reshape(weight.size, bias.size) for column in found))


def _floating(activation, weight_variance, bias_variance) -> tuple[Array, Array]:
    nonlinearity(activation)
    check_variances(weight_variance, bias_variance)
    weight, bias = floating(weight_variance), floating(bias_variance)
    dtype = jnp.result_type(weight, bias)
    return weight.astype(dtype), bias.astype(dtype)


def _reach(chi: Number) -> Number:
    return jnp.where(chi < 1, -1 / jnp.log(jnp.where(chi < 1, chi, 0.5)), jnp.inf)


def _bisect(above, low, high):
    """The end of [low, high] below which `above(x)` is true, by halving."""

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        up = above(middle)
        return jnp.where(up, middle, low), jnp.where(up, high, middle)

    return sum(lax.fori_loop(0, _HALVINGS, halve, (low, high))) / 2


def _implicit(residual, root, *arguments):
    """`root` as a differentiable function of the arguments, where residual(root, *arguments) = 0: one Newton step."""
    root, fixed = lax.stop_gradient((root, arguments))
    slope = jax.grad(residual)(root, *fixed)
    return root - residual(root, *arguments) / jnp.where(slope == 0, 1, slope)


@functools.partial(jax.jit, static_argnames="activation")
def _fixed_variance(activation, weight_variance, bias_variance):
    def surplus(q, weight_variance, bias_variance):
        return variance_map(activation, weight_variance, bias_variance, q) - q

    fixed = lax.stop_gradient((weight_variance, bias_variance))
    ends = (2.0 * sum(fixed) + 1e-3) * 2.0 ** jnp.arange(_DOUBLINGS, dtype=weight_variance.dtype)
    below = jax.vmap(lambda q: surplus(q, *fixed) < 0)(ends)
    high = ends[jnp.argmax(below)]
    root = _bisect(lambda q: surplus(q, *fixed) > 0, jnp.zeros_like(high), high)
    tiny = jnp.finfo(high.dtype).eps ** 2 * high
    differentiable = _implicit(surplus, jnp.maximum(root, tiny), weight_variance, bias_variance)
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

    chaotic = _chi(activation, weight_variance, bias_variance) > 1
    fixed = lax.stop_gradient((weight_variance, bias_variance, jnp.where(jnp.isfinite(q) & (q > 0), q, 1.0)))
    high = jnp.asarray(1 - jnp.finfo(q.dtype).eps ** 0.5, q.dtype)  # 1 itself is a root, an unstable one
    root = lax.cond(
        chaotic, lambda: _bisect(lambda c: surplus(c, *fixed) > 0, jnp.zeros_like(high), high), lambda: high * 0.5
    )
    safe = jnp.where(chaotic & jnp.isfinite(q), q, fixed[2])
    differentiable = _implicit(surplus, root, weight_variance, bias_variance, safe)
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
    root = _bisect(lambda log_q: surplus(log_q, fixed) > 0, low, high)
    return jnp.where(crossed, jnp.exp(_implicit(surplus, root, weight_variance)), jnp.nan)


@functools.partial(jax.jit, static_argnames="activation")
def _phase_diagram(activation, weight_variances, bias_variances):
    def at(pair):
        q, c = _fixed_point(activation, *pair)
        return q, c, _chi(activation, *pair), _reach(_chi_correlation(activation, *pair))

    return lax.map(at, (weight_variances, bias_variances))
