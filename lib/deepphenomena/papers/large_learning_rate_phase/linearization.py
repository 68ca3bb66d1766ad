"""A network and its first-order Taylor expansion."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from deepphenomena import training
from deepphenomena.nets.functional import Network
from deepphenomena.papers.large_learning_rate_phase.models import Model
from deepphenomena.runtime.arrays import Array
from deepphenomena.training import objectives
from deepphenomena.training.scan import Tunable


def linearized(network: Network) -> Callable[[PyTree, Array, PyTree], Array]:
    """`(parameters, x, center)`: the network's first-order Taylor expansion in its parameters around `center`.

    Source: Lewkowycz et al. (2020), section 4.1.

    Example:
        >>> square = linearized(lambda w, x: w**2 * x)
        >>> float(square(jnp.float32(3.0), jnp.float32(1.0), jnp.float32(2.0)))  # 4 + 2 * 2 * (3 - 2)
        8.0
    """

    def taylor(parameters: PyTree, x: Array, center: PyTree) -> Array:
        change = jax.tree.map(jnp.subtract, parameters, center)
        value, slope = jax.jvp(lambda p: network(p, x), (center,), (change,))
        return value + slope

    return taylor


def beside_linearization(
    net: Model,
    center: PyTree,
    train_set: dict[str, Array],
    test_set: dict[str, Array],
    *,
    optimizer: Tunable,
    steps: int,
) -> tuple[float, float]:
    """Train a network from `center`, and its linearization around `center`. Return the test accuracy of each.

    Source: Lewkowycz et al. (2020), section 4.1.
    """
    taylor = linearized(net.network)

    def taylor_loss(parameters, batch):
        return objectives.squared_loss(taylor(parameters, batch["x"], batch["center"]), batch["y"])

    train = functools.partial(training.train, optimizer=optimizer, steps=steps, description=None)
    real = net.network(train(net.loss, center, train_set).parameters, test_set["x"])
    linear = taylor(train(taylor_loss, center, train_set | {"center": center}).parameters, test_set["x"], center)
    return tuple(float(objectives.accuracy(outputs, test_set["label"])) for outputs in (real, linear))
