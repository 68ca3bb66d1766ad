"""Losses and errors of a batch as pure functions, and adapters that turn them into arguments of `train`.

loss = objectives.of(network, objectives.cross_entropy)
measure = objectives.measure(network, test_accuracy=objectives.accuracy)
"""

import functools
from collections.abc import Callable, Hashable, Mapping

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float, Int, PyTree

from deepphenomena.nets.functional import Network
from deepphenomena.runtime.arrays import Array

Objective = Callable[[Array, Array], Float[Array, ""]]


def cross_entropy(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, ""]:
    """Return the mean of -log softmax(logits)[label], in nats. It is log(classes) for equal logits.

    Example:
        >>> round(float(objectives.cross_entropy(jnp.zeros((3, 10)), jnp.arange(3))), 4)  # log 10
        2.3026
    """
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))


def accuracy(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, ""]:
    """Return the fraction of the batch whose largest logit is that of the label; the first of equal logits counts.

    Example:
        >>> float(objectives.accuracy(jnp.eye(4), jnp.array([0, 1, 2, 0])))
        0.75
    """
    return jnp.mean(jnp.argmax(logits, -1) == labels)


def squared_loss(
    outputs: Float[Array, "batch outputs"], targets: Float[Array, "batch outputs"] | Int[Array, " batch"]
) -> Float[Array, ""]:
    """Return the mean of ½ ‖output - target‖² over the batch. Integer labels are converted to one-hot targets.

    Example:
        >>> float(objectives.squared_loss(jnp.zeros((2, 10)), jnp.array([3, 4])))
        0.5
    """
    if jnp.issubdtype(targets.dtype, jnp.integer):
        targets = jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    return 0.5 * jnp.mean(jnp.sum((outputs - targets) ** 2, -1))


def soft_error(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, ""]:
    """Return the mean of 1 - softmax(logits)[label]: the error of a classifier that samples from its softmax.

    Source: Nakkiran, Neyshabur and Sedghi (2021), "The deep bootstrap framework", section 2.

    Example:
        >>> round(float(objectives.soft_error(jnp.zeros((3, 10)), jnp.arange(3))), 4)
        0.9
    """
    right = jnp.take_along_axis(jax.nn.softmax(logits), labels[:, None], -1)
    return jnp.mean(1 - right)


# Cached, because each new function object is compiled again.
@functools.lru_cache(maxsize=256)
def of(
    network: Network, objective: Objective, *, x: Hashable = "x", y: Hashable = "y"
) -> Callable[[PyTree, Mapping], Float[Array, ""]]:
    """Return `loss(parameters, batch)` for `train`: the objective of the outputs on `batch[x]` and of `batch[y]`.

    Args:
        network: `network(parameters, inputs)`.
        objective: for example `cross_entropy`.
        x, y: the keys of inputs and targets in a batch; for a pair, 0 and 1.

    Example:
        >>> loss = objectives.of(lambda w, x: x @ w, objectives.squared_loss)
        >>> float(loss(jnp.zeros((2, 1)), {"x": jnp.ones((3, 2)), "y": jnp.ones((3, 1))}))
        0.5
    """

    def loss(parameters, batch):
        return objective(network(parameters, batch[x]), batch[y])

    return loss


@functools.lru_cache(maxsize=256)
def measure(
    network: Network, *, x: Hashable = "x", y: Hashable = "y", **objectives: Objective
) -> Callable[[PyTree, Mapping], dict[str, Float[Array, ""]]]:
    """Return `measure(parameters, held_out)` for `Recording`, which computes each objective from the same outputs.

    Args:
        network, x, y: as in `of`.
        objectives: for example `test_accuracy=accuracy`.

    Example:
        >>> evaluate = objectives.measure(lambda w, x: x @ w, y="label", accuracy=objectives.accuracy)
        >>> float(evaluate(jnp.eye(2), {"x": jnp.eye(2), "label": jnp.array([0, 1])})["accuracy"])
        1.0
    """

    def measured(parameters, held_out):
        outputs = network(parameters, held_out[x])
        return {name: objective(outputs, held_out[y]) for name, objective in objectives.items()}

    return measured
