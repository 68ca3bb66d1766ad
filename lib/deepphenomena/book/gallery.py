"""The gallery of the front page: a tile for each chapter, with its first figure, its main claim and its verdicts."""

import html
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import nbformat

from deepphenomena.book import standing, tables
from deepphenomena.book.cards import QUICK, Card
from deepphenomena.book.records import Record
from deepphenomena.book.scorecard_json import page
from deepphenomena.book.standing import Chapters
from deepphenomena.runtime.typesetting import markup

_FOLDER, _FILE = "_data", "first-figure.svg"
_WORDS_PER_MINUTE = 230  # of a reader
_SVG = "image/svg+xml"


class _Figure(NamedTuple):
    svg: str
    alt: str


def gallery_html(chapters: Chapters, notebooks: Path, contents: str) -> str:
    """Return the tiles as HTML, from cards, records and notebooks alone.

    Args:
        chapters: each card with its records.
        notebooks: the folder with `<part>/<slug>.ipynb`.
        contents: the text of `_toc.yml`, which gives the order.
    """
    in_order = sorted(chapters, key=lambda chapter: contents.find(f"/{chapter[0].slug}\n"))
    tiles = (_tile(card, by_preset, _read(notebooks, card)) for card, by_preset in in_order)
    return f'<div class="dp-chapters"><div class="dp-gallery">{"".join(tiles)}</div></div>'


def _tile(card: Card, by_preset: Mapping[str, Record], notebook: nbformat.NotebookNode) -> str:
    claim = card.main
    verdict = standing.of_claim(card, claim.id, by_preset).verdict
    counts = standing.tally([(card, by_preset)])
    chips = " ".join(
        f'<span class="dp-chip">{count} {tables.verdict_html(kind)}</span>' for kind, count in counts.items() if count
    )
    tested, total = card.coverage.share
    facts = f"{tested} of {total} figures, tables and theorems tested; {_minutes_to_read(notebook)} min to read"
    if QUICK in by_preset:
        facts += f", {tables.duration(by_preset[QUICK].provenance.wall_seconds)} to run"
    figure = _first_figure(notebook)
    source = f'src="{_FOLDER}/{card.slug}/{_FILE}"'
    image = figure and f'<img {source} alt="{html.escape(figure.alt)}" loading="lazy" class="dark-light">'
    part = html.escape(card.part.replace("-", " ").capitalize())
    return (
        f'<section class="dp-tile" data-topic="{part}" data-verdict="{verdict}"><p class="dp-part">{part}</p>'
        f'<h3><a href="{page(card)}">{html.escape(card.title)}</a></h3>{image or ""}'
        f"<p>{markup(claim.claim)} {tables.verdict_html(verdict)}</p>"
        f"<p>{chips}</p><p><small>{facts}</small></p></section>"
    )


def write_figures(cards: Iterable[Card], notebooks: Path, pages: Path) -> None:
    """Write the first figure of each chapter to the folder of the pages."""
    for card in cards:
        figure = _first_figure(_read(notebooks, card))
        if figure:
            file = pages / _FOLDER / card.slug / _FILE
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(figure.svg, encoding="utf-8")


def _read(notebooks: Path, card: Card) -> nbformat.NotebookNode:
    return nbformat.read(notebooks / card.part / f"{card.slug}.ipynb", as_version=4)


def _first_figure(notebook: nbformat.NotebookNode) -> _Figure | None:
    """Return the first figure of a notebook that is a drawing, not a sheet of pictures, if there is one."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            svg = output.get("data", {}).get(_SVG, "")
            if svg and "<image" not in svg:
                return _Figure(svg, output.metadata[_SVG]["alt"])
    return None


def _minutes_to_read(notebook: nbformat.NotebookNode) -> int:
    words = sum(len(cell.source.split()) for cell in notebook.cells if cell.cell_type == "markdown")
    return max(1, round(words / _WORDS_PER_MINUTE))
