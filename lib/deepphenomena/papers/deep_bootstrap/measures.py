"""Statistics of seed means over several networks, with one value for each seed."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from deepphenomena.papers.deep_bootstrap.worlds import Worlds


def jackknife(
    statistic: Callable[[np.ndarray], float], values: Float[np.ndarray, "seeds *shape"] | pd.DataFrame
) -> Float[np.ndarray, " seeds"]:
    """Return one value for each seed whose mean is a statistic of the mean over seeds, with the jackknife's spread.

    The mean and the interval of these values are those of the statistic. For a linear statistic they are its values for
    each seed. A maximum or a correlation of means is so judged as one number with an interval, and noise within a seed
    does not enlarge it as it does a mean of maxima.

        whole = statistic(mean over seeds), without_k = statistic(mean over all seeds but k)
        value k = whole + (n - 1) · (mean over seeds of without - without_k)

    Source: Tukey 1958, "Bias and confidence in not-quite large samples": the pseudo-values, without their correction of
    the bias, which can leave the statistic's range.

    Args:
        statistic: a number for an array of the shape of one seed's values.
        values: an axis of seeds, then what the statistic takes.

    Example:
        >>> jackknife(np.max, np.array([[1.0, 5.0], [3.0, 6.0], [2.0, 7.0]])).tolist()
        [5.0, 6.0, 7.0]
    """
    values = np.asarray(values, np.float64)
    seeds, whole = len(values), statistic(np.mean(values, 0))
    if seeds == 1:
        return np.array([whole], np.float64)
    without = np.array([statistic(np.mean(np.delete(values, k, 0), 0)) for k in range(seeds)], np.float64)
    return whole + (seeds - 1) * (np.mean(without) - without)


def largest(means: Float[np.ndarray, "*shape"]) -> float | np.floating:
    """Return the largest absolute value: of seed means, the network that is worst.

    Example:
        >>> float(largest(np.array([0.01, -0.03])))
        0.03
    """
    return np.max(np.abs(means))


def frame(worlds: Mapping[str, Mapping[int, Worlds]], quantity: Callable[[Worlds], float]) -> pd.DataFrame:
    """Return a quantity of every seed (rows) and network (columns).

    Example:
        >>> from deepphenomena.papers.deep_bootstrap import Errors, Worlds
        >>> errors = Errors(np.array([0.9, 0.2]), np.array([0.9, 0.0]))
        >>> both = Worlds(np.array([0, 10]), errors, errors, errors, {})
        >>> frame({"mlp": {7: both}}, lambda w: w.stopping_time).to_dict()
        {'mlp': {7: 10}}
    """
    return pd.DataFrame({name: {seed: quantity(w) for seed, w in of.items()} for name, of in worlds.items()})


def censored(worlds: Mapping[str, Mapping[int, Worlds]]) -> Bool[np.ndarray, " seeds"]:
    """Return whether some network of a seed has not fitted its training set, so that it has no stopping time.

    Example:
        >>> from deepphenomena.papers.deep_bootstrap import Errors, Worlds
        >>> errors = Errors(np.array([0.9, 0.2]), np.array([0.9, 0.1]))
        >>> censored({"mlp": {7: Worlds(np.array([0, 10]), errors, errors, errors, {})}}).tolist()
        [True]
    """
    return ~frame(worlds, lambda w: w.fitted).to_numpy(bool).all(1)


def until_stop(worlds: Mapping[str, Mapping[int, Worlds]]) -> Float[np.ndarray, "seeds networks records"]:
    """Return the bootstrap errors up to the stopping time; 0 after the record at which some seed of a network stops.

    Example:
        >>> from deepphenomena.papers.deep_bootstrap import Errors, Worlds
        >>> real, ideal = (Errors(np.array([0.9, soft, 0.1]), np.array([0.9, 0.0, 0.0])) for soft in (0.3, 0.2))
        >>> until_stop({"mlp": {7: Worlds(np.array([0, 10, 20]), real, ideal, real, {})}}).round(3).tolist()
        [[[0.0, 0.1, 0.0]]]
    """
    networks = []
    for of in worlds.values():
        last = min(w.stopping_record for w in of.values())
        networks.append([np.where(np.arange(len(w.steps)) <= last, w.bootstrap_error, 0.0) for w in of.values()])
    return np.swapaxes(np.array(networks, np.float64), 0, 1)
