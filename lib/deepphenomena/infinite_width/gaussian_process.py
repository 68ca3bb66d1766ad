"""Gaussian-process regression with a kernel matrix: predictions, uncertainty, marginal likelihood."""

from typing import NamedTuple

import numpy as np
from jax import numpy as jnp
from jax.scipy.linalg import cho_solve, solve_triangular
from jax.scipy.sparse.linalg import cg
from jaxtyping import Float

from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError

LARGEST_FACTORED = 20_000  # points; above, a Cholesky factor takes minutes and as much memory as the matrix


class Regression(NamedTuple):
    """A Gaussian process that has seen its training targets.

    Attributes:
        weights: (K + noise)⁻¹ y.
        factor: the Cholesky factor of K + noise, or None where conjugate gradients were used.
        log_marginal_likelihood: log p(y), in nats, summed over outputs; None without a factor.

    Example:
        >>> infinite_width.regression(jnp.eye(2), jnp.array([[1.0], [0.0]])).weights.tolist()
        [[1.0], [0.0]]
    """

    weights: Float[Array, "n outputs"]
    factor: Float[Array, "n n"] | None
    log_marginal_likelihood: Float[Array, ""] | None


def regression(kernel: Float[Array, "n n"], targets: Float[Array, "n outputs"], *, noise: float = 0.0) -> Regression:
    """Condition a Gaussian process on its training targets.

    Up to 20,000 points the matrix is factored. Above, conjugate gradients solve for the weights to a relative residual
    of 1e-6, without variances or likelihood. Use `jax.enable_x64`: deep kernels of near inputs are nearly singular.

    Args:
        kernel: of the training inputs.
        targets: one column for each output; each is a Gaussian process of its own with this kernel.
        noise: σ_ε², the variance of the noise on the targets, or a small jitter.

    Raises:
        InputError: a matrix or targets of a wrong shape or with NaN; a matrix that is not positive definite, with its
            smallest eigenvalue.

    Source: Rasmussen and Williams 2006, "Gaussian processes for machine learning", Algorithm 2.1.

    Example:
        >>> found = infinite_width.regression(jnp.eye(2) + 1, jnp.array([[1.0], [0.0]]))
        >>> np.asarray(found.weights[:, 0], float).round(4).tolist(), round(float(found.log_marginal_likelihood), 4)
        ([0.6667, -0.3333], -2.7205)
    """
    numbers.check_variance("noise", noise)
    kernel, targets = numbers.floats("kernel", kernel), numbers.floats("targets", targets)
    _check(kernel, targets)
    n, outputs = targets.shape
    noisy = kernel + noise * jnp.eye(n, dtype=kernel.dtype)
    if n > LARGEST_FACTORED:
        weights, _ = cg(lambda v: noisy @ v, targets, tol=1e-6, maxiter=n)
        return Regression(_finite(weights, noisy), None, None)
    factor = jnp.linalg.cholesky(noisy)
    weights = _finite(cho_solve((factor, True), targets), noisy)
    likelihood = -0.5 * jnp.sum(targets * weights) - outputs * (
        jnp.sum(jnp.log(jnp.diagonal(factor))) + n / 2 * np.log(2 * np.pi)
    )
    return Regression(weights, factor, likelihood)


def predict(
    fitted: Regression, cross: Float[Array, "m n"], prior: Float[Array, "m m"] | Float[Array, " m"] | None = None
) -> tuple[Float[Array, "m outputs"], Float[Array, "m m"] | Float[Array, " m"] | None]:
    """Return the mean and the covariance of the latent function at test inputs, or only its variances.

    Args:
        fitted: what `regression` returned.
        cross: the kernel of test inputs (rows) with training inputs.
        prior: the kernel of the test inputs for their covariance, its diagonal for variances alone, or None.

    Raises:
        InputError: shapes that do not fit, or a covariance without a factor.

    Example:
        >>> fitted = infinite_width.regression(jnp.eye(2), jnp.array([[1.0], [0.0]]))
        >>> mean, variance = infinite_width.predict(fitted, jnp.array([[0.5, 0.0]]), jnp.array([1.0]))
        >>> mean.tolist(), variance.tolist()
        ([[0.5]], [0.75])
    """
    n = len(fitted.weights)
    if cross.ndim != 2 or cross.shape[1] != n or (prior is not None and prior.shape[0] != len(cross)):
        given = "" if prior is None else f" and a prior of {prior.shape}"
        raise InputError(
            f"a cross kernel of {cross.shape}{given}: its rows are test inputs, its columns the {n} training inputs"
        )
    mean = cross @ fitted.weights
    if prior is None:
        return mean, None
    if fitted.factor is None:
        raise InputError(
            f"variances for {n} training points: above {LARGEST_FACTORED} only means are computed; leave prior out"
        )
    half = solve_triangular(fitted.factor, cross.T, lower=True)
    return mean, prior - (jnp.sum(half**2, axis=0) if prior.ndim == 1 else half.T @ half)


def _check(kernel: Array, targets: Array) -> None:
    if kernel.ndim != 2 or targets.ndim != 2 or kernel.shape != (len(targets),) * 2:
        raise InputError(
            f"a kernel of {kernel.shape} and targets of {targets.shape}: for n training points they must be (n, n) and "
            "(n, outputs)"
        )
    for name, array in (("kernel", kernel), ("targets", targets)):
        if numbers.known(array) and not bool(jnp.isfinite(array).all()):
            where = np.argwhere(~np.isfinite(np.asarray(array)))[0].tolist()
            raise InputError(f"{name} has NaN or infinity, first at {where}; look at that input and at the variances")


def _finite(solution: Array, matrix: Array) -> Array:
    """Return a solution that is finite, or say why there is none. Inside jit a NaN cannot be looked at."""
    if numbers.known(solution) and not bool(jnp.isfinite(solution).all()):
        eigenvalues = np.linalg.eigvalsh(np.asarray(matrix, np.float64))
        raise InputError(
            f"the kernel matrix is not positive definite: its smallest eigenvalue is {eigenvalues[0]:.2g}, its largest "
            f"{eigenvalues[-1]:.2g}; leave out duplicate inputs, add noise above {max(-eigenvalues[0], 0):.1g}, or use "
            "jax.enable_x64"
        )
    return solution
