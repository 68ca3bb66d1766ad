"""Facets: one set of axes for each source and panel of a table, with one legend below."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas.api.types import is_bool, is_float, is_number

from deepphenomena.figures import _palette, _show
from deepphenomena.figures._tables import Data, levels
from deepphenomena.figures._theme import FACET, NEUTRAL, theme
from deepphenomena.figures._ticks import write_powers
from deepphenomena.runtime import origin
from deepphenomena.runtime.typesetting import mathtext

_ALONE = 1.5  # how much wider a single facet is


def panels(
    titles: Sequence[str], *, width: float = FACET[0], height: float = FACET[1], **options: Any
) -> tuple[Figure, list[Axes]]:
    """Return empty axes in a row, for figures that no other function draws. Display the figure with `show`.

    Draw neutral elements (text, theory, references) in `figures.INK`, which turns light on a dark page, and conditions
    in `figures.colour(column, label)`. Two panels of the default width fill a column of text.

    Args:
        titles: the title of each panel.
        width, height: of one panel, in inches.
        options: arguments of Matplotlib's `subplots`, for example `sharey=True`.

    Returns:
        The figure and its axes, one for each title.

    Example:
        >>> figure, (left, right) = panels(["before", "after"])
        >>> left.get_title()
        'before'
    """
    theme()
    figure, axes = plt.subplots(1, len(titles), figsize=(width * len(titles), height), squeeze=False, **options)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title)
    return figure, list(axes[0])


def facets(
    table: pd.DataFrame, panel: str | None, *, own_x: bool = False
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """Return (figure, [(axes, rows of the facet)]): sources in columns, values of the panel column in rows.

    Axes are shared; with `own_x` each source has a range of x of its own, because a quick run is much shorter than a
    full one. There are at most two columns, unless the table has panels and more than two sources.
    """
    theme()
    sources, shown = levels(table["source"]), levels(table["panel"]) if panel else [None]
    cells = [(source, value) for value in shown for source in sources]
    columns = len(sources) if len(sources) > 1 and panel else min(2, len(cells))
    rows = -(-len(cells) // columns)
    width = FACET[0] * (_ALONE if columns == 1 else columns)
    shared = True if not own_x or len(sources) == 1 else "col" if panel else False
    figure, grid = plt.subplots(
        rows, columns, figsize=(width, FACET[1] * rows), squeeze=False, sharex=shared, sharey=True
    )
    made = []
    for axis, (source, value) in zip(grid.flat, cells, strict=False):
        chosen = table["source"] == source
        if panel:
            chosen &= table["panel"] == value
        axis.set_title("\n".join(filter(None, [name(panel, value) if panel else "", source])))
        made.append((axis, table[chosen]))
    for axis in grid.flat[len(cells) :]:
        axis.set_axis_off()
    return figure, made


def words(column: str) -> str:
    """Return the name of a column with spaces."""
    return column.replace("_", " ")


def name(column: str, label: Any) -> str:
    """Return the name of a condition in legends and titles: the label. Numbers and booleans include the column name."""
    if is_bool(label):
        return f"{words(column)}: {'yes' if label else 'no'}"
    return f"{words(column)} {written(label)}" if is_number(label) else str(label)


def written(label: Any) -> str:
    """Return a label as text: floats in their shortest form, integers in full."""
    return f"{label:g}" if is_float(label) else str(label)


def conditions(
    table: pd.DataFrame, color: str | None, style: str | None, *, marked: bool
) -> tuple[dict[Any, str], dict[Any, Any], list[Artist]]:
    """Return (color of each label, dashes or markers of each label, entries of the legend)."""
    tints = _palette.colours(color, levels(table["color"])) if color else {}
    shape = _palette.markers if marked else _palette.dashes
    shapes = shape(style, levels(table["style"])) if style else {}

    def entry(label: str, tint: str | None, form: Any) -> Line2D:
        tint = tint or NEUTRAL
        if marked:
            return Line2D([], [], color=tint, marker=form or "o", linestyle="", label=label)
        return Line2D([], [], color=tint, linestyle=form or "-", label=label)

    if color == style and color:
        return tints, shapes, [entry(name(color, label), tints[label], shapes[label]) for label in tints]
    entries = [entry(name(color, label), tint, None) for label, tint in tints.items()]
    return tints, shapes, entries + [entry(name(style, label), None, form) for label, form in shapes.items()]


def finish(
    figure: Figure,
    made: list[tuple[Axes, pd.DataFrame]],
    entries: Sequence[Artist],
    data: Data,
    *,
    x: str,
    y: str,
    alt: str,
    caption: str,
) -> None:
    """Label the axes, draw the legend, and show the figure."""
    _label_axes(made, mathtext(x), mathtext(y))
    for axis, _ in made:
        for one in (axis.xaxis, axis.yaxis):
            write_powers(one)
    _legend(figure, entries)
    origins = origin.of([data] if isinstance(data, pd.DataFrame) else data.values())
    _show.show(figure, alt=alt, caption=caption, origins=origins)


def _label_axes(made: list[tuple[Axes, pd.DataFrame]], xlabel: str, ylabel: str) -> None:
    """Label the x axis of the lowest facet in each column and the y axis of the first facet in each row."""
    columns = max(axis.get_subplotspec().colspan.stop for axis, _ in made)
    for place, (axis, _) in enumerate(made):
        lowest = place + columns >= len(made)
        axis.set(xlabel=xlabel if lowest else "", ylabel=ylabel if place % columns == 0 else "")
        if lowest:
            axis.tick_params(axis="x", labelbottom=True)


def _legend(figure: Figure, entries: Sequence[Artist]) -> None:
    """Draw all entries below the axes, in as many columns as fit."""
    if entries:
        for entry in entries:
            entry.set_label(mathtext(entry.get_label()))
        longest = max(len(entry.get_label()) for entry in entries)
        columns = max(1, min(len(entries), int(figure.get_figwidth() * 10 / (longest + 7))))
        rows = -(-len(entries) // columns)
        figure.set_figheight(figure.get_figheight() + 0.26 * rows)
        figure.legend(handles=list(entries), loc="outside lower center", ncols=columns)
