"""Networks of the chapter, trained at rates in units of 1/λ₀.

A network trains at the learning rate c / λ₀, where λ₀ is its curvature at initialization and c its rate.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Bool, Float, Key, PyTree

from deepphenomena import nets, spectra, training
from deepphenomena.nets.functional import Network
from deepphenomena.runtime.arrays import Array
from deepphenomena.training import objectives
from deepphenomena.training.scan import Tunable
from deepphenomena.training.trained import Trained


class Model(NamedTuple):
    """An architecture. All seeds use the same function objects, so their programs are compiled once.

    Attributes:
        network: `network(parameters, x)`, the outputs.
        loss: the squared loss, summed over outputs and halved, `loss(parameters, {"x", "y"})`.
        accuracy: `accuracy(parameters, {"x", "label"})`, for `training.Recording`.
        curvature: `curvature(parameters, x)`, λ, the top eigenvalue of the tangent kernel on the images x.
        initial: `initial(seed)`, the initial parameters.
    """

    network: Network
    loss: Callable[[PyTree, dict], Float[Array, ""]]
    accuracy: Callable[[PyTree, dict], dict[str, Array]]
    curvature: Callable[[PyTree, Array], Float[Array, ""]]
    initial: Callable[[int], PyTree]


def model(build: Callable[[Key[jax.Array, ""]], nnx.Module]) -> Model:
    """Return the model of an architecture; `build(key=key)` makes one network.

    Example:
        >>> relu = model(lambda key: nets.fully_connected([4, 8, 2], activation="relu", key=key))
        >>> relu.network(relu.initial(0), jnp.ones((3, 4))).shape
        (3, 2)
    """
    network, _ = nets.functional(build(key=jax.random.key(0)))
    return Model(
        network,
        objectives.of(network, objective=objectives.squared_loss),
        objectives.measure(network, y="label", accuracy=objectives.accuracy),
        jax.jit(functools.partial(_curvature, network)),
        lambda seed: nets.functional(build(key=jax.random.key(seed)))[1],
    )


def _curvature(network, parameters, x):
    return spectra.top_ntk_eigenvalue(lambda p: network(p, x), parameters, key=jax.random.key(0), steps=16).value


def constant(rate: Array | float, curvature_0: Array | float) -> Tunable:
    """Gradient descent at η = rate / λ₀: one optimizer for all rates.

    Example:
        >>> constant(np.array([1.0, 3.0]), 2.0).values["learning_rate"].tolist()
        [0.5, 1.5]
    """
    return training.tunable(optax.sgd, learning_rate=rate / curvature_0)


def decayed(rate: Array | float, curvature_0: Array | float, *, physical_time: float) -> Tunable:
    """Gradient descent at η = rate / λ₀ for physical_time / rate steps, then at 0.5 / λ₀ for every rate.

    Source: Lewkowycz et al. (2020), Figures 5b and 5d: all rates end with the same small one.

    Example:
        >>> decayed(4.0, 2.0, physical_time=12.0).values["decay_at"].item()
        3.0
    """
    values = {"learning_rate": rate / curvature_0, "decayed": 0.5 / curvature_0, "decay_at": physical_time / rate}
    return training.tunable(_decayed_sgd, **values)


def _decayed_sgd(learning_rate, decayed, decay_at):
    return optax.sgd(lambda step: jnp.where(step < decay_at, learning_rate, decayed))


def sweep(
    train: Callable[..., Trained],
    name: str,
    net: Model,
    seed: int,
    train_set: dict[str, Array],
    *,
    rates: Sequence[float],
    optimizer: Callable[..., Tunable] = constant,
    probe: int | None = None,
    **options: Any,
) -> tuple[Array, Trained]:
    """Train one seed at every rate from the same initialization. Return (λ₀, the trained members).

    Args:
        train: `run.train`.
        name: the name of the training; the seed is added.
        net: the architecture.
        seed: of the initial parameters and of the batches.
        train_set: "x", "y" and "label".
        rates: learning rates in units of 1/λ₀.
        optimizer: `constant`, or `decayed` with its physical time.
        probe: how many training images λ₀ is measured on; None for all.
        options: of `training.train`.
    """
    members, initial = training.grid(seed=[seed], rate=rates), net.initial(seed)
    curvature_0 = net.curvature(initial, train_set["x"][:probe])
    options = {"optimizer": optimizer(members["rate"], curvature_0), "stop_above": 1e8} | options
    starts = members.stack(lambda: initial)
    return curvature_0, train(f"{name}, seed {seed}", net.loss, starts, train_set, members, **options)


def at_rate(rate: float, net: Model, seed: int, train_set: dict[str, Array], *, steps: int) -> Trained:
    """Train one seed at η = rate / λ₀, without a progress bar."""
    initial = net.initial(seed)
    optimizer = constant(rate, net.curvature(initial, train_set["x"]))
    return training.train(net.loss, initial, train_set, optimizer=optimizer, steps=steps, description=None)


def bisect(
    is_above: Callable[[Float[np.ndarray, " members"]], Bool[Array, " members"]],
    low: float,
    high: float,
    *,
    members: int,
    halvings: int,
) -> Float[np.ndarray, " members"]:
    """The boundary between `low` and `high` below which `is_above` is false, for many members at once.

    Args:
        is_above: of one value per member, whether it lies above that member's boundary.
        low, high: where the search starts, for every member.
        members: how many boundaries are searched for.
        halvings: the result is within (high - low) / 2 ** (halvings + 1) of the boundary.

    Example:
        >>> bisect(lambda x: x**2 > np.array([2.0, 9.0]), 0.0, 8.0, members=2, halvings=20).round(3).tolist()
        [1.414, 3.0]
    """
    low, high = np.full(members, low), np.full(members, high)
    for _ in range(halvings):
        middle = (low + high) / 2
        above = np.asarray(is_above(middle))
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def largest_trainable_rate(
    net: Model,
    seed: int,
    train_set: dict[str, Array],
    *,
    low: float,
    high: float,
    halvings: int,
    steps: int,
    enough: float | None = None,
) -> float:
    """The largest rate between `low` and `high`, in units of 1/λ₀, at which a network trains, by bisection.

    Args:
        net, seed: the architecture, and the seed of its initial parameters.
        train_set: "x" and "y".
        low, high: where the search starts.
        halvings: the result is within (high - low) / 2 ** (halvings + 1) of the boundary.
        steps: steps after which the loss is judged.
        enough: a loss below this means that the network has trained; None takes the initial loss.
    """
    initial = net.initial(seed)
    curvature_0 = net.curvature(initial, train_set["x"])

    def fails(rate):
        options = {"optimizer": constant(rate[0], curvature_0), "steps": steps, "stop_above": 1e8, "description": None}
        trained = training.train(net.loss, initial, train_set, **options)
        wanted = trained.losses[0] if enough is None else enough
        return np.array([trained.diverged or not trained.losses[-1] < wanted])

    return float(bisect(fails, low, high, members=1, halvings=halvings)[0])
