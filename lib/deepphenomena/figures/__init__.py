"""Figures of a chapter: one call draws a tidy table as a captioned SVG, readable on light and dark pages.

`lines`, `scatter`, `bars` and `heatmap` take a DataFrame, or the {title: DataFrame} that `run.sources` returns, one
facet for each. Rows with the same values in all named columns except the value are seeds. `images` draws pictures. For
other figures, `panels` returns empty axes and `show` displays the result.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"step": [0, 1, 0, 1], "loss": [1.0, 0.5, 1.2, 0.4], "seed": [0, 0, 1, 1]})
    >>> lines(frame, x="step", y="loss", alt="The loss falls.", caption="Loss of two seeds.")  # doctest: +SKIP
"""

from deepphenomena.figures._bars import bars
from deepphenomena.figures._facets import panels
from deepphenomena.figures._heatmap import heatmap
from deepphenomena.figures._images import images
from deepphenomena.figures._lines import lines
from deepphenomena.figures._palette import colour
from deepphenomena.figures._scatter import scatter
from deepphenomena.figures._show import show
from deepphenomena.figures._theme import INK

__all__ = [
    "INK",
    "bars",
    "colour",
    "heatmap",
    "images",
    "lines",
    "panels",
    "scatter",
    "show",
]
