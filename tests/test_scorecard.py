"""The scorecard: from cards and records alone, and what moved since the last record."""

import json
import xml.etree.ElementTree

import pytest

from deepphenomena import start
from deepphenomena.book import cards, records, runner, scorecard, tables
from deepphenomena.book.claims import Verdict
from deepphenomena.runtime import paths

SLUG = "large_learning_rate_phase"
CARD = cards.load(SLUG)
BOTH = {"maximal_rate": [4.0, 4.01, 3.99], "critical_rate": [2.0, 2.01, 1.99]}


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    """A folder of results of its own, empty."""
    monkeypatch.setattr(paths, "data", lambda: tmp_path)
    return tmp_path / "results"


def made(**measured):
    """The record of a quick run with these measurements."""
    run = start(SLUG)
    for claim, values in (BOTH | measured).items():
        run.measure(claim, values)
    return run.record()


def rows(shown):
    return {claim["id"]: claim for claim in scorecard.content([(CARD, {"quick": shown})])["chapters"][0]["claims"]}


def test_its_json_has_the_papers_number_ours_the_verdict_and_what_made_it():
    record = made()
    content = json.loads(scorecard.as_json([(CARD, {"quick": record, "full": made(maximal_rate=[9.0, 9.1, 9.2])})]))
    (chapter,) = content["chapters"]
    claim = next(claim for claim in chapter["claims"] if claim["id"] == "maximal_rate")
    assert claim["reported"] == CARD.claim("maximal_rate").reported
    assert claim["page"] == f"chapters/training-dynamics/{SLUG}.html#claim-maximal_rate"
    assert claim["runs"]["quick"]["verdict"] == "reproduced"
    assert claim["runs"]["quick"]["estimate"] == record.outcome("maximal_rate").estimate.model_dump()
    assert claim["runs"]["full"]["verdict"] == "not reproduced"
    assert [claim["id"] for claim in chapter["claims"]] == [claim.id for claim in CARD.claims]
    assert chapter["runs"]["quick"]["provenance"]["device"] == record.provenance.device
    assert content["score"]["quick"]["reproduced"] == 2
    assert content["score"]["full"]["reproduced"] == 1
    assert content["score"]["quick"]["not measured"] == len(CARD.claims) - 2


def test_a_record_keeps_the_one_that_it_replaces_and_no_more():
    first, second, third = made(), made(), made()
    records.write(first)
    assert records.recorded(SLUG, "quick").replaces is None
    records.write(second)
    assert records.recorded(SLUG, "quick").replaces == first
    records.write(second)  # the same run, lifted again
    assert records.recorded(SLUG, "quick").replaces == first
    records.write(third)
    kept = records.recorded(SLUG, "quick").replaces
    assert kept == second
    assert kept.replaces is None
    assert kept.series == {}


def test_a_record_that_can_no_longer_be_read_is_replaced(results):
    file = records.write(made())
    for broken in ("{", '{"slug": "of an older form"}'):
        file.write_text(broken)
        records.write(made())
        assert records.recorded(SLUG, "quick").replaces is None


@pytest.mark.parametrize(
    ("now", "has_moved"),
    [
        ([4.0, 4.01, 3.99], False),
        ([4.0001, 4.0101, 3.9901], False),  # other digits, the same result
        ([4.01, 4.02, 4.0], False),  # the intervals share points
        ([4.08, 4.081, 4.082], True),  # still reproduced, and yet elsewhere
        ([4.0, 4.5, 3.5], True),  # the same mean, and inconclusive now
        ([float("nan"), 4.0, 4.0], True),
    ],
)
def test_a_claim_moves_with_its_verdict_or_out_of_its_interval(now, has_moved):
    records.write(made())
    fresh = made(maximal_rate=now)
    moved = scorecard.drift(scorecard.last_record(fresh), fresh)
    assert [after.id for _, after in moved] == ["maximal_rate"] * has_moved
    records.write(fresh)  # once it is the record itself, it is compared with the one it replaced
    assert scorecard.last_record(fresh) == records.recorded(SLUG, "quick").replaces
    assert scorecard.drift(scorecard.last_record(fresh), fresh) == moved


def test_drift_is_shown_in_every_form():
    records.write(made(maximal_rate=[5.0, 5.01, 4.99]))
    fresh = made()
    chapters = [(CARD, {"quick": fresh})]
    assert rows(fresh)["maximal_rate"]["runs"]["quick"]["before"]["verdict"] == "not reproduced"
    assert scorecard.content(chapters)["chapters"][0]["runs"]["quick"]["moved"] == ["maximal_rate"]
    assert "quick, moved: maximal_rate: ✗ not reproduced 5 " in scorecard.as_text(chapters)
    page = scorecard.as_html(chapters)
    assert "before: ✗ not reproduced 5 " in page
    assert page.count(" data-moved") == 1
    assert "1 moved" in page
    records.write(fresh)
    unchanged = made()
    assert "nothing moved" in scorecard.as_html([(CARD, {"quick": unchanged})])
    assert "moved:" not in scorecard.as_text([(CARD, {"quick": unchanged})])


def test_a_claim_that_is_newer_than_the_last_record_has_not_moved():
    old = made()
    records.write(old.model_copy(update={"outcomes": [old.outcome("critical_rate")]}))
    fresh = made(maximal_rate=[5.0, 5.01, 4.99])
    assert scorecard.drift(scorecard.last_record(fresh), fresh) == []
    assert rows(fresh)["maximal_rate"]["runs"]["quick"]["before"] is None


def test_the_page_has_a_row_for_every_claim_with_or_without_a_record():
    page = scorecard.as_html([(CARD, {})])
    assert page.count('data-verdicts="not measured|not measured"') == len(CARD.claims)
    assert page.count("not recorded") == 2
    hostile = CARD.model_copy(update={"title": '"><script>'})
    assert "<script>" not in scorecard.as_html([(hostile, {"quick": made()})])


def test_the_badge_is_an_image_that_says_the_score():
    chapters = [(CARD, {"quick": made(), "full": made(maximal_rate=[9.0, 9.1, 9.2])})]
    badge = xml.etree.ElementTree.fromstring(scorecard.badge(chapters))
    words = [element.text for element in badge.iter("{http://www.w3.org/2000/svg}text")]
    total = len(CARD.claims)
    assert words == ["claims reproduced", f"quick 2 of {total}, full 1 of {total}"]
    assert badge.get("aria-label") == ": ".join(words)
    last = badge.findall(".//{http://www.w3.org/2000/svg}text")[-1]
    assert float(last.get("x")) + float(last.get("textLength")) < float(badge.get("width"))


def test_it_agrees_with_the_records_of_this_very_book(monkeypatch):
    monkeypatch.undo()
    chapters = runner.collect()
    for (card, by_preset), shown in zip(chapters, scorecard.content(chapters)["chapters"], strict=True):
        for name, record in by_preset.items():
            verdicts = [claim["runs"][name]["verdict"] for claim in shown["claims"] if claim["runs"][name]]
            counts = {verdict: verdicts.count(verdict) for verdict in Verdict}
            assert counts == tables.tally([record]), (card.slug, name)
