"""Roots of scalar functions: bisection inside a compiled program, and derivatives of a root in its arguments."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

_HALVINGS = 100


def bisect(
    above: Callable[[Array], Bool[Array, ""]], low: Float[Array, ""], high: Float[Array, ""]
) -> Float[Array, ""]:
    """Find the point of [low, high] below which `above(x)` is true, to rounding.

    Example:
        >>> round(float(bisect(lambda x: x**2 < 2, jnp.float32(0), jnp.float32(2))), 4)
        1.4142
    """

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        up = above(middle)
        return jnp.where(up, middle, low), jnp.where(up, high, middle)

    return sum(lax.fori_loop(0, _HALVINGS, halve, (low, high))) / 2


def implicit(residual: Callable[..., Float[Array, ""]], root: Float[Array, ""], *arguments: Array) -> Float[Array, ""]:
    """Make a root of residual(root, *arguments) differentiable in the arguments, by one Newton step.

    Example:
        >>> round(float(jax.grad(lambda a: implicit(lambda x, a: x**2 - a, jnp.float32(3), a))(jnp.float32(9))), 4)
        0.1667
    """
    root, fixed = lax.stop_gradient((root, arguments))
    slope = jax.grad(residual)(root, *fixed)
    return root - residual(root, *arguments) / jnp.where(slope == 0, 1, slope)
