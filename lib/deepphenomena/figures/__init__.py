"""Figures: one theme for the whole book, and how a figure reaches the page with words for those who cannot see it."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepphenomena.runtime.errors import InputError
from deepphenomena.runtime.statistics import estimate

DOTS_PER_INCH = 110


def theme() -> None:
    """Set the book's one theme: a colour-blind-safe palette, light grid, labels large enough for a phone."""
    seaborn.set_theme(
        context="notebook",
        style="whitegrid",
        palette="colorblind",
        rc={"axes.titlesize": "medium", "figure.constrained_layout.use": True, "lines.markersize": 4},
    )


def panels(
    titles: Sequence[str], *, width: float = 4.6, height: float = 3.6, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A row of panels, one for each title, in the book's theme; sizes in inches."""
    theme()
    figure, axes = plt.subplots(1, len(titles), figsize=(width * len(titles), height), squeeze=False, **options)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title)
    return figure, list(axes[0])


def side_by_side(sources: Mapping[str, Any], **options: Any) -> tuple[Figure, list[tuple[Axes, Any]]]:
    """One panel for each source of `Run.sources`: this run, and the recorded full run beside it."""
    figure, axes = panels(list(sources), **{"sharey": True} | options)
    return figure, list(zip(axes, sources.values(), strict=True))


def band(axis: Axes, x: Sequence, y: Sequence, **options: Any) -> None:
    """A line through the mean over seeds with the 95% interval as a band; x and y are columns with one row per seed."""
    seaborn.lineplot(x=x, y=y, ax=axis, errorbar=_interval, **options)


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """The same interval as the verdicts use; none where there are too few seeds."""
    measured = estimate(list(values))
    return (measured.low, measured.high) if measured.low is not None else (np.nan, np.nan)


def show(figure: Figure, *, alt: str) -> None:
    """Show a finished figure as a PNG and close it. `alt` says in words what the figure shows; pages carry it.

    InputError where `alt` is empty.
    """
    if not alt.strip():
        raise InputError("figures.show was given an empty alt text: say in a sentence what the figure shows")
    from IPython.display import display  # only a notebook needs it

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    plt.close(figure)
    width, height = (int(side * DOTS_PER_INCH) for side in figure.get_size_inches())
    display(
        {"image/png": buffer.getvalue(), "text/plain": alt},
        raw=True,
        metadata={"image/png": {"alt": alt, "width": width, "height": height}},
    )
