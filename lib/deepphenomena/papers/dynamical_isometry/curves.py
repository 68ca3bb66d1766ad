"""What is read off curves: the depth that is reached, the steps to a loss, and the accuracy at that loss."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from deepphenomena.training.trained import Trained

_WINDOW = 20  # steps of the running mean of a training loss


class Reached(NamedTuple):
    """Where a curve crosses a level.

    Attributes:
        value: the depth or step.
        censored: whether the curve never crosses the level; the value is then an end of the curve.
    """

    value: float
    censored: bool


def reached_depth(depths: Sequence[float], accuracy: Sequence[float], level: float) -> Reached:
    """The depth up to which a network trains: where accuracy falls below `level` first.

    Between two depths the accuracy is interpolated along the logarithm of depth.

    Example:
        >>> round(reached_depth([4, 16, 64], [0.9, 0.7, 0.1], 0.4).value)  # halfway between 16 and 64
        32
        >>> reached_depth([4, 16], [0.9, 0.7], 0.4)
        Reached(value=16.0, censored=True)
    """
    accuracy = np.asarray(accuracy)
    below = np.flatnonzero(accuracy < level)
    if len(below) == 0 or below[0] == 0:
        return Reached(float(depths[0] if len(below) else depths[-1]), censored=True)
    k = below[0]
    part = (accuracy[k - 1] - level) / (accuracy[k - 1] - accuracy[k])
    low, high = np.log(depths[k - 1]), np.log(depths[k])
    return Reached(float(np.exp(low + part * (high - low))), censored=False)


def smooth(losses: Float[np.ndarray, " steps"], window: int = _WINDOW) -> Float[np.ndarray, " later"]:
    """The running mean of a loss over `window` steps; the first value is that of the first `window` steps.

    Example:
        >>> smooth(np.array([4.0, 2.0, 0.0]), 2).tolist()
        [3.0, 1.0]
    """
    return pd.Series(losses).rolling(window).mean().to_numpy()[window - 1 :]


def steps_to(losses: Float[np.ndarray, " steps"], level: float, window: int = _WINDOW) -> Reached:
    """The steps after which the running mean of a loss first is below `level`.

    Example:
        >>> steps_to(np.array([4.0, 3.0, 1.0, 0.0]), 1.0, window=2)
        Reached(value=4.0, censored=False)
    """
    below = np.flatnonzero(smooth(losses, window) < level)
    return Reached(float(below[0] + window), censored=False) if len(below) else Reached(float(len(losses)), True)


def at_loss(
    losses: Float[np.ndarray, " steps"],
    measured: Mapping[int, float],
    level: float,
    window: int = _WINDOW,
) -> Reached:
    """A quantity when the running mean of the training loss first is below `level`, interpolated between records.

    Args:
        losses: at every step.
        measured: {step: value}, the quantity at the recorded steps.
        level, window: as in `steps_to`.

    Example:
        >>> losses = np.array([4.0, 3.0, 1.0, 0.0])  # below the level after three steps
        >>> round(at_loss(losses, {0: 0.1, 4: 0.9}, 2.5, window=2).value, 3)
        0.7
    """
    step, censored = steps_to(losses, level, window)
    return Reached(float(np.interp(step, list(measured), list(measured.values()))), censored)


def multiples(accuracy: pd.DataFrame, scales: pd.Series, level: float) -> tuple[pd.DataFrame, pd.Series]:
    """(logarithm of the reached depth over ξ_c, whether a curve of the seed never crosses the level).

    Args:
        accuracy: a row for each depth and seed, a column for each weight variance.
        scales: ξ_c of each weight variance; those for which ten ξ_c exceed the largest depth are left out.
        level: as in `reached_depth`.

    Example:
        >>> index = pd.MultiIndex.from_product([[4, 16, 64], [0]], names=["depth", "seed"])
        >>> found, cut = multiples(pd.DataFrame({1.1: [0.9, 0.7, 0.1]}, index), pd.Series({1.1: 4.0}), 0.4)
        >>> float(np.exp(found).round(6).loc[0, 1.1]), bool(cut[0])
        (8.0, False)
    """
    depths = accuracy.index.unique("depth").tolist()
    kept = accuracy[scales.index[10 * scales < depths[-1]]]
    ends = {
        (seed, weight): reached_depth(depths, kept[weight].xs(seed, level="seed").tolist(), level)
        for seed in kept.index.unique("seed")
        for weight in kept
    }
    logarithms = pd.Series({case: np.log(end.value) for case, end in ends.items()}).unstack()
    cut = pd.Series({case: end.censored for case, end in ends.items()}).unstack().any(axis=1)
    return logarithms - np.log(scales[kept.columns]), cut


def at_level(trained: Trained, level: float, **labels: object) -> tuple[float, float, bool]:
    """(steps to a training loss, test accuracy there, whether the loss is never reached) of one member of a training.

    Args:
        trained: with the metric "test".
        level: as in `steps_to`.
        labels: of the member.
    """
    trained = trained.select(**labels)
    step, censored = steps_to(trained.losses[0], level)
    test = dict(zip(trained.recorded.tolist(), trained.metrics["test"][0].tolist(), strict=True))
    return step, at_loss(trained.losses[0], test, level).value, censored
