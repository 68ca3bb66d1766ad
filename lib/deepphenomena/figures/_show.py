"""Display of figures: as an SVG that follows the theme of the page, with alternative text and a caption."""

import io
import re

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from deepphenomena.figures._theme import dark_style
from deepphenomena.runtime.errors import InputError

MIME = "image/svg+xml"
DOTS_PER_INCH = 130  # of rasterized parts of the SVG


def require_words(call: str, alt: str, caption: str) -> None:
    """Raise InputError if the alternative text or the caption is empty."""
    if not alt.strip():
        raise InputError(f"{call} was given an empty alt: describe the figure in a sentence")
    if not caption.strip():
        raise InputError(f"{call} was given an empty caption: say what is drawn, from which data, over which seeds")


def svg(figure: Figure) -> str:
    """Return the figure as SVG: deterministic, no background, text as paths, neutral colors that follow the theme.

    Coordinates in paths are truncated to a tenth of a point.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "deepphenomena", "svg.fonttype": "path"}):
        figure.savefig(
            buffer, format="svg", transparent=True, dpi=DOTS_PER_INCH, metadata={"Date": None, "Creator": None}
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]  # a page does not need the XML declaration
    text = re.sub(r"(?s)\s*<metadata>.*?</metadata>", "", text)
    text = re.sub(r"\n\s+|<!--.*?-->", "\n", text)
    text = re.sub(r'(?<= d=")[^"]*', lambda path: _shortened(path[0]), text)
    return text.replace("<defs>", dark_style() + "<defs>", 1)


def _shortened(path: str) -> str:
    """Return SVG path data with one digit after the decimal point, without repeated command letters."""
    commands, last = [], ""
    for letter, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", re.sub(r"(\.\d)\d+", r"\1", path)):
        commands.append(numbers.strip() if letter == last and letter in "LQ" else letter + numbers.strip())
        last = letter
    return " ".join(commands)


def show(figure: Figure, *, alt: str, caption: str) -> None:
    """Show a finished figure as SVG with its caption below it, and close the figure.

    Args:
        figure: from `panels`.
        alt: a description of the figure for readers who cannot see it.
        caption: the text below the figure; the page adds "Figure 1." and so on before it.

    Raises:
        InputError: `alt` or `caption` is empty.

    Example:
        >>> figure, (axis,) = panels(["A parabola"])  # doctest: +SKIP
        >>> axis.plot([0, 1, 2], [0, 1, 4])  # doctest: +SKIP
        >>> show(figure, alt="A curve that rises.", caption="The square of x.")  # doctest: +SKIP
    """
    require_words("figures.show", alt, caption)
    from IPython.display import display  # only needed in a notebook

    drawn = svg(figure)
    plt.close(figure)
    display({MIME: drawn, "text/plain": alt}, raw=True, metadata={MIME: {"alt": alt, "caption": caption}})
    # Jupyter and Colab do not show metadata. The page drops this second output and sets the caption itself.
    display({"text/plain": caption}, raw=True, metadata={"text/plain": {"caption_of_figure": True}})
