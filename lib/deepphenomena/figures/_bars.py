"""Bars: a value for each of a few conditions, with its error bar over seeds."""

from deepphenomena.figures import _axes, _facets, _show, _tables
from deepphenomena.figures._references import Numbers, check_references, draw_references
from deepphenomena.figures._theme import INK

_WIDTH_OF_COLORS = 0.6  # fraction of the width of a position that its colors fill


def bars(
    data: _tables.Data,
    *,
    x: str,
    y: str,
    color: str | None = None,
    panel: str | None = None,
    marks: Numbers | None = None,
    yscale: str = "linear",
    xlabel: str | None = None,
    ylabel: str | None = None,
    ylim: tuple[float | None, float | None] | None = None,
    alt: str,
    caption: str,
) -> None:
    """Show a value for each label of x: the mean, its 95% interval as an error bar, and each seed as a dot.

    The interval is that of the verdicts. Rows with the same x, color and panel are seeds. With fewer than three seeds,
    there is no error bar.

    Args:
        data, y, panel, marks, yscale, xlabel, ylabel, ylim, alt, caption: as for `lines`.
        x: column of the conditions: labels in order of first appearance, or numbers in increasing order. They are
            evenly spaced.
        color: column whose values are drawn next to each other at each label, in different colors.

    Raises:
        InputError: as for `lines`.

    Example:
        >>> bars(
        ...     run.sources("regimes"), x="body", y="accuracy", marks={"chance": 20.0}, ylabel="test accuracy (%)",
        ...     alt="Accuracy by body: MAML and ANIL high, random features far below.",
        ...     caption="Test accuracy by how the body was trained; mean, 95% interval and single seeds.",
        ... )  # doctest: +SKIP
    """
    call = "figures.bars"
    _show.require_words(call, alt, caption)
    check_references(call, marks=marks)
    scale = _axes.scale_of(call, "yscale", yscale)
    table = _tables.tidy(call, data, numbers="y", x=x, y=y, color=color, panel=panel)
    table, labels = _axes.placed(table)
    tints, _, entries = _facets.conditions(table, color, None, marked=True)
    beside = len(tints) or 1
    shifts = {label: (k - (beside - 1) / 2) * _WIDTH_OF_COLORS / beside for k, label in enumerate(tints)}
    figure, made = _facets.facets(table, panel)
    for axis, rows in made:
        axis.set(yscale=yscale)
        for label, seeds in rows.groupby("color" if color else "source", sort=False, observed=True):
            tint, shift = (tints[label], shifts[label]) if color else (INK, 0.0)
            mean = _tables.means(seeds, "y", scale)
            place = mean["x"] + shift
            axis.plot(seeds["x"] + shift + 0.16 / beside, seeds["y"], ".", color=tint, alpha=0.5, markeredgewidth=0)
            axis.vlines(place, mean["low"], mean["high"], color=tint, linewidth=2)
            axis.plot(place, mean["y"], "o", color=tint, markersize=6, markeredgewidth=0)
    axes = [axis for axis, _ in made]
    _axes.write_labels(axes, labels)
    entries += draw_references(axes, marks=marks)
    axes[0].set(ylim=ylim)
    _facets.finish(
        figure,
        made,
        entries,
        data,
        x=xlabel or _facets.words(x),
        y=ylabel or _facets.words(y),
        alt=alt,
        caption=caption,
    )
