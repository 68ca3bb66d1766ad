"""The box below the title of a chapter: everything in it comes from the card and the records."""

import pydantic
import pytest
from example_card import CARD, changed, record

from deepphenomena.book import cards, finding
from deepphenomena.book.cards import Card


def test_the_box_says_what_the_paper_claims_what_was_measured_and_what_it_took():
    box = finding.box(CARD, {"quick": record(), "full": record("full")})
    for part in (
        "<dd>For tests.</dd>",
        '<a href="#claim-gap">The gap is positive.</a>',
        "reproduced (direction)",
        "Measured: q: 0.498 [0.4876, 0.5084]",
        "n&nbsp;=&nbsp;5",
        "full run: 5 seeds, 41 s on 2 CPU cores; quick run: 3 seeds",
    ):
        assert part in box, box


def test_the_main_claim_is_the_cards_and_must_exist():
    card = Card.model_validate(changed(["main_claim"], "size"))
    assert "The size is four." in finding.box(card, {"full": record("full")})
    with pytest.raises((pydantic.ValidationError, ValueError), match="sise"):
        Card.model_validate(changed(["main_claim"], "sise"))


def test_a_box_without_a_recorded_run_claims_nothing_and_names_are_escaped():
    box = finding.box(Card.model_validate(changed(["summary"], "<b>bold</b>")), {})
    assert "not measured" in box
    assert "What it took" not in box
    assert "<b>" not in box


@pytest.mark.parametrize("slug", cards.slugs())
def test_a_summary_is_a_sentence_or_a_few(slug):
    assert 40 < len(cards.load(slug).summary) < 400
