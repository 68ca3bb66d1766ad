"""Very deep networks of one architecture, trained from several starts on the images of one seed."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Float, PyTree

from deepphenomena import nets, training
from deepphenomena.nets.functional import Network
from deepphenomena.papers.dynamical_isometry.images import Images
from deepphenomena.runtime.arrays import Array
from deepphenomena.training import objectives
from deepphenomena.training.trained import Trained

_PART = 50  # images whose accuracy is computed at once: more do not stay in the cache


class Architecture(NamedTuple):
    """An architecture. All starts and seeds use the same function objects, so their programs are compiled once.

    Attributes:
        network: `network(parameters, x)`, the logits.
        loss: the cross-entropy, `loss(parameters, {"x", "y"})`.
        accuracies: `accuracies(parameters, {name: {"x", "y"}})`, a number for each set, for `training.Recording`.
    """

    network: Network
    loss: Callable[[PyTree, Images], Float[Array, ""]]
    accuracies: Callable[[PyTree, Mapping[str, Images]], dict[str, Array]]


def architecture(build: Callable[[], nnx.Module]) -> Architecture:
    """Return the architecture of the networks that are like the one that `build` makes.

    Example:
        >>> net = architecture(lambda: nets.fully_connected([4, 3], activation="relu", key=jax.random.key(0)))
        >>> net.network(nets.functional(nets.fully_connected([4, 3], activation="relu", key=jax.random.key(1)))[1],
        ...             np.ones((5, 4))).shape
        (5, 3)
    """
    network, _ = nets.functional(nnx.eval_shape(build))
    return Architecture(
        network, objectives.of(network, objectives.cross_entropy), functools.partial(_accuracies, network)
    )


def train_starts(
    train: Callable[..., Trained],
    name: str,
    net: Architecture,
    build: Callable[..., nnx.Module],
    seed: int,
    data: tuple[Images, Images],
    *,
    rates: Mapping[Any, float],
    bias_scale: float | Mapping[Any, float],
    batch_size: int,
    steps: int,
    constant: float = 1.0,
    measured: int,
    records: int = 1,
    **options: Any,
) -> Trained:
    """Train one seed from several starts, each at its own rate, on the same images and batches.

    The optimizer is SGD with momentum 0.9. A gradient by a bias is about 1/√q* times as large as one by a weight, where
    q* is the variance of the pre-activations, so biases have a rate of their own.

    Args:
        train: `run.train`.
        name: the name of the training; the seed is added.
        net: the architecture.
        build: `build(start, seed)`, a network of this architecture.
        seed: of the initial parameters and of the batches.
        data: training images and test images.
        rates: {start: learning rate}; the starts label the members.
        bias_scale: the rate of the biases of the deep layers over that of all other parameters, one or one per start.
        batch_size: images per step.
        steps: number of updates.
        constant: the share of the steps with a constant rate; afterwards it falls linearly to zero.
        measured: how many of the training and test images give the metrics "train" and "test".
        records: how often they are measured after the start.
        options: of `training.train`.

    Example:
        >>> build = lambda start, seed: nets.fully_connected([4, 3], activation="relu", key=jax.random.key(seed))
        >>> data = {"x": np.eye(4, dtype=np.float32), "y": np.array([0, 1, 2, 0])}
        >>> net = architecture(lambda: build("any", 0))
        >>> train = lambda name, *arguments, **options: training.train(*arguments, **options)
        >>> trained = train_starts(
        ...     train, "example", net, build, 0, (data, data), measured=4, rates={"slow": 0.0, "fast": 1.0},
        ...     bias_scale=1.0, batch_size=4,
        ...     steps=5, description=None,
        ... )
        >>> bool(trained.losses[0, -1] > trained.losses[1, -1])
        True
    """
    members = training.grid(seed=[seed], start=list(rates))
    initial = members.stack(lambda start: nets.functional(build(start, seed))[1])
    scales = [bias_scale[start] if isinstance(bias_scale, Mapping) else bias_scale for start in rates]
    values = {"learning_rate": np.array(list(rates.values())), "bias_scale": np.array(scales)}
    optimizer = training.tunable(_momentum, **values, last=float(steps), falling=(1 - constant) * steps + 1e-6)
    watched = {name: _first(measured, images) for name, images in zip(("train", "test"), data, strict=True)}
    recording = training.Recording(net.accuracies, watched, every=max(1, steps // records))
    options = {"batch_fn": training.Epochs(batch_size), "stop_above": 1e3, "recording": recording} | options
    return train(
        f"{name}, seed {seed}", net.loss, initial, data[0], members, optimizer=optimizer, steps=steps, **options
    )


def _first(n, images):
    return {name: values[:n] for name, values in images.items()}


def _momentum(learning_rate, bias_scale, last, falling):
    rate = lambda step: learning_rate * jnp.clip((last - step) / falling, 0, 1)  # noqa: E731
    return optax.chain(_scaled_biases(bias_scale), optax.sgd(rate, momentum=0.9))


def _scaled_biases(scale):
    def update(gradients, state, parameters=None):
        del parameters
        scaled = jax.tree_util.tree_map_with_path(
            lambda path, leaf: leaf * scale if "biases" in jax.tree_util.keystr(path) else leaf, gradients
        )
        return scaled, state

    return optax.GradientTransformation(lambda _: optax.EmptyState(), update)


def _accuracies(network, parameters, sets):
    """The accuracy on each set, in parts of a few images."""

    def accuracy(data):
        size = next(size for size in range(min(_PART, len(data["y"])), 0, -1) if len(data["y"]) % size == 0)
        x, y = (data[name].reshape(-1, size, *data[name].shape[1:]) for name in ("x", "y"))
        part = lambda batch: objectives.accuracy(network(parameters, batch[0]), batch[1])  # noqa: E731
        return jax.lax.map(part, (x, y)).mean()

    return {name: accuracy(data) for name, data in sets.items()}
