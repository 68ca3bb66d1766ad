"""Probes, parts of networks and errors of groups for the chapter on wide and deep networks."""

import numpy as np
from jaxtyping import Bool, Float, Int

from deepphenomena.runtime.arrays import Array

PENALTY = 0.01  # of the probe, in units of the mean variance of a feature


def probe_accuracy(
    layer: Float[Array, "n features"],
    labels: Int[Array, " n"],
    test_layer: Float[Array, "m features"],
    test_labels: Int[Array, " m"],
) -> float:
    """Return the accuracy on test images, in percent, of a ridge regression of the classes on a layer.

    Example:
        >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> probe_accuracy(x, np.array([0, 1]), x, np.array([0, 0]))
        50.0
    """
    x, y = np.asarray(layer, np.float64), np.eye(int(np.max(labels)) + 1)[np.asarray(labels)]
    mean = x.mean(0)
    moments = (x - mean).T @ (x - mean) / len(x)
    ridge = PENALTY * np.trace(moments) / len(moments) * np.eye(len(moments))
    weights = np.linalg.solve(moments + ridge, (x - mean).T @ (y - y.mean(0)) / len(x))
    guessed = ((np.asarray(test_layer) - mean) @ weights + y.mean(0)).argmax(1)
    return float(100 * np.mean(guessed == np.asarray(test_labels)))


def outside_minus_inside(values: Float[np.ndarray, " layers"], block: slice) -> float:
    """Return the mean outside a run of layers minus that inside; NaN if one of them is empty.

    Example:
        >>> outside_minus_inside(np.array([5.0, 1.0, 1.0]), slice(1, 3))
        4.0
    """
    inside = np.zeros(len(values), bool)
    inside[block] = True
    if inside.all() or not inside.any():
        return float("nan")
    return float(values[~inside].mean() - values[inside].mean())


def systematic_variance(one: Bool[np.ndarray, "networks n"], other: Bool[np.ndarray, "networks n"]) -> float:
    """Return the variance over images of the difference in accuracy of two groups, without its part by chance.

    The accuracy of a group on an image, from S networks, has the variance p (1 - p) / S by chance; p (1 - p) / (S - 1)
    with the measured p estimates it without bias. The result is 0 on average for two groups of one population.

    Example:
        >>> right, wrong = np.ones((4, 10), bool), np.zeros((4, 10), bool)
        >>> systematic_variance(np.hstack([right, wrong]), np.hstack([wrong, right]))  # ±1
        1.0
    """
    p, q = one.mean(0), other.mean(0)
    chance = p * (1 - p) / (len(one) - 1) + q * (1 - q) / (len(other) - 1)
    return float((p - q).var() - chance.mean())
