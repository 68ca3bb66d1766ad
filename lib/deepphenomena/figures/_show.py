"""How a figure reaches the page: as an SVG that turns with the page's theme, with its words and its caption."""

import io
import re

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from deepphenomena.figures._theme import dark_style
from deepphenomena.runtime.errors import InputError

MIME = "image/svg+xml"
DOTS_PER_INCH = 130  # of what is a picture inside the SVG


def require_words(call: str, alt: str, caption: str) -> None:
    """InputError where the alternative text or the caption is empty."""
    if not alt.strip():
        raise InputError(f"{call} was given an empty alt: say in a sentence what the figure shows")
    if not caption.strip():
        raise InputError(f"{call} was given an empty caption: say what is drawn, of which data, over which seeds")


def svg(figure: Figure) -> str:
    """The figure as SVG: the same bytes for the same figure, no background, text as paths, neutral colours that turn.

    Places in paths are kept to a tenth of a point.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "deepphenomena", "svg.fonttype": "path"}):
        figure.savefig(
            buffer, format="svg", transparent=True, dpi=DOTS_PER_INCH, metadata={"Date": None, "Creator": None}
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]  # a page has no use for the XML declaration
    text = re.sub(r"(?s)\s*<metadata>.*?</metadata>", "", text)
    text = re.sub(r"\n\s+|<!--.*?-->", "\n", text)
    text = re.sub(r'(?<= d=")[^"]*', lambda path: _shortened(path[0]), text)
    return text.replace("<defs>", dark_style() + "<defs>", 1)


def _shortened(path: str) -> str:
    """SVG's path data with a digit after the point, and no letter for a command that is that of the point before."""
    commands, last = [], ""
    for letter, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", re.sub(r"(\.\d)\d+", r"\1", path)):
        commands.append(numbers.strip() if letter == last and letter in "LQ" else letter + numbers.strip())
        last = letter
    return " ".join(commands)


def show(figure: Figure, *, alt: str, caption: str) -> None:
    """Show a finished figure as SVG with its caption below, and close it.

    Args:
        figure: from `panels`.
        alt: what the figure shows, in words, for those who cannot see it.
        caption: what stands below it; the page puts "Figure 1." and so on before it.

    Raises:
        InputError: `alt` or `caption` is empty.

    Example:
        >>> figure, (axis,) = panels(["A parabola"])  # doctest: +SKIP
        >>> axis.plot([0, 1, 2], [0, 1, 4])  # doctest: +SKIP
        >>> show(figure, alt="A curve that rises.", caption="The square of x.")  # doctest: +SKIP
    """
    require_words("figures.show", alt, caption)
    from IPython.display import display  # only a notebook needs it

    drawn = svg(figure)
    plt.close(figure)
    display({MIME: drawn, "text/plain": alt}, raw=True, metadata={MIME: {"alt": alt, "caption": caption}})
    # Jupyter and Colab show no metadata. The page drops this second output: it sets the caption itself.
    display({"text/plain": caption}, raw=True, metadata={"text/plain": {"caption_of_figure": True}})
