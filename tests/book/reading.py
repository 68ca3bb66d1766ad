"""Which chapters the browser reads: every one or, where there are many, those recorded last. ALL=1 reads every one."""

import os

import pytest

from deepphenomena.book import cards, results
from deepphenomena.book.cards import QUICK, Card
from deepphenomena.book.scorecard_json import page as path

MOST = 8  # a page takes half a minute in all tests together


def latest(known: list[Card], most: int = MOST) -> list[Card]:
    """The chapters whose quick runs were recorded last, in their given order. One without a record is the newest."""
    runs = {card.slug: results.recorded(card.slug, QUICK) for card in known}
    age = {slug: (run is not None, run and -run.provenance.started.timestamp()) for slug, run in runs.items()}
    chosen = {card.slug for card in sorted(known, key=lambda card: age[card.slug])[:most]}
    return [card for card in known if card.slug in chosen]


EVERY = [cards.load(slug) for slug in cards.slugs()]
CARDS = EVERY if os.environ.get("ALL") else latest(EVERY)
each_chapter = pytest.mark.parametrize("card", CARDS, ids=lambda card: card.slug)


def names(pages) -> list[str]:
    """The pages of the book but those of chapters that are not read, as paths under its folder."""
    found = [str(file.relative_to(pages)) for file in sorted(pages.rglob("*.html")) if "_static" not in file.parts]
    return [name for name in found if name not in {path(card) for card in EVERY if card not in CARDS}]
