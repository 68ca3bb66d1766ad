"""The picture that other sites show beside a link to a page: its title and, for a chapter, its verdicts."""

from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE = (1200, 630)  # what the large sites ask for
_PAPER, _INK, _QUIET, _LINE = "#12324a", "#ffffff", "#c9d6e0", "#f2b35d"
_MARGIN = 80
_TITLE_SIZES, _TITLE_HEIGHT = (72, 64, 56, 48, 40, 32), 300
# The curve of icon.svg, as cubic Bézier segments.
_CURVE = np.array(
    [
        [(4, 19), (8, 18), (9, 5), (12, 5)],
        [(12, 5), (15, 5), (15, 25), (20, 26)],
        [(20, 26), (25, 27), (26, 27), (28, 27)],
    ]
)


def card(book: str, title: str, words: str) -> Image.Image:
    """Return the picture of a page: the name of the book, the title in the largest size that fits, and words below.

    Example:
        >>> card("Deep Phenomena", "Scorecard", "Of 98 claims: 60 reproduced.").size
        (1200, 630)
    """
    image = Image.new("RGB", SIZE, _PAPER)
    draw = ImageDraw.Draw(image)
    draw.line(_curve(place=(_MARGIN - 12, 44), scale=3), fill=_LINE, width=8, joint="curve")
    draw.text((_MARGIN + 96, 96), book, font=_font(34), fill=_QUIET, anchor="lm")
    for size in _TITLE_SIZES:
        font = _font(size, bold=True)
        lines = _wrapped(draw, title, font)
        if draw.multiline_textbbox((0, 0), lines, font=font, spacing=size // 4)[3] <= _TITLE_HEIGHT:
            break
    draw.multiline_text((_MARGIN, 170), lines, font=font, fill=_INK, spacing=size // 4)
    small = _font(30)
    draw.multiline_text((_MARGIN, 500), _wrapped(draw, words, small), font=small, fill=_QUIET, spacing=10)
    return image.quantize(64)


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def _wrapped(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont) -> str:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and draw.textlength(longer, font=font) > SIZE[0] - 2 * _MARGIN:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def _curve(place: tuple[int, int], scale: float) -> list[tuple[float, float]]:
    t = np.linspace(0, 1, 20)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    points = (weights @ _CURVE).reshape(-1, 2) * scale + place
    return [tuple(point) for point in points]
