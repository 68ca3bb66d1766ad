"""The Hessian and the empirical neural tangent kernel, as matrix-vector products and as matrices of small problems."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, PyTree

from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError

type Vector = PyTree[Float[Array, "..."]]
type VectorProduct = Callable[[Vector], Vector]
type Loss = Callable[[Vector], Float[Array, ""]]
type Model = Callable[[Vector], Float[Array, " samples"] | Float[Array, "samples outputs"]]


def hessian_vector_product(loss: Loss, parameters: Vector) -> VectorProduct:
    """Return the product v -> H v with the Hessian H of `loss` at `parameters`.

    Vectors are pytrees with the structure of `parameters`. The gradient is linearized once, forward over reverse. Every
    product then costs about two gradients and forms no matrix (Pearlmutter 1994, "Fast exact multiplication by the
    Hessian").

    Raises:
        InputError: if the loss is not a floating-point scalar or a parameter is not floating-point.

    Example:
        >>> product = spectra.hessian_vector_product(lambda x: jnp.sum(x**2), jnp.ones(2))
        >>> product(jnp.asarray([1.0, 0.0]))
        Array([2., 0.], dtype=float32)
    """
    parameters = floating(parameters, "parameters")
    _check_loss(loss, parameters)
    return jax.linearize(jax.grad(loss), parameters)[1]


def ntk_vector_product(model: Model, parameters: Vector) -> VectorProduct:
    """Return the product v -> Θ v with the empirical neural tangent kernel `Θ = J J^T / m` of `model` at `parameters`.

    `model(parameters)` returns the outputs on the m samples, of shape (samples,) or (samples, outputs). J is their
    Jacobian, and vectors have the shape of the outputs. With k outputs Θ is (m k, m k) and the factor is still 1/m.
    This is the kernel of Lewkowycz et al. (2020), which matches the loss `L = 1/(2m) sum (f - y)^2`: gradient descent
    on the linearized model is stable for learning rates below `2 / lambda_max(Θ)`.

    A product costs one reverse and one forward pass of the linearized model, and keeps the residuals of one forward
    pass over all samples. If those do not fit in memory, let the model loop over chunks with rematerialization:
    `jax.lax.map(jax.checkpoint(...), inputs, batch_size=...)`.

    Raises:
        InputError: if the outputs are not a floating-point array of rank 1 or 2 or a parameter is not floating-point.

    Example:
        >>> product = spectra.ntk_vector_product(lambda x: jnp.asarray([1.0, 2.0]) * x, jnp.ones(2))
        >>> product(jnp.asarray([1.0, 0.0]))
        Array([0.5, 0. ], dtype=float32)
    """
    parameters = floating(parameters, "parameters")
    samples = output_shape(model, parameters).shape[0]
    _, pushforward = jax.linearize(model, parameters)
    pullback = jax.linear_transpose(pushforward, parameters)

    def product(vector):
        (gradient,) = pullback(vector)
        return pushforward(gradient) / samples

    return product


def hessian_matrix(loss: Loss, parameters: Vector) -> Float[Array, "dimension dimension"]:
    """Compute the exact Hessian of `loss`, with the parameters in `jax.flatten_util.ravel_pytree` order.

    Needs memory for dimension² numbers: use it for small problems and for checks. Raises as `hessian_vector_product`.

    Example:
        >>> spectra.hessian_matrix(lambda x: jnp.sum(x**2), jnp.ones(2))
        Array([[2., 0.],
               [0., 2.]], dtype=float32)
    """
    parameters = floating(parameters, "parameters")
    _check_loss(loss, parameters)
    flat, unravel = ravel_pytree(parameters)
    return jax.hessian(lambda vector: loss(unravel(vector)))(flat)


def ntk_matrix(model: Model, parameters: Vector) -> Float[Array, "kernel kernel"]:
    """Compute the exact empirical kernel `J J^T / m`: (m k, m k) for outputs (m, k), rows in row-major order of the
    outputs.

    Needs memory for the Jacobian, m k times the number of parameters: use it for small problems and for checks. Raises
    as `ntk_vector_product`.

    Example:
        >>> spectra.ntk_matrix(lambda x: jnp.asarray([1.0, 2.0]) * x, jnp.ones(2))
        Array([[0.5, 0. ],
               [0. , 2. ]], dtype=float32)
    """
    parameters = floating(parameters, "parameters")
    samples = output_shape(model, parameters).shape[0]
    flat, unravel = ravel_pytree(parameters)
    jacobian = jax.jacrev(lambda vector: model(unravel(vector)).ravel())(flat)
    return jnp.matmul(jacobian, jacobian.T, precision="highest") / samples


def floating(tree: Vector, thing: str) -> Vector:
    """Return `tree` with its leaves as arrays. Raise InputError if a leaf is not real and floating-point, or there is
    none.
    """
    tree = jax.tree.map(jnp.asarray, tree)
    for path, leaf in jax.tree.leaves_with_path(tree):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise InputError(
                f"{thing}{jax.tree_util.keystr(path)} has dtype {leaf.dtype}: "
                "only floating arrays can be differentiated; hold the others fixed in a closure."
            )
    if sum(leaf.size for leaf in jax.tree.leaves(tree)) == 0:
        raise InputError(f"{thing} hold no numbers: at least one is needed; pass a tree of floating arrays.")
    return tree


def output_shape(model: Model, parameters: Vector) -> jax.ShapeDtypeStruct:
    """Return shape and dtype of `model(parameters)`. Raise InputError unless it is one floating-point array of rank 1
    or 2.
    """
    outputs = jax.eval_shape(model, parameters)
    if not isinstance(outputs, jax.ShapeDtypeStruct):
        raise InputError(
            f"the model returned a {type(outputs).__name__}: the kernel needs one array of outputs; select it."
        )
    if outputs.ndim not in (1, 2) or outputs.size == 0 or not jnp.issubdtype(outputs.dtype, jnp.floating):
        raise InputError(
            f"the model's outputs are {outputs.dtype}{list(outputs.shape)}: the kernel needs floating "
            "(samples,) or (samples, outputs), not empty; reshape them."
        )
    return outputs


def _check_loss(loss: Loss, parameters: Vector) -> None:
    value = jax.eval_shape(loss, parameters)
    if not isinstance(value, jax.ShapeDtypeStruct):
        raise InputError(
            f"the loss returned a {type(value).__name__}: the Hessian needs one scalar; return only the loss."
        )
    if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise InputError(
            f"the loss is {value.dtype}{list(value.shape)}: the Hessian needs a floating scalar; take a mean or a sum."
        )
