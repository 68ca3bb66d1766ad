"""What the chapters call until they are ported: figures drawn by hand on columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepphenomena.figures import _show
from deepphenomena.figures._facets import panels
from deepphenomena.runtime.statistics import estimate


def side_by_side(sources: Mapping[str, Any], **options: Any) -> tuple[Figure, list[tuple[Axes, Any]]]:
    """One panel for each source of `Run.sources`, with its columns as lists."""
    figure, axes = panels(list(sources), **{"sharey": True} | options)
    columns = [frame.to_dict("list") for frame in sources.values()]
    return figure, list(zip(axes, columns, strict=True))


def band(axis: Axes, x: Sequence, y: Sequence, **options: Any) -> None:
    """A line through the mean over seeds with the 95% interval as a band; x and y are columns with one row per seed."""
    seaborn.lineplot(x=x, y=y, ax=axis, errorbar=_interval, **options)


def _interval(values: Sequence[float]) -> tuple[float, float]:
    measured = estimate(list(values))
    return (measured.low, measured.high) if measured.low is not None else (np.nan, np.nan)


def show(figure: Figure, *, alt: str, caption: str | None = None) -> None:
    """`_show.show`, with the alternative text as the caption where none is given."""
    _show.show(figure, alt=alt, caption=alt if caption is None else caption)
