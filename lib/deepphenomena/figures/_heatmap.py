"""Heatmap: a value over two conditions."""

import seaborn

from deepphenomena.figures import _facets, _show, _tables
from deepphenomena.runtime.typesetting import mathtext

_WRITTEN = 48  # up to this number of cells in a facet, each cell shows its number
_VECTORS = 400  # above this number of cells in a facet, they are rasterized, which is smaller


def heatmap(
    data: _tables.Data,
    *,
    x: str,
    y: str,
    value: str,
    panel: str | None = None,
    limits: tuple[float | None, float | None] = (None, None),
    xlabel: str | None = None,
    ylabel: str | None = None,
    label: str | None = None,
    alt: str,
    caption: str,
) -> None:
    """Show the mean of a value over seeds as the color of a cell. All facets share one color scale.

    Rows with the same x, y and panel are seeds. Positions are evenly spaced: numbers in increasing order (y upward),
    labels in order of first appearance. With 48 cells or fewer, each cell shows its number.

    Args:
        data, panel, xlabel, ylabel, alt, caption: as for `lines`.
        x, y: columns of the positions.
        value: column of the values.
        limits: (value of the darkest color, value of the brightest color); None takes the limit of the data.
        label: the name of the value with its unit; by default, the name of the column.

    Raises:
        InputError: as for `lines`.

    Example:
        >>> heatmap(
        ...     run.sources("map"), x="weight_variance", y="depth", value="accuracy", limits=(0.1, 0.9),
        ...     alt="Accuracy over weight variance and depth: only near criticality do deep networks train.",
        ...     caption="Training accuracy after the last step, mean over seeds.",
        ... )  # doctest: +SKIP
    """
    call = "figures.heatmap"
    _show.require_words(call, alt, caption)
    table = _tables.means(_tables.tidy(call, data, numbers=["value"], x=x, y=y, value=value, panel=panel), "value")
    lowest, highest = (
        end if given is None else given
        for given, end in zip(limits, (table["value"].min(), table["value"].max()), strict=True)
    )
    across, down = _tables.levels(table["x"]), _tables.levels(table["y"])
    upwards = down[::-1] if table["y"].dtype.kind in "iuf" else down
    cells = len(across) * len(down)
    figure, made = _facets.facets(table, panel)
    for axis, rows in made:
        seaborn.heatmap(
            rows.pivot(index="y", columns="x", values="value").reindex(index=upwards, columns=across),
            ax=axis, vmin=lowest, vmax=highest, cmap="cividis", cbar=False, annot=cells <= _WRITTEN, fmt=".2g",
            annot_kws={"fontsize": 9}, rasterized=cells > _VECTORS,
        )  # fmt: skip
        axis.tick_params(axis="y", rotation=0)
        for number in axis.texts:  # dark numbers on bright cells must not turn light on a dark page
            number.set_color("#ffffff" if number.get_color() == "w" else "#1a1a1a")
    axes = [axis for axis, _ in made]
    figure.colorbar(axes[0].collections[0], ax=axes, label=mathtext(label or _facets.words(value)), shrink=0.9)
    _facets.finish(
        figure, made, [], data, x=xlabel or _facets.words(x), y=ylabel or _facets.words(y), alt=alt, caption=caption
    )
