"""Lines: a value against x, with the mean and a band over seeds."""

from pandas.api.types import is_numeric_dtype

from deepphenomena.figures import _axes, _facets, _show, _tables
from deepphenomena.figures._references import Curves, Numbers, check_references, draw_references
from deepphenomena.figures._theme import INK

_MARKED = 16  # a line with at most this many points marks each of them


def lines(
    data: _tables.Data,
    *,
    x: str,
    y: str,
    color: str | None = None,
    style: str | None = None,
    panel: str | None = None,
    marks: Numbers | None = None,
    verticals: Numbers | None = None,
    curves: Curves | None = None,
    xscale: str = "linear",
    yscale: str = "linear",
    xlabel: str | None = None,
    ylabel: str | None = None,
    xlim: tuple[float | None, float | None] | None = None,
    ylim: tuple[float | None, float | None] | None = None,
    alt: str,
    caption: str,
) -> None:
    """Show a value against x as lines: the mean over seeds, with the 95% interval of the verdicts as a band.

    Rows with the same x, color, style and panel are seeds. With fewer than three seeds, there is no band. On a log or
    logit scale of y, the mean and the interval are computed on that scale. A line has a gap at values that are not
    finite. It is thinned to at most 200 values of x.

    Args:
        data: a tidy table, or {title: table} as `run.sources` returns, one facet for each.
        x: column of the positions: numbers, or labels in order of first appearance.
        y: column of the values.
        color, style: columns that determine the color and the dashes of a line; they can be the same column.
        panel: column with one facet for each of its values.
        marks: {label: height} of horizontal reference lines, such as `run.marks(claim)`.
        verticals: {label: x} of vertical reference lines.
        curves: {label: function} of closed forms, called with x of shape (150,).
        xscale, yscale: "linear", "log" or "logit".
        xlabel, ylabel: the quantity with its unit; by default, the name of the column.
        xlim, ylim: (lowest, highest); None sets no limit.
        alt: a description of the figure for readers who cannot see it.
        caption: the text below the figure, without a number.

    Raises:
        InputError: an empty alt or caption, no rows, a missing column, or an unknown scale.

    Example:
        >>> lines(
        ...     run.sources("curves"), x="step", y="loss", color="learning_rate", yscale="log",
        ...     marks=run.marks("final_loss"), xlabel="step", ylabel="training loss",
        ...     alt="Training loss against steps: it falls faster at the larger rate.",
        ...     caption="Training loss on MNIST; mean and 95% interval over seeds.",
        ... )  # doctest: +SKIP
    """
    call = "figures.lines"
    _show.require_words(call, alt, caption)
    check_references(call, marks=marks, verticals=verticals)
    _axes.scale_of(call, "xscale", xscale)
    scale = _axes.scale_of(call, "yscale", yscale)
    table = _tables.tidy(call, data, numbers="y", x=x, y=y, color=color, style=style, panel=panel)
    labels = None
    if not is_numeric_dtype(table["x"]):
        table, labels = _axes.placed(table)
    table = _tables.means(_tables.thinned(table, logarithmic=xscale == "log"), "y", scale)
    tints, shapes, entries = _facets.conditions(table, color, style, marked=False)
    figure, made = _facets.facets(table, panel, own_x=labels is None)
    kinds = [role for role, column in (("color", color), ("style", style)) if column] or ["source"]
    for axis, rows in made:
        axis.set(xscale=xscale, yscale=yscale)
        for _, line in rows.groupby(kinds, sort=False, observed=True):
            line, first = line.sort_values("x"), line.iloc[0]
            tint = tints[first["color"]] if color else INK
            dash = shapes[first["style"]] if style else "-"
            marker = "o" if len(line) <= _MARKED else None
            axis.plot(line["x"], line["y"], color=tint, linestyle=dash, marker=marker, markeredgewidth=0)
            if line["low"].notna().any():
                axis.fill_between(line["x"], line["low"], line["high"], color=tint, alpha=0.22, linewidth=0)
    axes = [axis for axis, _ in made]
    if labels is not None:
        _axes.write_labels(axes, labels)
    entries += draw_references(axes, marks=marks, verticals=verticals, curves=curves)
    axes[0].set(ylim=ylim)
    for axis in axes:
        axis.set(xlim=xlim)
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
