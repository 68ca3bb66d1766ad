"""The paper's figure beside ours: what it shows, in words, below each figure that tests the same claims."""

import re
from collections.abc import Iterator

from docutils import nodes

from deepphenomena.book.cards import Card
from deepphenomena.book.paper import CoverageItem
from deepphenomena.runtime.typesetting import markup

_MEASURED = re.compile(r"run\.(?:measure|compare)\(\s*[\"'](\w+)[\"']")
_DRAWN = re.compile(r"(Figure|Table)s? ")


def measured_in(block: nodes.Element) -> list[str]:
    """Return the claims and checks that a block of code measures, in order."""
    return _MEASURED.findall(block.astext())


def describe(document: nodes.document, card: Card) -> None:
    """Add to the caption of each figure the figures of the paper that show the claims measured in the same section.

    A section of the paper stands in where no figure or table shows them.
    """
    for section in document.findall(nodes.section):
        measured = {name for block in _own(section, nodes.literal_block) for name in measured_in(block)}
        shown = [item for item in card.coverage.items if measured.intersection(item.claims)]
        shown = [item for item in shown if _DRAWN.match(item.item)] or shown
        for figure in _own(section, nodes.figure):
            (caption,) = figure.findall(nodes.caption)
            if shown:
                caption += nodes.raw(text=_words(shown), format="html")


def _own(section: nodes.section, kind: type[nodes.Element]) -> Iterator[nodes.Element]:
    """Yield the nodes of a kind in a section, without those of the sections inside it."""
    for node in section.findall(kind):
        parent = node.parent
        while not isinstance(parent, nodes.section):
            parent = parent.parent
        if parent is section:
            yield node


def _words(shown: list[CoverageItem]) -> str:
    items = "; ".join(f"{item.item}: {item.shows.removesuffix('.')}" for item in shown)
    return f'<br><small class="dp-note">In the paper, {markup(items)}.</small>'
