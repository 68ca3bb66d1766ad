"""Tables of fine-tunings, and what the chapter's figures show of them."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd
from jaxtyping import PyTree


class Tuned(NamedTuple):
    """A network fine-tuned on one target with one seed from several starts.

    Attributes:
        curves: AUC along training, columns seed, start, step and auc.
        before: {start: initial parameters}.
        after: {start: parameters after training}.
    """

    curves: pd.DataFrame
    before: dict[str, PyTree]
    after: dict[str, PyTree]


def by_step(tuned: Mapping[tuple[str, str, int], Tuned]) -> pd.DataFrame:
    """AUC: a row for each network, target, start and seed, a column for each recorded step.

    Args:
        tuned: fine-tunings by (network, target, seed), all recorded at the same steps.
    """
    frames = [one.curves.assign(network=network, target=target) for (network, target, _), one in tuned.items()]
    return pd.concat(frames).pivot(index=["network", "target", "start", "seed"], columns="step", values="auc")


def differences(areas: pd.DataFrame) -> pd.DataFrame:
    """What transfer gains on every question, and how well the test images tell an AUC.

    Args:
        areas: columns network, target, question, start ("random" or "transfer"), auc, low and high.

    Returns:
        Columns network, target, question, gain (AUC, transfer minus random) and half_width (of the interval from low to
        high, mean over the two starts).

    Example:
        >>> auc = {"start": ["random", "transfer"], "auc": [0.75, 1.0], "low": [0.5, 1.0], "high": [1.0, 1.0]}
        >>> found = differences(pd.DataFrame(auc).assign(network="n", target="t", question="q"))
        >>> found[["gain", "half_width"]].values.tolist()
        [[0.25, 0.125]]
    """
    areas = areas.assign(half_width=(areas["high"] - areas["low"]) / 2)
    by_start = areas.pivot(index=["network", "target", "question"], columns="start", values=["auc", "half_width"])
    gain = by_start["auc", "transfer"] - by_start["auc", "random"]
    return pd.DataFrame({"gain": gain, "half_width": by_start["half_width"].mean(axis=1)}).reset_index()
