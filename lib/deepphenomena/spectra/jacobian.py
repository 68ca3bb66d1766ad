"""Singular values of the Jacobian of any differentiable function: exactly, or the extreme ones of a large one.

Source: Golub & Kahan 1965, "Calculating the singular values and pseudo-inverse of a matrix", bidiagonalisation, with
every new vector orthogonalised against all earlier ones.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from deepphenomena.runtime.errors import InputError
from deepphenomena.spectra.lanczos import _fresh_direction, _norm, _orthogonalise, _unit, check_count


def jacobian_singular_values(
    function: Callable[[Array], Array],
    x: Float[Array, "*input"],
    *,
    steps: int | None = None,
    key: Key[Array, ""] | None = None,
) -> Float[Array, " values"]:
    """Singular values of ∂function/∂x at x, largest first.

    Without `steps` the Jacobian is formed, by one forward derivative for each input, and all min(inputs, outputs)
    values are exact. In float32 those below 1e-7 of the largest are rounding.

    With `steps` the Jacobian is never formed: that many Golub-Kahan steps, of one product with it and one with its
    transpose each, give as many Ritz values. The extreme ones converge first, from within; with as many steps as the
    smaller of inputs and outputs they are all exact. `key` draws the start.

    Works inside jit and vmap. InputError for integer inputs, fewer than one step, or steps without a key.
    """
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise InputError(f"x has dtype {x.dtype}: derivatives need floating-point inputs; cast it")

    def flat(vector):
        return function(vector.reshape(x.shape)).ravel()

    if steps is None:
        return jnp.linalg.svd(jax.jacfwd(flat)(x.ravel()), compute_uv=False)
    check_count(steps, "steps")
    if key is None:
        raise InputError("steps of Golub-Kahan start from a random vector: pass key=jax.random.key(0)")
    outputs = jax.eval_shape(flat, x.ravel()).size
    _, product = jax.linearize(flat, x.ravel())
    transposed = jax.linear_transpose(product, x.ravel())
    start = jax.random.normal(key, (x.size,), x.dtype)
    return _golub_kahan(product, lambda u: transposed(u)[0], start, outputs, min(steps, x.size, outputs))


def _golub_kahan(product, transposed, start, outputs: int, steps: int) -> Float[Array, " steps"]:
    """Uᵀ J = B Vᵀ with B upper bidiagonal, steps x (steps + 1): α on the diagonal, β above it."""

    def step(carry, index):
        right, left, v, u_before, beta, scale = carry
        right = right.at[index].set(v)
        image = product(v)
        scale = jnp.maximum(scale, _norm(image))
        u, alpha = _next(image - beta * u_before, left, scale)
        left = left.at[index].set(u)
        following, beta = _next(transposed(u) - alpha * v, right, scale)
        return (right, left, following, u, beta, scale), (alpha, beta)

    dtype = start.dtype
    first = (
        jnp.zeros((steps, start.size), dtype), jnp.zeros((steps, outputs), dtype), _unit(start),
        jnp.zeros(outputs, dtype), jnp.zeros((), dtype), jnp.zeros((), dtype),
    )  # fmt: skip
    _, (alpha, beta) = jax.lax.scan(step, first, jnp.arange(steps))
    bidiagonal = alpha[:, None] * jnp.eye(steps, steps + 1) + beta[:, None] * jnp.eye(steps, steps + 1, 1)
    return jnp.linalg.svd(bidiagonal, compute_uv=False)


def _next(vector, basis, scale):
    """(the next basis vector, its length before): a fresh direction with length 0 where nothing new is left."""
    rest = _orthogonalise(vector, basis)
    length = _norm(rest)
    exhausted = length <= 4 * jnp.finfo(vector.dtype).eps * scale
    following = jax.lax.cond(exhausted, lambda: _fresh_direction(basis), lambda: rest)
    return _unit(following), jnp.where(exhausted, 0, length)
