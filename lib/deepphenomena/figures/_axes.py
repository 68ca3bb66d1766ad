"""The axes of a figure: their scales, and labels in the place of numbers."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from deepphenomena.figures._facets import written
from deepphenomena.figures._tables import levels
from deepphenomena.runtime.errors import unknown
from deepphenomena.runtime.statistics import Scale


def scale_of(call: str, axis: str, scale: str) -> Scale:
    """The scale of an axis by its name; InputError for another than linear, log and logit."""
    if scale not in set(Scale):
        raise unknown(f"{axis} of {call}", str(scale), [known.value for known in Scale])
    return Scale(scale)


def placed(table: pd.DataFrame, labels: Sequence[Any] | None = None) -> tuple[pd.DataFrame, list[Any]]:
    """(the table with places 0, 1, ... for x, the label of each place)."""
    labels = levels(table["x"]) if labels is None else list(labels)
    return table.assign(x=table["x"].map({label: place for place, label in enumerate(labels)})), labels


def write_labels(axes: Sequence[Axes], labels: Sequence[Any]) -> None:
    """Put labels at the places 0, 1, ... of x, aslant where they would run into each other."""
    words = [written(label) for label in labels]
    aslant = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, words)) > 24 else {}
    if aslant:
        figure = axes[0].figure
        figure.set_figheight(figure.get_figheight() + 0.5)
    for axis in axes:
        axis.set_xticks(range(len(words)), words, **aslant)
        axis.set_xlim(-0.5, len(words) - 0.5)
        axis.grid(False, axis="x")
