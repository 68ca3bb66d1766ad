"""The chapters that the browser reads."""

import reading

from deepphenomena.book import cards, results


def test_of_many_chapters_those_recorded_last_are_read_and_those_without_a_record(monkeypatch):
    known = [cards.load(slug) for slug in cards.slugs()]
    runs = {card.slug: results.recorded(card.slug, "quick") for card in known}
    newest = max(known, key=lambda card: runs[card.slug].provenance.started)
    assert reading.latest(known, 1) == [newest]
    assert reading.latest(known, len(known)) == known
    unrecorded = next(card for card in known if card != newest)
    monkeypatch.setitem(runs, unrecorded.slug, None)
    monkeypatch.setattr(results, "recorded", lambda slug, _: runs[slug])
    assert reading.latest(known, 2) == [card for card in known if card in (newest, unrecorded)]


def test_every_other_page_is_read(pages):
    read, every = reading.names(pages), {str(file.relative_to(pages)) for file in pages.rglob("*.html")}
    unread = {name for name in every if name not in read and not name.startswith("_static")}
    assert unread == {reading.path(card) for card in reading.EVERY if card not in reading.CARDS}
    assert set(map(reading.path, reading.CARDS)) <= set(read)
