"""The scorecard: from cards and records alone, with every recorded run, and what moved since the last record."""

import json
import xml.etree.ElementTree

import pytest
from example_card import CARD, record

from deepphenomena.book import results, runner, scorecard, scorecard_json, standing
from deepphenomena.book.claims import Verdict
from deepphenomena.runtime import paths
from deepphenomena.runtime.errors import InputError

RUNS = {"quick": record(), "full": record("full", gap=-0.5), "larger": record("larger")}
CHAPTERS = [(CARD, RUNS)]


@pytest.fixture(autouse=True)
def results_folder(tmp_path, monkeypatch):
    """A folder of results of its own, empty."""
    monkeypatch.setattr(paths, "data", lambda: tmp_path)


def entries(chapters=CHAPTERS):
    content = json.loads(scorecard_json.text(chapters))
    return content, {claim["id"]: claim for claim in content["chapters"][0]["claims"]}


def test_its_json_has_the_papers_number_ours_the_verdict_of_record_and_every_run():
    content, claims = entries()
    size = claims["size"]
    assert (size["reported"], size["paper"]["value"], size["basis"]) == ("4.0", 4.0, "number")
    assert size["address"] == "chapters/training-dynamics/example.html#claim-size"
    assert size["how_tested"] == "chapters/training-dynamics/example.html#measures-size"
    assert (size["verdict"], size["measured_by"], size["quick"]) == ("reproduced (size)", "larger", "agrees")
    assert size["difference"] == pytest.approx(0, abs=1e-9)
    assert [one["preset"] for one in size["measurements"]] == ["quick", "full", "larger"]
    assert claims["gap"]["verdict"] == "mixed"
    assert claims["gap"]["reason"] == "it holds in larger and does not in full"
    assert content["score"]["reproduced (size)"] == 1
    assert sum(content["score"].values()) == len(CARD.claims), "checks do not count"
    assert content["chapters"][0]["coverage_share"] == pytest.approx(2 / 3)
    assert content["chapters"][0]["checks"][0]["id"] == "identity"


def test_its_json_keeps_to_its_own_schema():
    schema = json.loads(scorecard_json.schema())
    content, _ = entries()
    assert content["schema_version"] == schema["properties"]["schema_version"]["const"]
    assert scorecard_json.Scorecard.model_validate(content) == scorecard_json.content(CHAPTERS)
    assert set(content) == set(schema["properties"])


def test_a_record_keeps_what_earlier_attempts_said():
    first, second, third = (record("full", gap=gap, day=day) for gap, day in ((0.5, 1), (-0.5, 2), (0.4, 3)))
    results.write(first)
    results.write(second)
    results.write(second)  # the same run, lifted again
    assert results.recorded("example", "full").attempt == 2
    results.write(third)
    kept = results.recorded("example", "full")
    assert (kept.attempt, [one.attempt for one in kept.attempts]) == (3, [1, 2])
    assert kept.attempts[1].outcomes["gap"].verdict is Verdict.NOT_REPRODUCED
    assert standing.of_claim(CARD, "gap", {"full": kept}).verdict is Verdict.MIXED
    page = scorecard.as_html([(CARD, {"full": kept})])
    assert "full (attempt 3)" in page
    assert "attempt 2: not reproduced" in page


def test_of_the_quick_run_only_the_last_is_kept():
    for day in (1, 2, 3):
        results.write(record(day=day))
    assert [one.attempt for one in results.recorded("example", "quick").attempts] == [2]


@pytest.mark.parametrize(
    ("first_seed", "words"),
    [(10, "attempt 1 used 10 to 14"), (13, "attempt 1 used 10 to 14"), (899, "the drafts of its plan used 900 to 904")],
)
def test_seeds_that_were_seen_are_refused_before_a_run(first_seed, words):
    results.write(record("full"))
    presets = CARD.presets | {"full": CARD.presets["full"] | {"first_seed": first_seed}}
    card = CARD.model_copy(update={"presets": presets})
    with pytest.raises(InputError, match=words) as refusal:
        results.check_recordable(card, "full")
    assert "first_seed: 905" in str(refusal.value)
    results.check_recordable(card, "full", reuse="a mistake in a figure")


def test_fresh_seeds_the_quick_run_and_no_smoke_run_may_be_recorded():
    results.write(record("full"))
    results.write(record())
    presets = CARD.presets | {"full": CARD.presets["full"] | {"first_seed": 15}}
    results.check_recordable(CARD.model_copy(update={"presets": presets}), "full")
    results.check_recordable(CARD, "quick")
    with pytest.raises(InputError, match="'smoke' is not judged"):
        results.check_recordable(CARD, "smoke")


def test_a_record_of_an_older_form_is_named(tmp_path):
    file = results.write(record())
    for broken, fault in (("{", "not valid JSON"), ('{"version": 1}', "form 1 and this library reads form 2")):
        file.write_text(broken)
        with pytest.raises(InputError, match=fault):
            results.recorded("example", "quick")


@pytest.mark.parametrize(
    ("now", "has_moved"),
    [(0.5, False), (0.5001, False), (0.51, False), (0.7, True), (0.0, True), (float("nan"), True)],
)
def test_a_claim_moves_with_its_verdict_or_out_of_its_interval(now, has_moved):
    results.write(record())
    fresh = record(gap=now, day=2)
    moved = scorecard.drift(fresh)
    assert list(moved) == ["gap"] * has_moved
    results.write(fresh)  # once it is the record itself, it is compared with the attempt before it
    assert scorecard.drift(fresh) == moved


def test_drift_is_shown_to_people():
    results.write(record(gap=-0.5))
    chapters = [(CARD, {"quick": record(day=2)})]
    assert "quick, moved: gap: ✗ not reproduced -0.5 " in scorecard.as_text(chapters)
    assert "1 moved" in scorecard.runs_html(chapters)


def test_a_claim_that_is_newer_than_the_last_record_has_not_moved():
    old = record()
    results.write(old.model_copy(update={"outcomes": [old.outcome("size")]}))
    assert scorecard.drift(record(gap=-0.5, day=2)) == {}


def test_the_page_shows_all_that_a_reader_needs_to_doubt_a_verdict():
    page = scorecard.as_html(CHAPTERS)
    row = page[page.index("The size is four.") : page.index("It is faster.")]
    for shown in (
        "Table 2",
        "4.0",
        "4 [3.975, 4.025] units",
        "ours − paper&#x27;s: +0",
        "3 to 5",
        "from the paper&#x27;s number",
    ):
        assert shown in row, shown
    for shown in ("✓ reproduced (size)", "how tested", "full: ", "larger: ", "quick: ", "= agrees"):
        assert shown in row, shown
    assert "not checked against a source" in page[page.index("It is faster.") :]
    assert "2 checks of our setup, which do not count" in page
    assert "2 of 3 figures, tables and theorems tested" in page


def test_the_page_has_a_row_for_every_claim_with_or_without_a_record():
    page = scorecard.as_html([(CARD, {})])
    assert page.count('data-verdict="not measured"') == len(CARD.claims)
    assert "no recorded run beyond quick, so it does not count yet" in page
    hostile = CARD.model_copy(update={"title": '"><script>'})
    assert "<script>" not in scorecard.as_html([(hostile, RUNS)])
    assert "<processor>" not in scorecard.runs_html(CHAPTERS)


def test_the_badge_is_an_image_that_says_the_score():
    badge = xml.etree.ElementTree.fromstring(scorecard.badge(CHAPTERS))
    words = [element.text for element in badge.iter("{http://www.w3.org/2000/svg}text")]
    assert words == ["claims reproduced", "1 in size, 0 in direction, of 3"]
    assert badge.get("aria-label") == ": ".join(words)
    last = badge.findall(".//{http://www.w3.org/2000/svg}text")[-1]
    assert float(last.get("x")) + float(last.get("textLength")) < float(badge.get("width"))


def test_it_agrees_with_the_records_of_this_very_book(monkeypatch):
    monkeypatch.undo()
    chapters = runner.collect()
    content = scorecard_json.content(chapters)
    verdicts = [claim.verdict for chapter in content.chapters if chapter.counts for claim in chapter.claims]
    assert content.score == {verdict: verdicts.count(verdict) for verdict in Verdict}
    for (card, by_preset), chapter in zip(chapters, content.chapters, strict=True):
        recorded = {(run.preset, run.attempt) for run in chapter.runs}
        assert recorded == {(record.preset, record.attempt) for record in by_preset.values()}, card.slug
