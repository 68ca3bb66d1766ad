"""Tables over seeds and rates, or over seeds and widths."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def by_rate(series: Sequence[pd.Series]) -> pd.DataFrame:
    """One table of all seeds: a row for each seed, a column for each rate.

    Args:
        series: of each seed, indexed by "seed" and "rate".
    """
    return pd.concat(series).unstack("rate")


def lazy(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of rates below 2, the end of the lazy phase."""
    return table[[rate for rate in table if rate < 2]]


def catapult(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of rates above 2. A rate at which a seed diverged is NaN there, and counts for no claim.

    Example:
        >>> table = pd.DataFrame([[0.2, 0.3]], columns=[1.0, 3.0])
        >>> list(lazy(table)), list(catapult(table))
        ([1.0], [3.0])
    """
    return table[[rate for rate in table if rate > 2]]


def slopes(values: pd.Series) -> pd.Series:
    """The slope of `values` against the logarithm of the width, for each seed.

    Args:
        values: indexed by "seed" and "width".

    Example:
        >>> index = pd.MultiIndex.from_product([[0], [10, 100]], names=["seed", "width"])
        >>> slopes(np.log(pd.Series([1.0, 10.0], index))).round(3).tolist()
        [1.0]
    """
    return values.groupby("seed").apply(lambda row: np.polyfit(np.log(row.index.get_level_values("width")), row, 1)[0])
