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


def passed_labellings(outputs: Float[Array, "steps inputs"]) -> int:
    """Count the labellings of a closed sweep, with those that it passes between two of its steps.

    The outputs are taken as linear between steps, and the last step is followed by the first. `labellings` counts at
    the steps alone and misses short passages: of n labellings in N steps about the share n/N.

    Args:
        outputs: the values whose signs are the labels, for at most 62 inputs.

    Example:
        >>> steps = np.array([[1.0, 3.0], [-2.0, -1.0]])
        >>> trajectories.labellings(steps), trajectories.passed_labellings(steps)
        (2, 3)
    """
    values = np.asarray(outputs, np.float64)
    following = np.roll(values, -1, axis=0)
    step, label = np.nonzero((values > 0) != (following > 0))
    low, high = values[step, label], following[step, label]
    order = np.argsort(step + low / (low - high), kind="stable")
    flips = np.left_shift(1, label[order], dtype=np.int64)
    return len(np.unique(np.bitwise_xor.accumulate(np.concatenate([[0], flips]))))


def breaks(
    weights: Sequence[Float[np.ndarray, "_ _"]],
    biases: Sequence[Float[np.ndarray, " _"]],
    corners: Float[np.ndarray, "corners inputs"],
    *,
    edges: Sequence[float] = (0.0,),
) -> list[Float[np.ndarray, " _"]]:
    """Find where units change their linear region along a polygon of inputs, exactly but for rounding, layer by layer.

    Between two breaks all earlier layers are linear, so the pre-activations of a layer at the breaks below it say
    everything. A curve that never comes back to a pattern meets one more activation pattern than there are breaks.

    Args:
        weights, biases: of the layers, from the first; `h = W x + b`, in double precision.
        corners: of the polygon. Corner k is at t = k.
        edges: where the regions of the activation meet, ascending: (0,) is ReLU, (−1, 1) is hard tanh. The activation
            is constant below the first edge, is constant above the second, and has slope 1 elsewhere.

    Returns:
        For each layer the sorted values of t where one of its units changes its region.

    Example:
        >>> layers = [np.array([[1.0], [1.0]])], [np.array([-0.5, -2.0])]
        >>> [t.tolist() for t in trajectories.breaks(*layers, np.array([[0.0], [1.0]]))]
        [[0.5]]
    """
    t, x = np.arange(len(corners), dtype=float), corners
    found = []
    for kernel, bias in zip(weights, biases, strict=True):
        h = x @ kernel.T + bias
        times, rows = [], []
        for edge in edges:
            piece, unit = np.nonzero((h[:-1] > edge) != (h[1:] > edge))
            low, high = h[piece, unit], h[piece + 1, unit]
            share = (edge - low) / (high - low)
            times.append(t[piece] + share * (t[piece + 1] - t[piece]))
            rows.append(h[piece] + share[:, None] * (h[piece + 1] - h[piece]))
            rows[-1][np.arange(len(unit)), unit] = edge
        order = np.argsort(np.concatenate([t, *times]), kind="stable")
        t, h = np.concatenate([t, *times])[order], np.concatenate([h, *rows])[order]
        x = np.clip(h, edges[0], edges[1] if len(edges) > 1 else None)
        found.append(np.sort(np.concatenate(times)))
    return found
