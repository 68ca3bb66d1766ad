"""Tanh networks of the chapter on orthogonal Jacobians: penalties layer by layer, error signals, and chosen trials."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Float, Key, Shaped

from deepphenomena import nets, training
from deepphenomena.runtime import sampling
from deepphenomena.runtime.arrays import Array
from deepphenomena.training import objectives

Parameters = dict[str, Array]
Layer = Callable[[Array], Array]
Penalty = Callable[[Layer, Array, Array, Array], Float[Array, ""]]


def initial(
    key: Key[jax.Array, ""], gain: float, strength: float, *, inputs: int, width: int, depth: int, outputs: int = 10
) -> Parameters:
    """Draw a network of a first layer, `depth` square layers and a readout, and the strength of its penalty.

    Weights have variance 1 over their fan-in, those of the square layers gain² over their fan-in. Biases are 0.

    Example:
        >>> start = initial(jax.random.key(0), 1.0, 0.1, inputs=5, width=4, depth=2)
        >>> {name: of.shape for name, of in start.items()}
        {'first': (5, 4), 'hidden': (2, 4, 4), 'bias': (2, 4), 'readout': (4, 10), 'strength': ()}
    """
    shapes = {"first": (inputs, width), "hidden": (depth, width, width), "readout": (width, outputs)}
    keys = jax.random.split(key, len(shapes))
    draws = {
        name: sampling.normal(one, shape, jnp.float32) / shape[-2] ** 0.5
        for one, (name, shape) in zip(keys, shapes.items(), strict=True)
    }
    return {
        "first": draws["first"],
        "hidden": gain * draws["hidden"],
        "bias": jnp.zeros((depth, width)),
        "readout": draws["readout"],
        "strength": jnp.float32(strength),
    }


def through(
    parameters: Parameters, x: Float[Array, "samples *pixels"], probes: Array, penalty: Penalty
) -> tuple[Float[Array, "samples outputs"], Float[Array, ""]]:
    """Return the logits, and the mean over the square layers of `penalty(layer, weights, h, probes)`.

    `layer` maps the activations of one layer to those of the next, h ↦ tanh(h W + b), and h are those that enter it.
    """

    def step(h, of_layer):
        weights, bias = of_layer
        layer = lambda h: jnp.tanh(h @ weights + bias)  # noqa: E731
        return layer(h), penalty(layer, weights, h, probes)

    h = jnp.tanh(x.reshape(len(x), -1) @ parameters["first"])
    h, costs = jax.lax.scan(step, h, (parameters["hidden"], parameters["bias"]))
    return h @ parameters["readout"], jnp.mean(costs)


def free(layer: Layer, weights: Array, h: Array, probes: Array) -> Float[Array, ""]:
    """Return the penalty of a network without one: 0."""
    return jnp.zeros(())


def outputs(parameters: Parameters, x: Float[Array, "samples *pixels"]) -> Float[Array, "samples outputs"]:
    """Return the logits of images of any shape."""
    return through(parameters, x, jnp.zeros(()), free)[0]


def batch(key: Key[jax.Array, ""], _, data: dict[str, Array], *, size: int) -> dict[str, Array]:
    """Cut a batch out of the images, and as many vectors out of "probes", each in a row from a random place.

    On a small network, to draw every image and vector of every step would take longer than to train.

    Example:
        >>> data = {"x": jnp.arange(9), "y": jnp.arange(9), "probes": jnp.ones((20, 4))}
        >>> {name: of.shape for name, of in batch(jax.random.key(0), 0, data, size=3).items()}
        {'x': (3,), 'y': (3,), 'probes': (3, 4)}
    """
    of_images, of_probes = jax.random.bits(key, (2,))
    places = {name: of_probes if name == "probes" else of_images for name in data}
    return {
        name: jax.lax.dynamic_slice_in_dim(of, places[name] % (len(of) - size + 1), size) for name, of in data.items()
    }


def probes(key: Key[jax.Array, ""], samples: int, width: int) -> Float[Array, "samples width"]:
    """Return unit vectors of random signs over √width: the mean of v vᵀ over them is the identity over width.

    Example:
        >>> jnp.linalg.norm(probes(jax.random.key(0), 2, 9), axis=1).round(4).tolist()
        [1.0, 1.0]
    """
    signs = jax.random.bernoulli(key, 0.5, (samples, width))
    return jnp.where(signs, width**-0.5, -(width**-0.5))


def signal_ratio(parameters: Parameters, images: dict[str, Array]) -> Float[Array, ""]:
    """Return log₁₀ of the norm of the error signal in the first layer over that in the last.

    The error signal of a layer is the gradient of the cross-entropy by its activations, for all images together.
    """

    def layer(h, of_layer):
        weights, bias = of_layer
        h = jnp.tanh(h @ weights + bias)
        return h, 1 - h**2

    first = jnp.tanh(images["x"].reshape(len(images["x"]), -1) @ parameters["first"])
    last, slopes = jax.lax.scan(layer, first, (parameters["hidden"], parameters["bias"]))
    error = jax.grad(lambda h: objectives.cross_entropy(h @ parameters["readout"], images["y"]))(last)

    def back(carried, of_layer):
        signal, decades = carried
        slope, weights = of_layer
        signal = (signal * slope) @ weights.T
        size = jnp.linalg.norm(signal)  # kept apart from the direction, which would underflow in a deep network
        return (signal / size, decades + jnp.log10(size)), None

    start = (error / jnp.linalg.norm(error), jnp.zeros(()))
    return jax.lax.scan(back, start, (slopes, parameters["hidden"]), reverse=True)[0][1]


def clipped(learning_rate: float) -> optax.GradientTransformation:
    """Return SGD with momentum 0.9 on gradients of norm 1 at most."""
    return optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(learning_rate, momentum=0.9))


def padded(images: dict[str, Array], inputs: int) -> dict[str, Array]:
    """Return images as vectors of `inputs` numbers, with zeros at the end.

    Networks of images of different shapes then share one compiled program.

    Example:
        >>> padded({"x": jnp.ones((1, 2, 2, 1)), "y": jnp.zeros(1)}, 5)["x"].tolist()
        [[1.0, 1.0, 1.0, 1.0, 0.0]]
    """
    x = images["x"].reshape(len(images["x"]), -1)
    return images | {"x": jnp.pad(x, ((0, 0), (0, inputs - x.shape[1])))}


def parted(images: dict[str, Array], last: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return all images but the `last` ones, and those.

    Example:
        >>> [of["y"].tolist() for of in parted({"y": jnp.arange(5)}, 2)]
        [[0, 1, 2], [3, 4]]
    """
    return {name: of[:-last] for name, of in images.items()}, {name: of[-last:] for name, of in images.items()}


def resampled_accuracy(parameters: Parameters, images: dict[str, Array], seed: int) -> float:
    """Return the accuracy (%) on as many images as there are, drawn with replacement by the seed.

    So the interval over seeds covers that other test images could have been collected.
    """
    index = np.random.default_rng([seed, 2]).integers(len(images["y"]), size=len(images["y"]))
    return 100 * float(_accuracy(parameters, {name: of[index] for name, of in images.items()}))


@jax.jit
def _accuracy(parameters, images):
    return objectives.accuracy(outputs(parameters, images["x"]), images["y"])


def accuracies(trained: training.Trained, images: dict[str, Array]) -> pd.Series:
    """Return the test accuracy (%) of every member, on the test images that its seed draws."""
    each = [
        resampled_accuracy(nets.member(trained.parameters, k), images, seed)
        for k, seed in enumerate(trained.members["seed"].tolist())
    ]
    return trained.members.series(each)


def best(trained: training.Trained, images: dict[str, Array], early: int) -> pd.DataFrame:
    """Return test accuracy (%) and log₁₀ signal ratios of each seed's and start's best trial on validation images.

    A trial without a validation accuracy, as after divergence, is never chosen; the first of equal ones is.

    Args:
        trained: members with the axes seed, start and trial, and the metrics "validation" and "decades".
        images: the test images.
        early: a recorded step.

    Returns:
        Indexed by seed and start, with the columns trial, initial, early, end and test.
    """
    moments = {"initial": 0, "early": early, "end": int(trained.recorded[-1])}
    trials = pd.DataFrame({name: trained.at("decades", step) for name, step in moments.items()})
    scores = trained.last("validation").unstack("trial").fillna(-np.inf)
    taken = scores.idxmax(axis=1).reindex(trials.index.droplevel("trial").unique()).rename("trial")
    rows = pd.MultiIndex.from_frame(taken.reset_index())
    places = trials.index.get_indexer(rows)
    test = [
        resampled_accuracy(nets.member(trained.parameters, k), images, seed)
        for k, seed in zip(places, taken.index.get_level_values("seed"), strict=True)
    ]
    return trials.iloc[places].assign(test=test).reset_index("trial")


def gains(seed: int, *, low: float, high: float, count: int) -> Float[np.ndarray, " count"]:
    """Draw gains evenly on a log scale from `low` to `high`, one in each of `count` equal intervals.

    All are shifted together, by another amount for each seed, so that shares over them have no fixed grid.

    Example:
        >>> gains(0, low=1.0, high=100.0, count=2).round(2).tolist()
        [7.76, 77.58]
    """
    shift = np.random.default_rng([seed, 1]).uniform()
    return low * (high / low) ** ((np.arange(count) + shift) / count)


def worst(table: pd.DataFrame) -> Shaped[pd.Series, " seeds"]:
    """Return the column with the smallest mean.

    Example:
        >>> worst(pd.DataFrame({"a": [1.0, 3.0], "b": [0.2, 0.4]})).name
        'b'
    """
    return table[table.mean().idxmin()]


def nearer_to_zero(without: pd.DataFrame, with_it: pd.DataFrame) -> pd.DataFrame:
    """Return values, by seed, whose mean in each column is |mean without| − |mean with|.

    The distance to 0 is that of the mean over seeds: the mean of distances would have a floor of noise.

    Example:
        >>> one, other = pd.DataFrame({"a": [-3.0, -1.0]}), pd.DataFrame({"a": [0.5, -0.7]})
        >>> nearer_to_zero(one, other)["a"].round(2).tolist()
        [3.5, 0.3]
    """
    return without * np.sign(without.mean()) - with_it * np.sign(with_it.mean())
