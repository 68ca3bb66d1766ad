"""The area under the ROC curve, its bootstrap interval, and the step at which a curve reaches a threshold.

The area is the probability that a positive case scores above a negative one; ties count half (Hanley and McNeil 1982,
"The meaning and use of the area under a receiver operating characteristic curve"; the Mann-Whitney statistic).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, Shaped

from deepphenomena.runtime import numbers
from deepphenomena.runtime.errors import InputError

__all__ = ["Interval", "auc_interval", "roc_auc", "steps_to_reach"]

_LARGEST = 65_000  # cases; beyond it twice the number of pairs may not fit in 32 bits


class Interval(NamedTuple):
    """An area under the curve with a bootstrap interval, for each task. Each array is `(*tasks,)`.

    Example:
        >>> scores, labels = jnp.asarray([0.1, 0.4, 0.35, 0.8]), jnp.asarray([0, 0, 1, 1])
        >>> interval = metrics.auc_interval(scores, labels, key=jax.random.key(0), resamples=100)
        >>> bool(interval.low <= interval.auc <= interval.high)
        True
    """

    auc: Float[np.ndarray, "*tasks"]
    low: Float[np.ndarray, "*tasks"]
    high: Float[np.ndarray, "*tasks"]


def roc_auc(
    scores: Shaped[Array | np.ndarray, "n *tasks"], labels: Shaped[Array | np.ndarray, "n *tasks"]
) -> Float[Array, "*tasks"]:
    """Compute the exact area under the ROC curve of each task, `(*tasks,)`. Works inside jit and vmap.

    Pairs are counted in integers, so the result does not depend on the order of the cases. A strictly increasing map of
    the scores leaves it unchanged, unless rounding makes two scores equal. NumPy scores of 64 bits are compared in 64
    bits. NaN if a task lacks one of the classes, or a score is NaN, or, inside jit, a label is neither 0 nor 1.

    Args:
        scores: larger for cases that are more likely positive.
        labels: 1 or true for a positive case, 0 or false for a negative one.

    Raises:
        InputError: for different shapes, no cases, more than 65,000, or labels other than 0 and 1.

    Example:
        >>> float(metrics.roc_auc(jnp.asarray([0.1, 0.4, 0.35, 0.8]), jnp.asarray([0, 0, 1, 1])))
        0.75
    """
    scores, positive = _checked(scores, labels)
    areas = _areas(scores.reshape(len(scores), -1), positive.reshape(len(positive), -1)).reshape(scores.shape[1:])
    if numbers.known(labels):
        return areas
    return jnp.where(jnp.all(_is_binary(jnp.asarray(labels)), axis=0), areas, jnp.nan)


@jax.jit
@functools.partial(jax.vmap, in_axes=1, out_axes=0)
def _areas(scores, positive):
    ranked, below, upto = _ranked(scores, positive)
    wins = jnp.sum(jnp.where(positive, ranked[below] + ranked[upto], 0))  # twice, so that a tie is one
    positives = jnp.sum(positive)
    pairs = positives * (len(scores) - positives)
    defined = (pairs > 0) & ~jnp.any(jnp.isnan(scores))
    return jnp.where(defined, wins / jnp.maximum(2 * pairs, 1), jnp.nan)


def _ranked(scores, positive):
    """Return what every count of pairs needs.

    These are the numbers of negatives among the lowest k cases for k = 0 to n, and for each case how many cases score
    below it and how many at most as high.
    """
    order = jnp.argsort(scores)
    ordered = scores[order]
    negatives = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(~positive[order], dtype=jnp.int32)])
    return negatives, jnp.searchsorted(ordered, scores, side="left"), jnp.searchsorted(ordered, scores, side="right")


def auc_interval(
    scores: Shaped[Array | np.ndarray, "n *tasks"],
    labels: Shaped[Array | np.ndarray, "n *tasks"],
    *,
    key: Key[Array, ""],
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """Compute the area with its percentile interval over stratified bootstrap resamples of the cases.

    A resample draws the same number of positive cases from the positive ones, and likewise for the negatives. The
    interval covers the error of a finite test set. It does not cover retraining the network.

    Args:
        scores, labels: as in `roc_auc`.
        key: draws the resamples, independently for each task.
        resamples: number of resamples.
        confidence: share of the resamples inside the interval.

    Raises:
        InputError: as `roc_auc`, for a task with one class only, fewer than 2 resamples or a confidence outside (0, 1).

    Example:
        >>> scores, labels = jnp.asarray([0.1, 0.4, 0.35, 0.8]), jnp.asarray([0, 0, 1, 1])
        >>> float(metrics.auc_interval(scores, labels, key=jax.random.key(0), resamples=100).auc)
        0.75
    """
    resamples = numbers.whole("resamples", resamples)
    if resamples < 2 or not 0 < confidence < 1:
        raise InputError(
            f"interval from {resamples} resamples at confidence {confidence:g}: give 2 or more, and between 0 and 1"
        )
    scores, labels = _checked(scores, labels)
    flat_scores, flat_labels = scores.reshape(len(scores), -1), labels.reshape(len(labels), -1)
    for task, positives in enumerate(np.sum(np.asarray(flat_labels), 0)):
        if not 0 < positives < len(labels):
            raise InputError(f"task {task} has one class only among its {len(labels)} cases: it has no ROC curve")
    drawn = _resampled(flat_scores.T, flat_labels.T, jax.random.split(key, flat_labels.shape[1]), resamples)
    ends = np.quantile(np.asarray(drawn, np.float64), [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    low, high = ends.reshape(2, *scores.shape[1:])
    return Interval(np.asarray(roc_auc(scores, labels)), low, high)


@functools.partial(jax.jit, static_argnames="resamples")
def _resampled(scores, positive, keys, resamples):
    """Compute the areas of the resamples, (tasks, resamples). Cases are counted again but not ranked again."""
    n = scores.shape[1]

    def of_task(task):
        scores, positive, key = task
        order, (_, below, upto) = jnp.argsort(scores), _ranked(scores, positive)
        cases, positives = jnp.argsort(~positive), jnp.sum(positive)  # the positive ones first
        first = jnp.arange(n) < positives

        def area(key):
            uniform = jax.random.uniform(key, (n,))
            within = jnp.where(first, uniform * positives, positives + uniform * (n - positives)).astype(jnp.int32)
            within = jnp.clip(within, jnp.where(first, 0, positives), jnp.where(first, positives - 1, n - 1))
            counts = jnp.zeros(n, jnp.int32).at[cases[within]].add(1)
            negatives = jnp.cumsum(jnp.where(positive, 0, counts)[order])
            negatives = jnp.concatenate([jnp.zeros(1, jnp.int32), negatives])
            wins = jnp.sum(jnp.where(positive, counts * (negatives[below] + negatives[upto]), 0))
            return wins / (2 * positives * (n - positives))

        return jax.lax.map(area, jax.random.split(key, resamples))

    return jax.lax.map(of_task, (scores, positive, keys))


def steps_to_reach(
    steps: Int[np.ndarray, " records"], values: Float[np.ndarray, "*runs records"], threshold: float
) -> Float[np.ndarray, "*runs"]:
    """Compute the step at which a curve first reaches a threshold, linear between two records; ∞ if it never does.

    A NaN record does not reach the threshold.

    Raises:
        InputError: for steps that do not increase, or curves of another length.

    Example:
        >>> float(metrics.steps_to_reach(np.asarray([0, 10, 20]), np.asarray([0.1, 0.5, 0.9]), 0.7))
        15.0
    """
    steps, values = (
        np.asarray(numbers.array(name, given), np.float64) for name, given in (("steps", steps), ("curves", values))
    )
    if steps.ndim != 1 or not len(steps) or values.shape[-1:] != steps.shape or np.any(np.diff(steps) <= 0):
        raise InputError(f"steps {steps.shape} and curves {values.shape}: give increasing steps, and a value for each")
    reached = values >= threshold
    first = np.argmax(reached, -1)
    before = np.maximum(first - 1, 0)
    low, high = (np.take_along_axis(values, k[..., None], -1)[..., 0] for k in (before, first))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where((first > 0) & np.isfinite(low), (threshold - low) / (high - low), 1.0)
    at = steps[before] + share * (steps[first] - steps[before])
    return np.where(reached.any(-1), at, np.inf)


def _checked(scores, labels):
    """Return scores whose order JAX keeps, and which cases are positive."""
    scores, labels = numbers.array("scores", scores), numbers.array("labels", labels)
    if scores.shape != labels.shape or scores.ndim < 1 or not 1 <= len(scores) <= _LARGEST:
        raise InputError(
            f"scores {scores.shape} and labels {labels.shape}: give both one shape, cases first, at most {_LARGEST}"
        )
    if numbers.known(labels) and not (binary := _is_binary(np.asarray(labels))).all():
        odd = np.asarray(labels)[~binary].ravel()[0]
        raise InputError(
            f"label {odd}: labels are 0 or 1; leave out uncertain and missing cases, and make a task of each class"
        )
    return jnp.asarray(_ranks(scores) if numbers.narrowed(scores) else scores), jnp.asarray(labels == 1)


def _is_binary(labels):
    return (labels == 0) | (labels == 1)


def _ranks(scores):
    """Return the ranks of 64-bit scores within each task, which float32 holds exactly. NaN stays NaN."""
    columns = scores.reshape(len(scores), -1)
    ranks = [np.unique(column, return_inverse=True)[1].astype(np.float32) for column in columns.T]
    return np.where(np.isnan(scores), np.float32(np.nan), np.stack(ranks, 1).reshape(scores.shape))
