"""Signals, decision boundaries and least squares of the chapter on transient chaos."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float, Key

from deepphenomena.runtime import sampling
from deepphenomena.runtime.arrays import Array


@functools.partial(jax.jit, static_argnames="layers")
def follow(
    key: Key[jax.Array, ""],
    inputs: Float[Array, "signals units"],
    weight_scale: Float[Array, ""] | float,
    bias_scale: Float[Array, ""] | float,
    *,
    layers: int,
) -> Float[Array, "layers signals signals"]:
    """Return inner products over the number of units between the pre-activations of signals, in layers 1, 2, ....

    The inputs are the pre-activations of layer 1; every later layer of tanh units has its own random weights.

    Example:
        >>> follow(jax.random.key(0), jnp.ones((2, 16)), 1.0, 0.1, layers=3).shape
        (3, 2, 2)
    """
    units = inputs.shape[1]

    def layer(h, key):
        draws = sampling.normal(key, (units + 1, units), h.dtype)
        return jnp.tanh(h) @ (weight_scale / units**0.5 * draws[:-1]) + bias_scale * draws[-1], h @ h.T / units

    return jax.lax.scan(layer, inputs, jax.random.split(key, layers))[1]


def signals(
    key: Key[jax.Array, ""], units: int, *, lengths: Sequence[float], correlations: Sequence[float]
) -> Float[Array, "signals units"]:
    """Draw signals of these mean squares; then one of mean square 1, and signals of the same with these correlations.

    Example:
        >>> x = signals(jax.random.key(0), 8, lengths=[4.0], correlations=[0.5])
        >>> jnp.abs(x @ x.T / 8).round(3).tolist()
        [[4.0, 0.0, 0.0], [0.0, 1.0, 0.5], [0.0, 0.5, 1.0]]
    """
    own = len(lengths)
    size = own + 1 + len(correlations)
    mixed = np.diag(np.sqrt([*lengths, 1, *(1 - np.square(correlations))]))
    mixed[own + 1 :, own] = correlations
    basis = jnp.linalg.qr(sampling.normal(key, (units, size)))[0].T
    return units**0.5 * jnp.asarray(mixed, basis.dtype) @ basis


def lengths_and_correlations(
    products: Float[Array, "layers signals signals"], *, lengths: int
) -> Float[np.ndarray, "layers measured"]:
    """Return mean squares of the first `lengths` signals, then correlations of the others with the one after these.

    Example:
        >>> lengths_and_correlations(np.array([[[4.0, 0, 0], [0, 1, 0.5], [0, 0.5, 1]]]), lengths=1).tolist()
        [[4.0, 0.5]]
    """
    square = np.einsum("lii->li", products)
    size = np.sqrt(square)
    return np.hstack(
        [square[:, :lengths], products[:, lengths + 1 :, lengths] / size[:, lengths + 1 :] / size[:, [lengths]]]
    )


def autocorrelation(
    products: Float[Array, "layers signals signals"], angles: int
) -> Float[np.ndarray, "layers angles"]:
    """Return the mean correlation of the first of every `angles` signals in a row with each of them.

    Example:
        >>> autocorrelation(np.eye(4)[None], 2).tolist()
        [[1.0, 0.0]]
    """
    size = np.sqrt(np.einsum("lii->li", products))
    groups = len(size[0]) // angles
    correlation = (products / size[:, :, None] / size[:, None]).reshape(-1, groups, angles, groups, angles)
    return np.einsum("laaj->lj", correlation[:, :, 0]) / groups


def half_width(angles: Float[np.ndarray, " angles"], peak: Float[np.ndarray, " angles"]) -> float:
    """Return the angle at which a peak is halfway from 1 to its last value, by interpolation in the log angle.

    Args:
        angles: the first is 0, and the others increase.
        peak: correlations; the first is 1.

    Example:
        >>> round(half_width(np.array([0, 0.1, 1.0]), np.array([1.0, 0.75, 0.0])), 3)
        0.215
    """
    height = (peak - peak[-1]) / (1 - peak[-1])
    k = max(2, int(np.argmax(height < 0.5)))
    return float(np.exp(np.interp(0.5, height[[k, k - 1]], np.log(angles[[k, k - 1]]))))


def rate(values: Float[np.ndarray, "*seeds layers"], first: int, last: int) -> Float[np.ndarray, "*seeds"]:
    """Return the slope of log values per layer over a range of layers; the first value is that of layer 1.

    Example:
        >>> rate(3.0 ** np.arange(6)[None], 2, 5).round(3).tolist() == [round(float(np.log(3)), 3)]
        True
    """
    return np.polyfit(range(first, last + 1), np.log(values[..., first - 1 : last]).T, 1)[0]


def worst(table: pd.DataFrame, centre: float = 0.0) -> pd.Series:
    """Return the column whose mean is farthest from a number.

    Example:
        >>> worst(pd.DataFrame({"a": [1.0, -1.0], "b": [0.2, 0.4]})).name
        'b'
    """
    return table[(table.mean() - centre).abs().idxmax()]


class Deep(NamedTuple):
    """A random tanh network after its first pre-activations: `h ↦ tanh(h) W + b` for each layer, then a readout.

    Attributes:
        weights: (layers, units, units).
        biases: (layers, units).
        readout: (units,), of tanh of the last pre-activations.
    """

    weights: Float[np.ndarray, "layers units units"]
    biases: Float[np.ndarray, "layers units"]
    readout: Float[np.ndarray, " units"]

    def preactivations(self, h: Float[np.ndarray, "*points units"]) -> list[Float[np.ndarray, "*points units"]]:
        """Return the pre-activations of all layers, the given ones first."""
        found = [h]
        for weights, bias in zip(self.weights, self.biases, strict=True):
            found.append(np.tanh(found[-1]) @ weights + bias)
        return found

    def image(self, h: Float[jax.Array, " units"]) -> Float[jax.Array, " units"]:
        """Return the last pre-activations, as a JAX function that can be differentiated."""
        for weights, bias in zip(self.weights, self.biases, strict=True):
            h = jnp.tanh(h) @ weights + bias
        return h


def random_network(
    rng: np.random.Generator, *, units: int, layers: int, weight_scale: float, bias_scale: float
) -> Deep:
    """Draw a network with weights of variance σ_w² / units and biases of variance σ_b².

    Example:
        >>> random_network(np.random.default_rng(0), units=4, layers=2, weight_scale=1.0, bias_scale=0.0).biases.shape
        (2, 4)
    """
    weights = weight_scale / units**0.5 * rng.standard_normal((layers, units, units))
    return Deep(weights, bias_scale * rng.standard_normal((layers, units)), rng.standard_normal(units) / units**0.5)


def circle(rng: np.random.Generator, angles: Float[np.ndarray, " points"], *, units: int, variance: float):
    """Return the points of a random great circle whose coordinates have this mean square.

    Example:
        >>> bool(np.isclose((circle(np.random.default_rng(0), np.ones(1), units=9, variance=2.0) ** 2).mean(), 2))
        True
    """
    basis = np.linalg.qr(rng.standard_normal((units, 2)))[0].T * (units * variance) ** 0.5
    return np.stack([np.cos(angles), np.sin(angles)], 1) @ basis


def on_the_boundary(
    rng: np.random.Generator, network: Deep, *, points: int, variance: float
) -> Float[np.ndarray, "points units"]:
    """Find points on random half great circles where the output is halfway between those at their ends, by bisection.

    Example:
        >>> network = random_network(np.random.default_rng(0), units=9, layers=2, weight_scale=1.0, bias_scale=0.3)
        >>> on_the_boundary(np.random.default_rng(1), network, points=3, variance=2.0).shape
        (3, 9)
    """
    units = len(network.readout)
    axes = np.stack([circle(rng, np.array([0.0, np.pi / 2]), units=units, variance=variance) for _ in range(points)])

    def arcs(angles):
        return np.cos(angles)[:, None] * axes[:, 0] + np.sin(angles)[:, None] * axes[:, 1]

    def outputs(angles):
        return np.tanh(network.preactivations(arcs(angles))[-1]) @ network.readout

    low, high = np.zeros(points), np.full(points, np.pi)
    first = outputs(low)
    level = (first + outputs(high)) / 2
    for _ in range(50):
        middle = (low + high) / 2
        as_first = (outputs(middle) < level) == (first < level)
        low, high = np.where(as_first, middle, low), np.where(as_first, high, middle)
    return arcs((low + high) / 2)


def boundary_curvatures(
    network: Deep, point: Float[np.ndarray, " units"], *, extremes: int = 4
) -> Float[np.ndarray, "layers 2"]:
    """Return means of the largest and of the smallest principal curvatures of a level set, in each layer's space.

    The level set of the output f through the images of the point has the normal ∇f / |∇f|. Its principal curvatures
    are the eigenvalues of the Hessian of f in the tangent space, over |∇f|. Gradient and Hessian in the pre-activations
    of a layer follow from those of the next one by the chain rule.

    Args:
        network: the network.
        point: pre-activations of the first layer.
        extremes: how many curvatures each mean is over.

    Returns:
        (layers + 1, 2): from the first layer to the last.

    Example:
        >>> network = random_network(np.random.default_rng(0), units=12, layers=3, weight_scale=4.0, bias_scale=0.3)
        >>> boundary_curvatures(network, np.ones(12)).shape
        (4, 2)
    """
    inward, hessian, means = network.readout, 0.0, []
    for layer, h in reversed(list(enumerate(network.preactivations(point)))):
        slope = 1 - np.tanh(h) ** 2
        gradient = slope * inward
        hessian = slope[:, None] * hessian * slope + np.diag(-2 * np.tanh(h) * gradient)
        normal = gradient / np.linalg.norm(gradient)
        tangent = np.linalg.qr(normal[:, None], mode="complete")[0][:, 1:]
        bends = np.linalg.eigvalsh(tangent.T @ hessian @ tangent) / np.linalg.norm(gradient)
        means.append((bends[-extremes:].mean(), bends[:extremes].mean()))
        if layer:
            weights = network.weights[layer - 1]
            inward, hessian = weights @ gradient, weights @ hessian @ weights.T
    return np.array(means[::-1])


def left_over(
    features: Float[np.ndarray, "points features"], targets: Float[np.ndarray, "points targets"], *, cutoff: float
) -> Float[np.ndarray, " targets"]:
    """Return the share of each target's squares that least squares on the features leaves, with an intercept.

    Directions whose singular value is below `cutoff` times the largest are not used.

    Example:
        >>> x = np.linspace(-1, 1, 50)[:, None]
        >>> np.abs(left_over(x, np.hstack([2 * x + 1, x**2]), cutoff=1e-8)).round(3).tolist()
        [0.0, 1.0]
    """
    features, targets = features - features.mean(0), targets - targets.mean(0)
    directions, sizes, _ = np.linalg.svd(features, full_matrices=False)
    explained = directions[:, sizes > cutoff * sizes[0]].T @ targets
    return 1 - (explained**2).sum(0) / (targets**2).sum(0)
