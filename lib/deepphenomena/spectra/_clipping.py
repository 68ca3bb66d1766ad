"""Clipping of singular values, with a derivative that is finite at equal singular values and at zero.

The derivative of singular vectors divides by differences of singular values; that of U f(s) Vᴴ does not need to: it has
divided differences of f, which tend to f' (Daleckii and Krein 1965, "Integration and differentiation of functions of
Hermitian operators"; Noferini 2017, "A formula for the Fréchet derivative of a generalized matrix function").
"""

import jax
from jax import numpy as jnp
from jaxtyping import Complex, Float

from deepphenomena.runtime.arrays import Array


@jax.custom_jvp
def clip_singular_values(
    matrices: Complex[Array, "batch m n"], bound: Float[Array, ""] | float
) -> Complex[Array, "batch m n"]:
    """Return the nearest matrices whose singular values are at most `bound`."""
    u, s, vh = jnp.linalg.svd(matrices, full_matrices=False)
    return (u * jnp.minimum(s, bound)[:, None, :]) @ vh


@clip_singular_values.defjvp
def _jvp(primals, tangents):
    matrices, bound = primals
    moved, moved_bound = tangents
    u, s, vh = jnp.linalg.svd(matrices, full_matrices=False)
    clipped = jnp.minimum(s, bound)
    inside = (s <= bound).astype(s.dtype)  # the derivative of min(s, bound)
    ratio = jnp.where(s > 0, clipped / jnp.where(s > 0, s, 1), 1)
    one, other = s[:, :, None], s[:, None, :]
    equal = jnp.abs(one - other) <= jnp.finfo(s.dtype).eps * jnp.maximum(one, other)
    differences = (clipped[:, :, None] - clipped[:, None, :]) / jnp.where(equal, 1, one - other)
    differences = jnp.where(equal, jnp.minimum(inside[:, :, None], inside[:, None, :]), differences)
    total = one + other
    sums = jnp.where(total > 0, (clipped[:, :, None] + clipped[:, None, :]) / jnp.where(total > 0, total, 1), 1)
    uh, v = _adjoint(u), _adjoint(vh)
    core = uh @ moved @ v
    even, odd = (core + _adjoint(core)) / 2, (core - _adjoint(core)) / 2
    derivative = u @ (differences * even + sums * odd) @ vh
    # What lies outside the spans of u and of v, for matrices that are not square.
    derivative += (u * ratio[:, None, :]) @ (uh @ moved - core @ vh)
    derivative += (moved @ v - u @ core) @ (ratio[:, :, None] * vh)
    derivative += moved_bound * (u * (1 - inside)[:, None, :]) @ vh
    return (u * clipped[:, None, :]) @ vh, derivative


def _adjoint(matrices):
    return jnp.conj(jnp.swapaxes(matrices, 1, 2))
