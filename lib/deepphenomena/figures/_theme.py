"""The one theme of the book's figures, and how their neutral colours change in the dark."""

import seaborn

from deepphenomena.figures._palette import CATEGORICAL

# Neutral colours. Everything drawn in them turns light where the reader's page is dark.
INK = "#262626"  # text, axes, reference lines
GRID = "#d4d4d4"
NEUTRAL = "#8c8c8c"  # what has no colour of its own in a legend; it is legible on both and stays
IN_THE_DARK = {INK: "#e6e6e6", "#000000": "#e6e6e6", GRID: "#454b53"}

FACET = (3.0, 2.6)  # width and height of one facet in inches; two of them fill a column of text


def theme() -> None:
    """Set the book's theme for all figures drawn from here on: light grid, no background, labels legible on a phone."""
    seaborn.set_theme(
        style="whitegrid",
        palette=CATEGORICAL,
        font="DejaVu Sans",  # it comes with Matplotlib: text has one size on every machine
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
    """The style sheet that goes into every SVG: on a dark page neutral colours turn light."""
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}'
        for light, dark in IN_THE_DARK.items()
        for kind in ("fill", "stroke")
    )
    return f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
