"""Singular values of the Jacobian of a differentiable function: all of them exactly, or the extreme ones of a large
one.

Source: Golub & Kahan 1965, "Calculating the singular values and pseudo-inverse of a matrix", bidiagonalization, with
every new vector orthogonalized against all earlier ones.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float, Key

from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError
from deepphenomena.spectra.lanczos import _fresh_direction, _norm, _orthogonalise, _unit, check_count


def jacobian_singular_values(
    function: Callable[[Array], Array],
    x: Float[Array, "*input"],
    *,
    steps: int | None = None,
    key: Key[jax.Array, ""] | None = None,
) -> Float[Array, " values"]:
    """Compute the singular values of ∂function/∂x at x, largest first.

    Without `steps` the Jacobian is formed, with one forward derivative per input, and all min(inputs, outputs) values
    are exact. In float32, values below 1e-7 of the largest are rounding.

    With `steps` the Jacobian is never formed. Each Golub-Kahan step takes one product with it and one with its
    transpose, and `steps` steps give `steps` Ritz values. The extreme values converge first, from inside the spectrum.
    With as many steps as the smaller of inputs and outputs all values are exact. `key` draws the start vector.

    Works inside jit and vmap.

    Raises:
        InputError: for integer inputs, fewer than one step, or steps without a key.

    Example:
        >>> spectra.jacobian_singular_values(lambda x: jnp.asarray([1.0, 2.0]) * x, jnp.ones(2))
        Array([2., 1.], dtype=float32)
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
    """Compute Uᵀ J = B Vᵀ with B upper bidiagonal, steps x (steps + 1): α on the diagonal, β above it."""

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
    """Return the next basis vector and its length; a new direction with length 0 if nothing remains."""
    rest = _orthogonalise(vector, basis)
    length = _norm(rest)
    exhausted = length <= 4 * jnp.finfo(vector.dtype).eps * scale
    following = jax.lax.cond(exhausted, lambda: _fresh_direction(basis), lambda: rest)
    return _unit(following), jnp.where(exhausted, 0, length)
