"""Reference lines: the paper's number, a null model, a closed form. They are neutral, dashed and labelled."""

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from deepphenomena.figures._theme import INK
from deepphenomena.runtime.errors import InputError

Numbers = Mapping[str, float]
Curves = Mapping[str, Callable[[np.ndarray], ArrayLike]]

_DASHES = ((0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (9, 3)), (0, (1, 4)), (0, (5, 1, 1, 1, 1, 1)))
_PLACES = 150  # number of points at which a closed form is evaluated


def check_references(call: str, **numbers: Numbers | None) -> None:
    """Raise InputError, before drawing, if a reference of the function `call` is not one finite number."""
    for kind, given in numbers.items():
        for label, number in (given or {}).items():
            if not isinstance(number, (int, float, np.number)) or not np.isfinite(number):
                raise InputError(f"{call} was given {kind}['{label}'] = {number!r}: give one finite number")


def draw_references(
    axes: Sequence[Axes],
    *,
    marks: Numbers | None = None,
    verticals: Numbers | None = None,
    curves: Curves | None = None,
) -> list[Artist]:
    """Draw reference lines into every facet, after the data. Return the entries of the legend.

    Args:
        axes: the facets.
        marks: {label: height} of horizontal lines.
        verticals: {label: x} of vertical lines.
        curves: {label: function of x}, evaluated over the range of x, from (n,) to (n,).
    """
    dashes = itertools.cycle(_DASHES)
    entries = []

    def draw(label: str, line: Callable[[Axes, dict], Artist]) -> None:
        look = {"color": INK, "linewidth": 1.2, "linestyle": next(dashes), "zorder": 3, "label": label}
        first, *_ = [line(axis, look) for axis in axes]
        entries.append(first)

    for label, height in (marks or {}).items():
        draw(label, lambda axis, look, height=height: axis.axhline(height, **look))
    for label, place in (verticals or {}).items():
        draw(label, lambda axis, look, place=place: axis.axvline(place, **look))
    for label, function in (curves or {}).items():
        draw(label, lambda axis, look, function=function: _closed_form(axis, function, look))
    return entries


def _closed_form(axis: Axes, function: Callable[[np.ndarray], ArrayLike], look: dict) -> Artist:
    """Draw a function over the range of x of a facet."""
    space = np.geomspace if axis.get_xscale() == "log" else np.linspace
    across = space(*axis.get_xlim(), _PLACES)
    values = np.broadcast_to(np.asarray(function(across), np.float64), across.shape)
    return axis.plot(across, values, scalex=False, **look)[0]
