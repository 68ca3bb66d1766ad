"""Measures of what a random network does to a curve: length, transitions of units, activation patterns, labellings.

Source: Raghu et al. 2017, "On the expressive power of deep neural networks", Sections 2 and 3. A unit makes a
transition where the curve takes it from one linear region of its activation to another. An activation pattern says in
which region each unit is.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from deepphenomena.runtime.arrays import Array


def length(points: Float[Array, "points units"]) -> Float[Array, ""]:
    """Compute the length of the polygon through the points, which is at most that of the curve that they are on.

    Example:
        >>> float(trajectories.length(jnp.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])))
        6.0
    """
    return jnp.sum(jnp.linalg.norm(jnp.diff(points, axis=0), axis=1))


def transitions(preactivations: Float[Array, "points units"], edges: Sequence[float] = (0.0,)) -> Int[Array, " units"]:
    """Count the changes of region of each unit between consecutive points of a curve.

    Args:
        preactivations: along the curve, dense enough that no unit leaves a region and comes back in one step.
        edges: where regions meet: 0 for ReLU and for signs, −1 and 1 for hard tanh.

    Example:
        >>> trajectories.transitions(jnp.array([[-1.0], [2.0], [3.0], [-1.0]])).tolist()
        [2]
        >>> trajectories.transitions(jnp.array([[-2.0], [0.0], [3.0]]), edges=(-1, 1)).tolist()
        [2]
    """
    region = sum((preactivations > edge).astype(jnp.int32) for edge in edges)
    return jnp.sum(jnp.abs(jnp.diff(region, axis=0)), axis=0)


def labellings(signs: Array) -> int:
    """Count the different rows of a table of signs: the ways in which a sweep labels its inputs.

    Args:
        signs: (steps, inputs), at most 62 inputs; a label is whether the entry is positive.

    Example:
        >>> trajectories.labellings(np.array([[1, -1], [2, -3], [1, 1]]))
        2
    """
    labels = np.asarray(signs) > 0
    return len(np.unique(labels @ (1 << np.arange(labels.shape[1], dtype=np.int64))))


def relu_breaks(
    weights: Sequence[Float[np.ndarray, "_ _"]],
    biases: Sequence[Float[np.ndarray, " _"]],
    start: Float[np.ndarray, " inputs"],
    end: Float[np.ndarray, " inputs"],
) -> list[Float[np.ndarray, " _"]]:
    """Find where units of a ReLU network turn on or off along a line, exactly but for rounding, layer by layer.

    Between two breaks all earlier layers are linear, so the pre-activations of a layer at the breaks below it say
    everything. The number of activation patterns that the line meets is one more than the number of breaks.

    Args:
        weights, biases: of the layers, from the first; `h = W x + b`, in double precision.
        start, end: the ends of the line, where t is 0 and 1.

    Returns:
        For each layer the sorted values of t where one of its units changes.

    Example:
        >>> layers = [np.array([[1.0], [1.0]])], [np.array([-0.5, -2.0])]
        >>> [t.tolist() for t in trajectories.relu_breaks(*layers, np.zeros(1), np.ones(1))]
        [[0.5]]
    """
    t, x = np.array([0.0, 1.0]), np.stack([start, end])
    found = []
    for kernel, bias in zip(weights, biases, strict=True):
        h = x @ kernel.T + bias
        piece, unit = np.nonzero((h[:-1] > 0) != (h[1:] > 0))
        low, high = h[piece, unit], h[piece + 1, unit]
        share = low / (low - high)
        new = t[piece] + share * (t[piece + 1] - t[piece])
        between = h[piece] + share[:, None] * (h[piece + 1] - h[piece])
        between[np.arange(len(unit)), unit] = 0.0
        order = np.argsort(np.concatenate([t, new]), kind="stable")
        t, h = np.concatenate([t, new])[order], np.concatenate([h, between])[order]
        x = np.maximum(h, 0)
        found.append(np.sort(new))
    return found
