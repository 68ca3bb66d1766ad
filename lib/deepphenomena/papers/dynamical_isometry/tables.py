"""Tables of the chapter."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from deepphenomena.training.trained import Trained


def worst(ratios: pd.DataFrame) -> pd.Series:
    """The column whose mean is farthest from 1, of ratios of measured and predicted values with a row per seed.

    Example:
        >>> worst(pd.DataFrame({"ordered": [1.1, 0.9], "chaotic": [1.1, 1.1]})).name
        'chaotic'
    """
    return ratios[(ratios.mean() - 1).abs().idxmax()]


def slopes(table: pd.DataFrame) -> pd.Series:
    """The slope of each row along the columns' numbers.

    Example:
        >>> slopes(pd.DataFrame({0.0: [1.0, 0.0], 2.0: [5.0, 1.0]})).round(6).tolist()
        [2.0, 0.5]
    """
    return table.apply(lambda row: np.polyfit(np.asarray(table.columns, float), row, 1)[0], axis=1)


def stacked(sources: Mapping[str, pd.DataFrame], *kept: str, **names: str) -> dict[str, pd.DataFrame]:
    """Each table with some of its columns below each other, as a figure of several quantities takes them.

    Args:
        sources: {title: table}.
        kept: columns that stay.
        names: what to call each of the columns that come below each other.

    Returns:
        Tables of the columns `kept`, "column" (the name) and "value".

    Example:
        >>> table = pd.DataFrame({"depth": [1, 2], "low": [3, 4], "high": [5, 6]})
        >>> stacked({"": table}, "depth", low="lowest", high="highest")[""].to_numpy().tolist()
        [[1, 'lowest', 3], [2, 'lowest', 4], [1, 'highest', 5], [2, 'highest', 6]]
    """
    return {
        title: table.rename(columns=names).melt(list(kept), list(names.values()), var_name="column", value_name="value")
        for title, table in sources.items()
    }


def progress(trained: Trained, every: int) -> pd.DataFrame:
    """A tidy table of a training of one member: its loss, and its accuracies "train" and "test".

    Args:
        trained: with the metrics "train" and "test".
        every: the losses are means over so many steps, at the last of them.

    Returns:
        Columns "seed", "step", "quantity" and "value".
    """
    loss = trained.frame("loss")
    loss["value"] = loss["loss"].rolling(every).mean()
    accuracy = trained.frame("train", "test").rename(columns={"train": "training accuracy", "test": "test accuracy"})
    tables = [loss.iloc[every - 1 :: every].assign(quantity="training loss")]
    tables.append(accuracy.melt(["seed", "step"], ["training accuracy", "test accuracy"], var_name="quantity"))
    return pd.concat(tables)[["seed", "step", "quantity", "value"]]
