"""Display of figures: as an SVG that follows the theme of the page, with alternative text and a caption."""

import base64
import io
import re
from collections.abc import Sequence

import matplotlib
import matplotlib.pyplot as plt
import PIL.Image
from matplotlib.figure import Figure

from deepphenomena.figures._stack import stacked
from deepphenomena.figures._theme import dark_style
from deepphenomena.runtime.errors import InputError
from deepphenomena.runtime.origin import Origin

MIME = "image/svg+xml"
DOTS_PER_INCH = 130  # of rasterized parts of the SVG
LARGE_IMAGE = 20_000  # bytes; a larger image is stored with losses that nobody sees
IMAGE_QUALITY = 85


def require_words(call: str, alt: str, caption: str) -> None:
    """Raise InputError if the alternative text or the caption is empty."""
    if not alt.strip():
        raise InputError(f"{call} was given an empty alt: describe the figure in a sentence")
    if not caption.strip():
        raise InputError(f"{call} was given an empty caption: say what is drawn, from which data, over which seeds")


def svg(figure: Figure) -> str:
    """Return the figure as SVG: deterministic, no background, text as paths, neutral colors that follow the theme.

    Coordinates are given to a tenth of a point, in paths relative; larger images are stored as WebP.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "deepphenomena", "svg.fonttype": "path"}):
        figure.savefig(
            buffer, format="svg", transparent=True, dpi=DOTS_PER_INCH, metadata={"Date": None, "Creator": None}
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]  # a page does not need the XML declaration
    text = re.sub(r"(?s)\s*<metadata>.*?</metadata>", "", text)
    text = re.sub(r"<!--.*?-->|\s*\n\s*", "", text)
    text = re.sub(r"data:image/png;base64,([^\"]*)", lambda image: _smaller_image(image[1]), text)
    text = re.sub(r'(?<= d=")([^"]*)" transform="scale\(0\.015625\)', lambda glyph: _coarser(glyph[1]), text)
    text = re.sub(r'(?<= d=")[^"]*', lambda path: _shortened(path[0]), text)
    text = re.sub(r"(?<=translate\()[^)]*", lambda place: _in_tenths(place[0]), text)
    return _without_repetition(text).replace("<defs>", dark_style() + "<defs>", 1)


def _smaller_image(png: str) -> str:
    """Return a PNG in base64 as the address of a WebP image, without loss if it is small."""
    image, buffer = PIL.Image.open(io.BytesIO(base64.b64decode(png))), io.BytesIO()
    image.save(buffer, "WEBP", lossless=len(png) < LARGE_IMAGE, quality=IMAGE_QUALITY, method=6)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _coarser(outline: str) -> str:
    """Return the outline of a glyph, in 64ths of a point, on a grid of quarters: less than a hundredth of its size."""
    return re.sub(r"-?[\d.]+", lambda number: str(round(float(number[0]) / 16)), outline) + '" transform="scale(0.25)'


def _in_tenths(numbers: str) -> str:
    """Return numbers, apart by spaces, with at most one digit after the decimal point."""
    return " ".join(_tenths(round(float(number) * 10)) for number in numbers.split())


def _shortened(path: str) -> str:
    """Return SVG path data in relative coordinates with at most one digit after the decimal point."""
    sizes = {"M": 2, "L": 2, "Q": 4, "C": 6}
    commands, last = [], ""
    here, start = [0, 0], [0, 0]  # in tenths of a point, so that no rounding error adds up
    for letter, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        if letter == "z":
            commands.append("z")
            here, last = list(start), "z"
            continue
        values = [int(float(number) * 10) for number in numbers.split()]
        for first in range(0, len(values), sizes[letter]):
            points = values[first : first + sizes[letter]]
            words = [_tenths(value - here[k % 2]) for k, value in enumerate(points)]
            here = points[-2:]
            if letter == "M":
                start = list(here)
            repeated = (letter == last and letter != "M") or (last == "M" and letter == "L")
            drawn = "".join(word if word.startswith("-") else f" {word}" for word in words)
            commands.append(drawn if repeated else letter.lower() + drawn.removeprefix(" "))
            last = letter
    return "".join(commands)


def _tenths(value: int) -> str:
    """Return a number of tenths as the shortest decimal number."""
    sign, (whole, tenth) = "-" if value < 0 else "", divmod(abs(value), 10)
    return f"{sign}{whole or ''}.{tenth}" if tenth else f"{sign}{whole}" if whole else "0"


def _without_repetition(text: str) -> str:
    """Return the SVG with short references to glyphs, and with the style of a row of markers said once."""
    text = text.replace("xlink:href", "href").replace("DejaVuSans-", "V")
    text = re.sub(
        r'(<use href="#[^"]+") transform="translate\((-?[\d.]+)(?: (-?[\d.]+))?\)"',
        lambda use: use[1] + "".join(
            f' {axis}="{_tenths(round(float(value) * 10))}"'
            for axis, value in zip("xy", use.groups()[1:], strict=True)
            if value and float(value)
        ),
        text,
    )  # fmt: skip
    text = re.sub(r'(<use [^>]*?(?:x|y)="-?\d+\.\d)\d*(" y="-?\d+(?:\.\d)?)\d*', r"\1\2", text)
    text = re.sub(r"(<g[^>]*)>((?:<use [^>]*/>){2,})</g>", _style_once, text)
    return _without_bare_groups(re.sub(r' id="(?!figure_)[a-zA-Z]+(?:2d|\.axis)?_\d+"', "", text))


def _without_bare_groups(text: str) -> str:
    """Return the SVG without the groups that say nothing about their content."""
    parts, opened = [], []
    for part in re.split(r"(<g>|<g [^>]*>|</g>)", re.sub(r"<g[^>]*/>", "", text)):
        if part.startswith("<g"):
            opened.append(part)
        says = opened.pop() if part == "</g>" else part
        if says != "<g>":
            parts.append(part)
    return "".join(parts)


def _style_once(group: re.Match) -> str:
    styles = set(re.findall(r'style="([^"]*)"', group[2]))
    if len(styles) != 1 or "style=" in group[1] or group[2].count("style=") != group[2].count("<use "):
        return group[0]
    (style,) = styles
    return f'{group[1]} style="{style}">{group[2].replace(chr(32) + f"style={chr(34)}{style}{chr(34)}", "")}</g>'


def show(figure: Figure, *, alt: str, caption: str, origins: Sequence[Origin] = ()) -> None:
    """Show a finished figure as SVG with its caption below it, and close the figure.

    Args:
        figure: from `panels`.
        alt: a description of the figure for readers who cannot see it.
        caption: the text below the figure; the page adds "Figure 1." and so on before it.
        origins: (series, preset) of each recorded table that is drawn; the page links it as CSV.

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
    stack = stacked(figure)
    plt.close(figure)
    words = {"alt": alt, "caption": caption}
    words |= {"origins": [list(origin) for origin in origins]} if origins else {}
    words |= {"stack": stack._asdict()} if stack else {}
    display({MIME: drawn, "text/plain": alt}, raw=True, metadata={MIME: words})
    # Jupyter and Colab do not show metadata. The page drops this second output and sets the caption itself.
    display({"text/plain": caption}, raw=True, metadata={"text/plain": {"caption_of_figure": True}})
