"""Kernels of finite networks, and networks that are linear in their parameters."""

from collections.abc import Callable

import jax
from jax import numpy as jnp
from jaxtyping import Float, Key, PyTree

from deepphenomena.infinite_width.fully_connected import KernelMatrices
from deepphenomena.infinite_width.network import Network
from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array

Apply = Callable[[PyTree, Array], Float[Array, "n outputs"]]


def empirical_kernel(
    apply: Apply, parameters: PyTree, x1: Array, x2: Array | None = None, *, batch: int = 16
) -> KernelMatrices:
    """Compute the kernels of one finite network: NNGP = mean over outputs of f f', NTK = mean over outputs of J J'.

    The Jacobian of one batch of inputs with respect to all parameters is held at a time, for each side.

    Args:
        apply: (parameters, inputs) -> outputs, for example `network.apply`.
        parameters: of the network.
        x1, x2: inputs; x2 defaults to x1.
        batch: inputs whose Jacobians are held at once. The result does not depend on it.

    Source: Jacot et al. 2018, "Neural tangent kernel", Section 4.

    Example:
        >>> found = infinite_width.empirical_kernel(lambda w, x: x @ w, jnp.ones((3, 1)), jnp.eye(3))
        >>> found.ntk.tolist() == jnp.eye(3).tolist(), found.nngp.tolist()[0]
        (True, [1.0, 1.0, 1.0])
    """
    batch = numbers.whole("batch", batch, minimum=1)
    x2 = x1 if x2 is None else x2

    def jacobian(x):
        return jax.jacrev(lambda parameters: apply(parameters, x[None])[0])(parameters)

    def entry(one, other):
        pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
        return sum(jnp.vdot(a, b) for a, b in pairs)

    def row(x):
        own = jacobian(x)
        outputs = jax.tree.leaves(own)[0].shape[0]
        return jax.lax.map(lambda other: entry(own, jacobian(other)) / outputs, x2, batch_size=batch)

    ntk = jax.lax.map(row, x1, batch_size=batch)
    y1, y2 = apply(parameters, x1), apply(parameters, x2)
    return KernelMatrices(y1 @ y2.T / y1.shape[1], ntk)


def monte_carlo_kernel(
    network: Network, key: Key[jax.Array, ""], x1: Array, x2: Array | None = None, *, samples: int, batch: int = 16
) -> KernelMatrices:
    """Estimate the kernels of infinite width by the mean of `samples` random finite networks.

    The error falls with the width of the network and with the root of `samples`; layers without a closed form need
    nothing else.

    Args:
        network: its widths count here.
        key: of the draws.
        x1, x2, batch: as in `empirical_kernel`.
        samples: networks.

    Source: Novak et al. 2019, "Bayesian deep convolutional networks with many channels are Gaussian processes",
    Section 5.

    Example:
        >>> hidden = [infinite_width.dense(64), infinite_width.activation("relu")]
        >>> network = infinite_width.serial(*hidden, infinite_width.dense(8))
        >>> infinite_width.monte_carlo_kernel(network, jax.random.key(0), jnp.eye(3), samples=2).ntk.shape
        (3, 3)
    """
    samples = numbers.whole("samples", samples, minimum=1)

    def one(key):
        _, parameters = network.init(key, x1.shape[1:])
        return empirical_kernel(network.apply, parameters, x1, x2, batch=batch)

    def add(total, key):
        return jax.tree.map(jnp.add, total, one(key)), None

    first, *rest = jnp.split(jax.random.split(key, samples), [1])
    total, _ = jax.lax.scan(add, one(first[0]), *rest)
    return jax.tree.map(lambda matrix: matrix / samples, total)


def linearized(apply: Apply, start: PyTree) -> Apply:
    """Return the network that is linear in its parameters and agrees with `apply` near `start` to first order.

    Source: Lee et al. 2019, "Wide neural networks of any depth evolve as linear models", equation 3.

    Example:
        >>> square = infinite_width.linearized(lambda w, x: x * w**2, jnp.float32(1.0))
        >>> float(square(jnp.float32(1.5), 1.0))  # 1 + 2 · 0.5
        2.0
    """

    def network(parameters, x):
        moved = jax.tree.map(jnp.subtract, parameters, start)
        value, change = jax.jvp(lambda parameters: apply(parameters, x), (start,), (moved,))
        return value + change

    return network
