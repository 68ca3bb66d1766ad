"""Colors, dashes and markers of conditions. A label of a column keeps its own in all figures of a process."""

from collections.abc import Iterable
from typing import Any

import matplotlib
import numpy as np
import seaborn
from pandas.api.types import is_bool, is_number

# Seaborn's colorblind palette without its brightest pink and with some colors darkened. Each color has a contrast of 3
# or more on white and on near-black.
CATEGORICAL = ("#0173b2", "#c87f05", "#029e73", "#d55e00", "#c46fb4", "#b98252", "#3f9bd0", "#8c8c8c", "#9a9210")
_SEQUENTIAL = seaborn.blend_palette(["#2f79c9", "#9a5fc4", "#d1495b", "#c77d0a"], as_cmap=True)
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)), (0, (2, 2)), (0, (6, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "p", "h", "*")

# Assigned so far: for each column, the labels in order of first appearance, and the position of each number in (0, 1).
_labels: dict[str, list[Any]] = {}
_places: dict[str, dict[float, float]] = {}


def colours(column: str, labels: Iterable[Any]) -> dict[Any, str]:
    """Return the color of each label of a column, as "#rrggbb".

    Labels that are not numbers take the colors of the colorblind palette in order of first appearance in any figure.
    The tenth label takes the first color again. Numbers take a sequential palette by rank. A number that is new to the
    column takes a color between those of its neighbors.
    """
    labels = list(labels)
    if all(is_number(label) and not is_bool(label) for label in labels):
        placed = _placed(column, labels)
        return {label: matplotlib.colors.to_hex(_SEQUENTIAL(placed[float(label)])) for label in labels}
    return dict(zip(labels, _cycled(column, labels, CATEGORICAL), strict=True))


def colour(column: str, label: Any) -> str:
    """Return the color of a label of a column in the figures of this process, for figures drawn with `panels`.

    Example:
        >>> colour("start", "random") == colour("start", "random")
        True
    """
    return colours(column, [label])[label]


def dashes(column: str, labels: Iterable[Any]) -> dict[Any, Any]:
    """Return the Matplotlib line style of each label of a column."""
    labels = list(labels)
    return dict(zip(labels, _cycled(column, labels, DASHES), strict=True))


def markers(column: str, labels: Iterable[Any]) -> dict[Any, str]:
    """Return the Matplotlib marker of each label of a column."""
    labels = list(labels)
    return dict(zip(labels, _cycled(column, labels, MARKERS), strict=True))


def _cycled(column: str, labels: list[Any], choices: tuple) -> list[Any]:
    known = _labels.setdefault(column, [])
    known += [label for label in dict.fromkeys(labels) if label not in known]
    return [choices[known.index(label) % len(choices)] for label in labels]


def _placed(column: str, labels: list[Any]) -> dict[float, float]:
    """Return the position of each number in (0, 1). New numbers are spaced evenly between their known neighbors."""
    known = _places.setdefault(column, {})
    ends = sorted(known)
    gaps: dict[int, list[float]] = {}
    for number in sorted({float(label) for label in labels} - known.keys()):
        gaps.setdefault(int(np.searchsorted(ends, number)), []).append(number)
    places = [0.0, *(known[end] for end in ends), 1.0]
    for gap, numbers in gaps.items():
        low, high = places[gap], places[gap + 1]
        known.update({n: low + (high - low) * (k + 0.5) / len(numbers) for k, n in enumerate(numbers)})
    return known
