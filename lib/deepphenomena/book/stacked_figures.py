"""Figures on a narrow screen: the panels of the one drawing, one below the other at a size that can be read."""

import html
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxTranslator

_PIXELS = 4 / 3  # of a point; an image without a size has that of its file, in pixels


class stacked_figure(nodes.General, nodes.Element):
    """The form for a narrow screen of the image that stands before it. `stack` is what `figures.show` recorded."""


def node(stack: dict[str, Any], alt: str) -> nodes.Element:
    """Return the node to put behind the image of a figure."""
    return stacked_figure("", stack=stack, alt=alt)


def _write(translator: SphinxTranslator, shown: stacked_figure) -> None:
    before = shown.parent[shown.parent.index(shown) - 1]  # written before, so its address is final
    stack, address = shown["stack"], html.escape(before["uri"])
    image = f'<image href="{address}" transform="scale({1 / _PIXELS:g})"></image>'
    views = "".join(
        f'<svg x="{to_x:g}" y="{to_y:g}" width="{width:g}" height="{height:g}" '
        f'viewBox="{x:g} {y:g} {width:g} {height:g}">{image}</svg>'
        for x, y, width, height, to_x, to_y in stack["views"]
    )
    width, height = stack["width"], stack["height"]
    translator.body.append(
        f'<svg class="dp-stacked" role="img" aria-label="{html.escape(shown["alt"])}" width="{width * _PIXELS:.0f}" '
        f'viewBox="0 0 {width:g} {height:g}">{views}</svg>'
    )
    raise nodes.SkipNode


def _leave_out(translator: SphinxTranslator, shown: stacked_figure) -> None:
    raise nodes.SkipNode


def register(app: Sphinx) -> None:
    """Register the node. Only pages have it: paper is wide."""
    app.add_node(stacked_figure, html=(_write, None), latex=(_leave_out, None), text=(_leave_out, None))
