"""Scatter: one number against another, one point per row."""

from deepphenomena.figures import _axes, _facets, _show, _tables
from deepphenomena.figures._references import Curves, Numbers, check_references, draw_references
from deepphenomena.figures._theme import INK

_VECTORS = 300  # above this number of points in a figure, they are rasterized, which is smaller


def scatter(
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
    """Show one number against another, with one point per row. Seeds are not averaged.

    Args:
        data, x, y, color, panel, marks, verticals, curves, alt, caption: as for `lines`; x holds numbers.
        style: column that determines the marker of a point; it can be the same as `color`.
        xscale, yscale, xlabel, ylabel, xlim, ylim: as for `lines`.

    Raises:
        InputError: as for `lines`.

    Example:
        >>> scatter(
        ...     run.sources("ends"), x="ideal", y="real", color="network", curves={"equal": lambda x: x},
        ...     alt="Real against ideal error: the points follow the diagonal.",
        ...     caption="Errors at the end of training, one point for each seed.",
        ... )  # doctest: +SKIP
    """
    call = "figures.scatter"
    _show.require_words(call, alt, caption)
    check_references(call, marks=marks, verticals=verticals)
    _axes.scale_of(call, "xscale", xscale)
    _axes.scale_of(call, "yscale", yscale)
    table = _tables.tidy(call, data, numbers="xy", x=x, y=y, color=color, style=style, panel=panel)
    tints, shapes, entries = _facets.conditions(table, color, style, marked=True)
    figure, made = _facets.facets(table, panel)
    kinds = [role for role, column in (("color", color), ("style", style)) if column] or ["source"]
    for axis, rows in made:
        axis.set(xscale=xscale, yscale=yscale)
        for _, points in rows.groupby(kinds, sort=False, observed=True):
            first = points.iloc[0]
            axis.plot(
                points["x"], points["y"], linestyle="", markersize=5, markeredgewidth=0, alpha=0.75,
                marker=shapes[first["style"]] if style else "o", color=tints[first["color"]] if color else INK,
                rasterized=len(table) > _VECTORS,
            )  # fmt: skip
    axes = [axis for axis, _ in made]
    entries += draw_references(axes, marks=marks, verticals=verticals, curves=curves)
    axes[0].set(xlim=xlim, ylim=ylim)
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
