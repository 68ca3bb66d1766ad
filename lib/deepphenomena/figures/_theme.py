"""The theme of all figures, and the neutral colors that change on a dark page."""

import seaborn

from deepphenomena.figures._palette import CATEGORICAL

# Neutral colors. Everything drawn in them turns light on a dark page.
INK = "#262626"  # text, axes, reference lines
GRID = "#d4d4d4"
NEUTRAL = "#8c8c8c"  # for legend entries without a color; readable on light and dark pages, so it does not change
IN_THE_DARK = {INK: "#e6e6e6", "#000000": "#e6e6e6", GRID: "#454b53"}

FACET = (3.0, 2.6)  # width and height of one facet in inches; two of them fill a column of text


def theme() -> None:
    """Set the theme for all following figures: light grid, no background, labels that are readable on a phone."""
    seaborn.set_theme(
        style="whitegrid",
        palette=CATEGORICAL,
        font="DejaVu Sans",  # included in Matplotlib, so text has the same size on every machine
        rc={
            "axes.edgecolor": INK,
            "axes.facecolor": "none",
            "axes.labelcolor": INK,
            "axes.labelsize": 12,
            "axes.linewidth": 0.8,
            "axes.titlecolor": INK,
            "axes.titlesize": 12,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "none",
            "grid.color": GRID,
            "grid.linewidth": 0.7,
            "legend.fontsize": 11,
            "legend.frameon": False,
            "legend.labelcolor": INK,
            "lines.linewidth": 1.6,
            "lines.markersize": 4,
            "text.color": INK,
            "xtick.color": INK,
            "xtick.labelsize": 11,
            "ytick.color": INK,
            "ytick.labelsize": 11,
        },
    )


def dark_style() -> str:
    """Return the style sheet for every SVG: neutral colors turn light on a dark page."""
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}'
        for light, dark in IN_THE_DARK.items()
        for kind in ("fill", "stroke")
    )
    return f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
