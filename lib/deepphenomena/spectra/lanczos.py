"""The Lanczos iteration, and the top eigenvalue of a Hessian or of a neural tangent kernel computed with it."""

from numbers import Integral
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, PRNGKeyArray, PyTree

from deepphenomena.runtime import sampling
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError
from deepphenomena.spectra.operators import (
    Loss,
    Model,
    Vector,
    VectorProduct,
    floating,
    hessian_vector_product,
    ntk_vector_product,
    output_shape,
)


class LanczosDecomposition(NamedTuple):
    """An orthonormal basis V in which a symmetric A is tridiagonal: `V A V^T = T`, and `A V^T = V^T T` plus a last
    column.

    `remainder` is the norm of that last column. It is zero when the basis spans an invariant subspace.

    Example:
        >>> decomposition = spectra.lanczos(lambda v: jnp.asarray([3.0, 2.0, 1.0]) * v, jnp.ones(3), steps=2)
        >>> decomposition.basis.shape
        (2, 3)
    """

    diagonal: Float[Array, " steps"]
    off_diagonal: Float[Array, " steps-1"]
    remainder: Float[Array, ""]
    basis: Float[Array, "steps dimension"]

    @property
    def tridiagonal(self) -> Float[jax.Array, "steps steps"]:
        """T as a dense matrix. Its eigenvalues are the Ritz values."""
        return jnp.diag(self.diagonal) + jnp.diag(self.off_diagonal, 1) + jnp.diag(self.off_diagonal, -1)


class TopEigenvalue(NamedTuple):
    """The algebraically largest Ritz value, its unit Ritz vector, and the residual of the pair.

    `residual` is `|A v - value v|` divided by the largest `|Ritz value|`. An eigenvalue of A lies within that relative
    distance of `value`. The error of `value` itself is much smaller: of order residual² over the relative gap.

    Example:
        >>> top = spectra.top_eigenvalue(lambda v: jnp.asarray([3.0, 2.0, 1.0]) * v, jnp.ones(3), steps=3)
        >>> bool(top.residual < 1e-5)
        True
    """

    value: Float[Array, ""]
    residual: Float[Array, ""]
    vector: Vector


def lanczos(product: VectorProduct, start: Vector, *, steps: int) -> LanczosDecomposition:
    """Tridiagonalize the symmetric operator `product` on the Krylov space of `start`, with `steps` products.

    `start` is a pytree of floating-point arrays with `dimension` numbers in total; `product` maps such a tree to such a
    tree. The basis is flat, in `ravel_pytree` order, and in float32 or better. Every new vector is orthogonalized
    against all earlier ones, so that rounding creates no spurious copies of eigenvalues (Parlett 1998, "The Symmetric
    Eigenvalue Problem", chapter 13). If the Krylov space ends early, the iteration continues from a new direction
    orthogonal to it and `off_diagonal` is 0 there. The eigenvalues of T are always Ritz values of A. With steps =
    dimension they are the whole spectrum, including multiplicities.

    `steps` is reduced to `dimension` if it is larger; the result is then exact. NaN in `product` gives NaN.

    Raises:
        InputError: for fewer than one step, a start that is zero or not finite (checked outside jit only), and a
            product that changes the dimension.

    Example:
        >>> decomposition = spectra.lanczos(lambda v: jnp.asarray([3.0, 2.0, 1.0]) * v, jnp.ones(3), steps=3)
        >>> np.linalg.eigvalsh(decomposition.tridiagonal).astype(float).round(3)
        array([1., 2., 3.])
    """
    start = floating(start, "start")
    flat, unravel = ravel_pytree(start)
    steps = _check(product, start, flat, steps)
    dtype = jnp.promote_types(flat.dtype, jnp.float32)

    def apply(vector):
        return ravel_pytree(product(unravel(vector.astype(flat.dtype))))[0].astype(dtype)

    def step(carry, index):
        basis, vector, scale = carry
        basis = basis.at[index].set(vector)
        image = apply(vector)
        scale = jnp.maximum(scale, _norm(image))
        rest = _orthogonalise(image, basis)
        length = _norm(rest)
        exhausted = length <= jnp.finfo(dtype).eps * scale
        following = jax.lax.cond(exhausted, lambda: _fresh_direction(basis), lambda: rest)
        return (basis, _unit(following), scale), (_dot(vector, image), jnp.where(exhausted, 0, length))

    before = jnp.zeros((steps, flat.size), dtype), _unit(flat.astype(dtype)), jnp.zeros((), dtype)
    (basis, _, _), (diagonal, lengths) = jax.lax.scan(step, before, jnp.arange(steps))
    return LanczosDecomposition(diagonal, lengths[:-1], lengths[-1], basis)


def top_eigenvalue(product: VectorProduct, start: Vector, *, steps: int) -> TopEigenvalue:
    """Compute the largest eigenvalue (not the largest in magnitude) of a symmetric operator, with `steps` Lanczos
    products.

    Works inside jit, vmap and scan. Outside jit each call compiles again. Arguments and errors as in `lanczos`.

    Example:
        >>> top = spectra.top_eigenvalue(lambda v: jnp.asarray([3.0, 2.0, 1.0]) * v, jnp.ones(3), steps=3)
        >>> round(float(top.value), 3)
        3.0
    """
    decomposition = lanczos(product, start, steps=steps)
    values, vectors = jnp.linalg.eigh(decomposition.tridiagonal)
    scale = jnp.max(jnp.abs(values))
    residual = decomposition.remainder * jnp.abs(vectors[-1, -1]) / jnp.where(scale == 0, 1, scale)
    flat, unravel = ravel_pytree(floating(start, "start"))
    vector = unravel(_dot(vectors[:, -1], decomposition.basis).astype(flat.dtype))
    return TopEigenvalue(values[-1], residual, vector)


def top_ntk_eigenvalue(model: Model, parameters: Vector, *, key: PRNGKeyArray, steps: int = 20) -> TopEigenvalue:
    """Compute the largest eigenvalue of the empirical kernel `J J^T / m` at `parameters`.

    `vector` has the shape of the outputs. The eigenvalue is the curvature `lambda_t` of Lewkowycz et al. (2020), who
    find it by power iteration. The top eigenvalues of a network with k outputs come in a close group of k, which is
    hard to separate. Measured on a 784-512-512-10 ReLU network with 256 MNIST images in float32, at initialization and
    after 60 steps of gradient descent at 1, 4 and 8 times `1/lambda_0` (12 runs each):

    - 10 steps: median relative error below 2e-3, worst 3e-2;
    - 12 steps: median below 6e-4, worst 2e-2;
    - 16 steps: worst 3e-5;
    - 20 steps: rounding;
    - 20 power iterations: median 1e-2, worst 1e-1.

    Take more steps if `residual` is above 1e-2. `model` and errors as in `ntk_vector_product`.

    Example:
        >>> model = lambda x: jnp.asarray([1.0, 2.0]) * x
        >>> round(float(spectra.top_ntk_eigenvalue(model, jnp.ones(2), key=jax.random.key(0)).value), 3)
        2.0
    """
    start = random_vector(output_shape(model, parameters), key=key)
    return top_eigenvalue(ntk_vector_product(model, parameters), start, steps=steps)


def top_hessian_eigenvalue(loss: Loss, parameters: Vector, *, key: PRNGKeyArray, steps: int = 20) -> TopEigenvalue:
    """Compute the largest eigenvalue of the Hessian of `loss` at `parameters`; `vector` has the structure of
    `parameters`.

    Errors as in `hessian_vector_product`.

    Example:
        >>> loss = lambda x: jnp.sum(jnp.asarray([1.0, 2.0]) * x**2)
        >>> round(float(spectra.top_hessian_eigenvalue(loss, jnp.ones(2), key=jax.random.key(0)).value), 3)
        4.0
    """
    start = random_vector(floating(parameters, "parameters"), key=key)
    return top_eigenvalue(hessian_vector_product(loss, parameters), start, steps=steps)


def random_vector(like: PyTree, *, key: PRNGKeyArray) -> Vector:
    """Draw a tree of standard normal arrays with the shapes and dtypes of `like` (arrays or `jax.ShapeDtypeStruct`).

    Example:
        >>> spectra.random_vector({"w": jnp.zeros((2, 3))}, key=jax.random.key(0))["w"].shape
        (2, 3)
    """
    leaves, treedef = jax.tree.flatten(like)
    keys = jax.random.split(key, len(leaves))
    drawn = [sampling.normal(key, leaf.shape, leaf.dtype) for key, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(treedef, drawn)


def check_count(count: int, thing: str) -> None:
    """Raise InputError unless `count` is a whole number of at least 1."""
    if not isinstance(count, Integral) or isinstance(count, bool) or count < 1:
        raise InputError(f"{thing} is {count!r}: a whole number from 1 up is allowed; change it.")


def _check(product, start, flat, steps) -> int:
    check_count(steps, "steps")
    if not isinstance(flat, jax.core.Tracer):
        # In NumPy, because inside jit JAX would trace even what is known.
        known = np.asarray(flat)
        if not (np.isfinite(known).all() and known.any()):
            raise InputError("the start vector of Lanczos is zero or not finite: pass a random one (random_vector).")
    image = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(product, start)))
    if image != flat.size:
        raise InputError(
            f"the operator maps {flat.size} numbers to {image}: Lanczos needs a square one; start in its domain."
        )
    return min(steps, flat.size)


def _orthogonalise(vector, basis):
    """Compute the part of `vector` orthogonal to the rows of `basis`, by Gram-Schmidt twice.

    The second pass removes what rounding left along the basis in the first. This matters when little remains.
    """
    for _ in range(2):
        vector = vector - _dot(_dot(basis, vector), basis)
    return vector


def _fresh_direction(basis):
    """Return a direction orthogonal to the rows of `basis`, from the coordinate axis that they cover least."""
    coverage = jnp.sum(basis**2, axis=0)
    axis = (jnp.arange(coverage.size) == jnp.argmin(coverage)).astype(basis.dtype)
    return _orthogonalise(axis, basis)


def _dot(left, right):
    # Accelerators multiply float32 matrices in fewer bits unless told, and the basis would not stay orthogonal.
    return jnp.dot(left, right, precision="highest")


def _norm(vector):
    # Squared after scaling: a float32 curvature of 1e-20 or 1e20 is no reason to under- or overflow.
    largest = jnp.max(jnp.abs(vector))
    scale = jnp.where(largest == 0, 1, largest)
    return scale * jnp.linalg.norm(vector / scale)


def _unit(vector):
    length = _norm(vector)
    return vector / jnp.where(length == 0, 1, length)
