"""Ensembles of wide networks during training: mean and covariance of their outputs at any time, in closed form."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jax import numpy as jnp
from jaxtyping import Float

from deepphenomena.infinite_width.fully_connected import KernelMatrices
from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError


class Ensemble(NamedTuple):
    """The outputs of an infinite ensemble at test inputs.

    Attributes:
        mean: over the ensemble.
        covariance: of one output between test inputs; None if the kernel of the test inputs was not given.

    Example:
        >>> kernels = infinite_width.KernelMatrices(jnp.eye(1), jnp.eye(1))
        >>> infinite_width.trained(kernels, kernels, jnp.array([[2.0]]), kernels)(None).covariance.tolist()
        [[0.0]]
    """

    mean: Float[Array, "m outputs"]
    covariance: Float[Array, "m m"] | None


def trained(
    train: KernelMatrices,
    cross: KernelMatrices,
    targets: Float[Array, "n outputs"],
    test: KernelMatrices | None = None,
    *,
    learning_rate: float = 1.0,
    steps: bool = False,
) -> Callable[[float | None], Ensemble]:
    """Return a function of the training time: the outputs of wide networks trained by full-batch gradient descent.

    The loss is the mean over the training points of ½ ‖output − target‖². With rate η, the mean moves as
    `Θ_xX Θ⁻¹ (1 − e^(−η Θ t / n)) y`. To train the readout alone, give KernelMatrices whose `ntk` is the NNGP; at the
    end of that training stands the Gaussian process. The eigenvalues of Θ are computed once, for all times.

    Args:
        train: kernels of the training inputs.
        cross: kernels of test inputs (rows) with training inputs.
        targets: of the training inputs.
        test: kernels of the test inputs, for the covariance.
        learning_rate: η; learning_rate · time is all that matters for gradient flow.
        steps: True for gradient descent in steps: t is their number, and e^(−η Θ t / n) becomes (1 − η Θ / n)^t.

    Returns:
        A function of t, which may be None for the end of training.

    Raises:
        InputError: shapes that do not fit, NaN, a tangent kernel that is singular (with its smallest eigenvalue), a
            negative time, or a learning rate above the largest stable one.

    Source: Lee et al. 2019, "Wide neural networks of any depth evolve as linear models", equations 10 and 11, 14 to 16.

    Example:
        >>> kernels = infinite_width.KernelMatrices(jnp.eye(2), jnp.eye(2))
        >>> at = infinite_width.trained(kernels, kernels, jnp.array([[1.0], [2.0]]))
        >>> at(None).mean.round(4).tolist(), at(0.0).mean.tolist()
        ([[1.0], [2.0]], [[0.0], [0.0]])
    """
    targets = numbers.floats("targets", targets)
    n, rate = len(targets), float(learning_rate)
    _check(train, cross, test, n)
    if not rate > 0 or not np.isfinite(rate):
        raise InputError(f"learning_rate {learning_rate}: it must be a finite number above 0")
    values, vectors = jnp.linalg.eigh(train.ntk)
    smallest, largest = float(values[0]), float(values[-1])
    # eigvalsh is exact to about n times the rounding error of the largest eigenvalue.
    if not smallest > n * float(jnp.finfo(values.dtype).eps) * largest:
        raise InputError(
            f"the tangent kernel of the training inputs is singular: its smallest eigenvalue is {smallest:.2g}, its "
            f"largest {largest:.2g}; leave out duplicate inputs, add a multiple of the identity, or use jax.enable_x64"
        )
    if steps and rate * largest / n >= 2:
        raise InputError(
            f"learning_rate {rate:g} diverges: the largest stable one is 2n / λ_max = {2 * n / largest:.3g}; go below"
        )

    def at(t: float | None) -> Ensemble:
        left = _left(t, rate * values / n, steps)
        solver = vectors * ((1 - left) / values) @ vectors.T
        through = cross.ntk @ solver  # test outputs by training targets
        mean = through @ targets
        if test is None:
            return Ensemble(mean, None)
        mixed = through @ cross.nngp.T
        return Ensemble(mean, test.nngp + through @ train.nngp @ through.T - mixed - mixed.T)

    return at


def largest_learning_rate(ntk: Float[Array, "n n"]) -> float:
    """Return 2n / λ_max: above it, gradient descent on wide networks diverges.

    Example:
        >>> infinite_width.largest_learning_rate(jnp.eye(4))
        8.0
    """
    return float(2 * len(ntk) / jnp.linalg.eigvalsh(ntk)[-1])


def _left(t: float | None, rates: Array, steps: bool) -> Array:
    """Return the share of each mode that is still to be learned."""
    if t is None:
        return jnp.zeros_like(rates)
    if not t >= 0:
        raise InputError(f"time {t}: it must be zero or more, or None for the end of training")
    return (1 - rates) ** t if steps else jnp.exp(-rates * t)


def _check(train: KernelMatrices, cross: KernelMatrices, test: KernelMatrices | None, n: int) -> None:
    m = len(cross.ntk)
    for name, kernels, shape in (("train", train, (n, n)), ("cross", cross, (m, n)), ("test", test, (m, m))):
        for kind, matrix in () if kernels is None else kernels._asdict().items():
            if matrix.shape != shape:
                raise InputError(f"the {kind} of {name} is {matrix.shape}: for {n} targets it must be {shape}")
            if numbers.known(matrix) and not bool(jnp.isfinite(matrix).all()):
                raise InputError(f"the {kind} of {name} has NaN or infinity: look at the inputs and the variances")
