"""Losses and errors of a batch, each a pure function, and adapters that make of them what `train` asks for.

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
    """Mean of -log softmax(logits)[label], in nats: log(classes) for equal logits."""
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))


def accuracy(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, ""]:
    """Share of the batch whose largest logit is that of the label, 0 to 1; the first of equal logits counts."""
    return jnp.mean(jnp.argmax(logits, -1) == labels)


def squared_loss(
    outputs: Float[Array, "batch outputs"], targets: Float[Array, "batch outputs"] | Int[Array, " batch"]
) -> Float[Array, ""]:
    """Mean of ½ ‖output - target‖² over the batch; integer labels stand for one-hot targets."""
    if jnp.issubdtype(targets.dtype, jnp.integer):
        targets = jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    return 0.5 * jnp.mean(jnp.sum((outputs - targets) ** 2, -1))


def soft_error(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, ""]:
    """Mean of 1 - softmax(logits)[label], 0 to 1: the error of a classifier that draws its answer from the softmax.

    Source: Nakkiran, Neyshabur and Sedghi (2021), "The deep bootstrap framework", section 2.
    """
    right = jnp.take_along_axis(jax.nn.softmax(logits), labels[:, None], -1)
    return jnp.mean(1 - right)


# Cached, because a program is compiled again for each new function object.
@functools.lru_cache(maxsize=256)
def of(
    network: Network, objective: Objective, *, x: Hashable = "x", y: Hashable = "y"
) -> Callable[[PyTree, Mapping], Float[Array, ""]]:
    """`loss(parameters, batch)` for `train`: the objective of the network's outputs on `batch[x]` against `batch[y]`.

    Args:
        network: `network(parameters, inputs)`.
        objective: such as `cross_entropy`.
        x, y: where inputs and targets are in a batch: keys of a dict, or 0 and 1 of a pair.
    """

    def loss(parameters, batch):
        return objective(network(parameters, batch[x]), batch[y])

    return loss


@functools.lru_cache(maxsize=256)
def measure(
    network: Network, *, x: Hashable = "x", y: Hashable = "y", **objectives: Objective
) -> Callable[[PyTree, Mapping], dict[str, Float[Array, ""]]]:
    """`measure(parameters, held_out)` for `Recording`: each objective of the network under its name, outputs shared.

    Args:
        network, x, y: as in `of`.
        objectives: such as `test_accuracy=accuracy`.
    """

    def measured(parameters, held_out):
        outputs = network(parameters, held_out[x])
        return {name: objective(outputs, held_out[y]) for name, objective in objectives.items()}

    return measured
