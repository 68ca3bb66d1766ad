"""Ours beside the paper's: one row for each claim for which the paper gives a number."""

import re

import pytest
from example_card import CARD, changed, record

from deepphenomena.book import beside_paper, cards, results
from deepphenomena.book.cards import Card


def rows(table):
    return re.findall(r"<tr><th scope=\"row\">.*?</tr>", table)


def test_a_row_has_the_papers_number_ours_the_difference_and_the_verdict():
    (row,) = rows(beside_paper.numbers_html(CARD, {"quick": record(), "full": record("full")}))
    found = next(outcome for outcome in record("full").outcomes if outcome.id == "size")
    paper = CARD.claim("size").paper
    for part in ('href="#claim-size"', f"{paper.value:g}", paper.source, f"{found.estimate.mean:.3g}", found.verdict):
        assert part in row
    assert f"{found.estimate.mean - paper.value:+.3g}".replace("-", "−") in row


def test_without_a_recorded_run_ours_is_the_quick_run_and_without_any_there_is_none():
    (row,) = rows(beside_paper.numbers_html(CARD, {"quick": record()}))
    assert '<small class="dp-note">quick</small>' in row
    (row,) = rows(beside_paper.numbers_html(CARD, {}))
    assert row.count("not measured") == 2


def test_a_paper_without_numbers_has_no_table():
    assert beside_paper.numbers_html(Card.model_validate(changed(["claims", 1, "paper"], None)), {}) == ""


@pytest.mark.parametrize("slug", cards.slugs())
def test_the_table_of_a_chapter_has_every_number_of_its_card(slug):
    card = cards.load(slug)
    table = beside_paper.numbers_html(card, results.all_recorded(card))
    assert len(rows(table)) == sum(claim.paper is not None for claim in card.claims)
