"""The axes of a figure: scales, and text labels instead of numbers."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from deepphenomena.figures._facets import written
from deepphenomena.figures._tables import levels
from deepphenomena.runtime.errors import unknown
from deepphenomena.runtime.statistics import Scale


def scale_of(call: str, axis: str, scale: str) -> Scale:
    """Return the scale with this name. Raise InputError if it is not linear, log or logit."""
    if scale not in set(Scale):
        raise unknown(f"{axis} of {call}", str(scale), [known.value for known in Scale])
    return Scale(scale)


def placed(table: pd.DataFrame, labels: Sequence[Any] | None = None) -> tuple[pd.DataFrame, list[Any]]:
    """Return (table with positions 0, 1, ... for x, label of each position)."""
    labels = levels(table["x"]) if labels is None else list(labels)
    return table.assign(x=table["x"].map({label: place for place, label in enumerate(labels)})), labels


def write_labels(axes: Sequence[Axes], labels: Sequence[Any]) -> None:
    """Write labels at the positions 0, 1, ... of x, slanted if they would overlap."""
    words = [written(label) for label in labels]
    aslant = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, words)) > 24 else {}
    if aslant:
        figure = axes[0].figure
        figure.set_figheight(figure.get_figheight() + 0.5)
    for axis in axes:
        axis.set_xticks(range(len(words)), words, **aslant)
        axis.set_xlim(-0.5, len(words) - 0.5)
        axis.grid(False, axis="x")
