"""The geometry of a curve and of its images: velocity, acceleration, curvature, length and turning.

Source: Poole et al. 2016, "Exponential expressivity in deep neural networks through transient chaos", Section 4. The
Gauss map takes a point of a curve to its tangent direction. The length of the image under it, here called turning, is
the Grassmannian length of the paper: how far the tangent turns along the whole curve.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Key

from deepphenomena.runtime import sampling
from deepphenomena.runtime.arrays import Array

FULL_TURN = 2 * math.pi


class Curve(NamedTuple):
    """Points of a curve in a space of `units` dimensions, with the first two derivatives in its parameter.

    Example:
        >>> curves.great_circle(jax.random.key(0), jnp.linspace(0, 1, 5), units=8, variance=2.0).velocity.shape
        (5, 8)
    """

    position: Float[Array, "points units"]
    velocity: Float[Array, "points units"]
    acceleration: Float[Array, "points units"]


def great_circle(
    key: Key[jax.Array, ""], angles: Float[Array, " points"], *, units: int, variance: Float[Array, ""] | float
) -> Curve:
    """Draw a random great circle `√(units · variance) (u₀ cos θ + u₁ sin θ)`, u₀ and u₁ orthonormal.

    Every point has the given mean square over units.

    Example:
        >>> circle = curves.great_circle(jax.random.key(0), jnp.linspace(0, 6, 4), units=50, variance=2.0)
        >>> [round(float(value), 4) for value in jnp.mean(circle.position**2, axis=1)]
        [2.0, 2.0, 2.0, 2.0]
    """
    basis = jnp.linalg.qr(sampling.normal(key, (units, 2), angles.dtype))[0].T
    basis = basis * jnp.sqrt(units * jnp.asarray(variance, angles.dtype))
    there = jnp.stack([jnp.cos(angles), jnp.sin(angles)], 1) @ basis
    along = jnp.stack([-jnp.sin(angles), jnp.cos(angles)], 1) @ basis
    return Curve(there, along, -there)


def along(function: Callable[[Float[Array, ""]], Float[Array, " units"]], parameters: Float[Array, " points"]) -> Curve:
    """Compute a curve and its derivatives at the given parameters, by forward-mode differentiation.

    Example:
        >>> curve = curves.along(lambda t: jnp.stack([t, t**2]), jnp.array([3.0]))
        >>> curve.velocity.tolist(), curve.acceleration.tolist()
        ([[1.0, 6.0]], [[0.0, 2.0]])
    """

    def velocity(t):
        return jax.jvp(function, (t,), (jnp.ones_like(t),))

    def at(t):
        (position, speed), (_, acceleration) = jax.jvp(velocity, (t,), (jnp.ones_like(t),))
        return Curve(position, speed, acceleration)

    return jax.vmap(at)(parameters)


def curvature(curve: Curve) -> Float[Array, " points"]:
    """Compute `κ = √((v·v)(a·a) − (v·a)²) / (v·v)^{3/2}`, one over the radius of the circle that fits best.

    Example:
        >>> circle = curves.great_circle(jax.random.key(0), jnp.zeros(1), units=8, variance=0.5)  # of radius 2
        >>> round(float(curves.curvature(circle)[0]), 4)
        0.5
    """
    _, velocity, acceleration = curve
    squared = jnp.sum(velocity**2, 1)
    # The part of the acceleration across the curve, relative to the squared speed: no large number cancels another.
    across = acceleration - (jnp.sum(velocity * acceleration, 1) / squared)[:, None] * velocity
    return jnp.sqrt(jnp.sum(across**2, 1)) / squared


def length(curve: Curve, span: float = FULL_TURN) -> Float[Array, ""]:
    """Compute the length from the mean speed at evenly spaced or random parameters that cover `span`.

    Example:
        >>> circle = curves.great_circle(jax.random.key(0), jnp.zeros(1), units=8, variance=0.5)  # of radius 2
        >>> round(float(curves.length(circle) / math.pi), 4)
        4.0
    """
    return span * jnp.mean(jnp.linalg.norm(curve.velocity, axis=1))


def turning(curve: Curve, span: float = FULL_TURN) -> Float[Array, ""]:
    """Compute the Grassmannian length `∫ κ |v| dθ`: the total angle through which the tangent turns.

    Example:
        >>> circle = curves.great_circle(jax.random.key(0), jnp.zeros(1), units=8, variance=0.5)
        >>> round(float(curves.turning(circle) / math.pi), 4)
        2.0
    """
    return span * jnp.mean(curvature(curve) * jnp.linalg.norm(curve.velocity, axis=1))
