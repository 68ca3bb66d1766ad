"""Subscripts as authors type them (a Greek letter, an underscore, a letter or digit), for figures and for pages."""

import html
import re

_SUBSCRIPT = re.compile(r"([α-ωΑ-Ω])_([A-Za-z0-9])")


def mathtext(text: str) -> str:
    """Return a label for Matplotlib.

    Example:
        >>> mathtext("λ_f / λ₀")
        '$λ_{f}$ / λ₀'
    """
    return _SUBSCRIPT.sub(r"$\1_{\2}$", text)


def markup(text: str) -> str:
    """Return text as HTML, escaped.

    Example:
        >>> markup("ξ_c < 5")
        'ξ<sub>c</sub> &lt; 5'
    """
    return _SUBSCRIPT.sub(r"\1<sub>\2</sub>", html.escape(text))
