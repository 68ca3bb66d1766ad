"""The axes of a figure: scales, and text labels instead of numbers."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from deepphenomena.figures._facets import written
from deepphenomena.figures._tables import levels
from deepphenomena.runtime.errors import unknown
from deepphenomena.runtime.statistics import Scale

_AXIS = 150  # points, the width of the axes of a facet
_LINE = 12  # points, the height of a label
_LETTER = 0.075  # inches, the width of a letter of a label
_LETTERS = 24  # of all labels; more are slanted
_SLANT, _STEEP = 30, 60  # degrees


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
    """Write labels at the positions 0, 1, ... of x, slanted if they would overlap, steeply if they are close."""
    words = [written(label) for label in labels]
    longest, aslant = max(map(len, words)), {}
    if sum(map(len, words)) > _LETTERS:
        steep = math.sin(math.radians(_SLANT)) * _AXIS / len(words) < _LINE
        aslant = {"rotation": _STEEP if steep else _SLANT, "ha": "right", "rotation_mode": "anchor"}
        figure = axes[0].figure
        figure.set_figheight(figure.get_figheight() + longest * _LETTER * math.sin(math.radians(aslant["rotation"])))
    for axis in axes:
        axis.set_xticks(range(len(words)), words, **aslant)
        axis.set_xlim(-0.5, len(words) - 0.5)
        axis.grid(False, axis="x")
