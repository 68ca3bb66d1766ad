"""Facets: one set of axes for each source and panel of a table, and one legend below them."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas.api.types import is_bool, is_float, is_number

from deepphenomena.figures import _palette
from deepphenomena.figures._tables import levels
from deepphenomena.figures._theme import FACET, NEUTRAL, theme

_ALONE = 1.5  # how much wider a single facet is


def panels(
    titles: Sequence[str], *, width: float = FACET[0], height: float = FACET[1], **options: Any
) -> tuple[Figure, list[Axes]]:
    """Empty axes in a row, for the figure that no other function draws; `show` shows it.

    Draw what is neutral (text, theory, references) in `figures.INK`, which turns light on a dark page, and a condition
    in `figures.colour(column, label)`. Two panels of the given width fill a column of text.

    Args:
        titles: the title of each panel.
        width, height: of one panel, in inches.
        options: what Matplotlib's `subplots` takes, for example `sharey=True`.

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


def facets(table: pd.DataFrame, panel: str | None) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """(figure, [(axes, the facet's rows)]): sources side by side, the values of the panel column below each other.

    Axes are shared. No more than two facets stand side by side, unless there are more sources than that and panels.
    """
    theme()
    sources, shown = levels(table["source"]), levels(table["panel"]) if panel else [None]
    cells = [(source, value) for value in shown for source in sources]
    columns = len(sources) if len(sources) > 1 and panel else min(2, len(cells))
    rows = -(-len(cells) // columns)
    width = FACET[0] * (_ALONE if columns == 1 else columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(width, FACET[1] * rows), squeeze=False, sharex=True, sharey=True
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


def name(column: str, label: Any) -> str:
    """What a legend or a title calls a condition: the label; before a number or a truth value, the column's name."""
    if is_bool(label):
        return f"{column.replace('_', ' ')}: {'yes' if label else 'no'}"
    return f"{column.replace('_', ' ')} {written(label)}" if is_number(label) else str(label)


def written(label: Any) -> str:
    """A label in words: floats as short as they go, integers in full."""
    return f"{label:g}" if is_float(label) else str(label)


def label_axes(made: list[tuple[Axes, pd.DataFrame]], xlabel: str, ylabel: str) -> None:
    """Labels below the lowest facet of each column and left of the first of each row."""
    columns = max(axis.get_subplotspec().colspan.stop for axis, _ in made)
    for place, (axis, _) in enumerate(made):
        lowest = place + columns >= len(made)
        axis.set(xlabel=xlabel if lowest else "", ylabel=ylabel if place % columns == 0 else "")
        if lowest:
            axis.tick_params(axis="x", labelbottom=True)


def conditions(
    table: pd.DataFrame, color: str | None, style: str | None, *, marked: bool
) -> tuple[dict[Any, str], dict[Any, Any], list[Artist]]:
    """(colour of each label, dashes or markers of each label, entries for the legend)."""
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


def legend(figure: Figure, entries: Sequence[Artist]) -> None:
    """All entries below the axes, in as many columns as fit."""
    if entries:
        longest = max(len(entry.get_label()) for entry in entries)
        columns = max(1, min(len(entries), int(figure.get_figwidth() * 10 / (longest + 7))))
        rows = -(-len(entries) // columns)
        figure.set_figheight(figure.get_figheight() + 0.26 * rows)
        figure.legend(handles=list(entries), loc="outside lower center", ncols=columns)
