"""The scorecard as a reader finds it: whole without a script, a filter above it with one, JSON and badge beside it."""

import json
import re
import xml.etree.ElementTree

import pytest
import yaml
from reading import each_chapter
from test_pages import ROOT

from deepphenomena.book import cards, records, scorecard_json
from deepphenomena.book.claims import Verdict

CLAIMS = sum(len(cards.load(slug).claims) for slug in cards.slugs())


@pytest.fixture
def filtered(page, address):
    """The scorecard open in a browser, the rows it shows, and the words of its count."""
    page.goto(f"{address}/scorecard.html")
    page.shown = lambda: page.locator("#every-claim tr[data-verdict]:visible")
    page.count = lambda: page.locator("output.dp-count").inner_text()
    return page


def test_without_a_script_the_whole_table_is_there_and_no_dead_control(browser, address):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{address}/scorecard.html")
        assert page.locator("#every-claim tr[data-verdict]").count() == CLAIMS
        assert page.locator("#every-claim tr[data-verdict]").last.is_visible()
        assert page.locator(".dp-filter").count() == 0


def test_nothing_is_filtered_until_a_reader_asks(filtered):
    assert filtered.shown().count() == CLAIMS
    assert filtered.count() == f"{CLAIMS} of {CLAIMS} claims"
    assert "?" not in filtered.url


def test_a_verdict_leaves_the_claims_that_have_it_and_their_chapters(filtered):
    having = filtered.locator("tr[data-verdict]").evaluate_all("rows => rows.map(row => row.dataset.verdict)")
    for verdict in Verdict:
        filtered.locator("select[name=verdict]").select_option(str(verdict))
        expected = [one for one in having if one == verdict]
        shown = filtered.shown().evaluate_all("rows => rows.map(row => row.dataset.verdict)")
        assert shown == expected
        assert filtered.count() == f"{len(expected)} of {CLAIMS} claims"


def test_no_chapter_is_named_that_has_no_claim_left(filtered):
    assert filtered.locator("tr.dp-chapter:visible").count() == len(cards.slugs())
    filtered.get_by_label("Words").fill("no claim says this")
    assert filtered.locator("tr.dp-chapter:visible").count() == 0


@each_chapter
def test_a_chapter_leaves_its_own_claims(card, filtered):
    filtered.locator("select[name=chapter]").select_option(card.title)
    links = filtered.shown().locator("th a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    page = scorecard_json.page(card)
    assert links == [f"{page}#{kind}-{claim.id}" for claim in card.claims for kind in ("claim", "measures")]


def test_words_leave_the_claims_that_hold_all_of_them_and_can_be_linked_to(filtered, address):
    claim = cards.load(cards.slugs()[0]).claims[0].claim
    filtered.get_by_label("Words").fill(claim.upper())
    assert claim in filtered.shown().first.inner_text()
    assert 1 <= filtered.shown().count() < CLAIMS
    count, linked = filtered.count(), filtered.url
    filtered.goto("about:blank")
    filtered.goto(linked)
    assert filtered.count() == count
    assert filtered.get_by_label("Words").input_value() == claim.upper()
    filtered.get_by_label("Words").fill("no claim says this")
    assert filtered.count() == f"0 of {CLAIMS} claims"
    filtered.goto(f"{address}/scorecard.html?verdict=unheard-of&chapter=none")
    assert filtered.count() == f"{CLAIMS} of {CLAIMS} claims"
    assert not [fault for fault in filtered.faults if not fault.startswith("failed: ")]  # left in mid-load


def test_claims_in_which_the_quick_run_disagrees_can_be_found(filtered):
    filtered.locator("select[name=verdict]").select_option("quick disagrees")
    assert filtered.shown().count() == filtered.locator('tr[data-quick="disagrees"]').count()


def test_by_keyboard_alone_a_reader_reaches_the_filter_and_sees_where_he_is(filtered):
    filtered.locator("article h1").click()
    for name in ("words", "chapter", "verdict"):
        filtered.keyboard.press("Tab")
        while filtered.evaluate("document.activeElement.closest('#every-claim') === null"):
            filtered.keyboard.press("Tab")
        focused = filtered.locator(":focus")
        assert focused.get_attribute("name") == name
        assert focused.evaluate("element => parseFloat(getComputedStyle(element).outlineWidth)") >= 2
    filtered.keyboard.type("not rep")
    assert filtered.locator("select[name=verdict]").input_value() == "not reproduced"
    filtered.keyboard.press("Tab")
    assert "dp-claims" in filtered.locator(":focus").get_attribute("class"), "the table can be scrolled by keyboard"


def test_the_filter_fits_a_phone_and_a_finger(filtered):
    filtered.set_viewport_size({"width": 375, "height": 740})
    for control in filtered.locator(".dp-filter input, .dp-filter select").all():
        box = control.bounding_box()
        assert box["height"] >= 44
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 375


def test_the_same_lies_beside_the_pages_as_json_and_as_a_badge(pages):
    content = json.loads((pages / "scorecard.json").read_text(encoding="utf-8"))
    for chapter in content["chapters"]:
        card = cards.load(chapter["slug"])
        shown = records.read(cards.path(card.slug).with_suffix(".ipynb"))
        quick = {
            claim["id"]: one["verdict"]
            for claim in chapter["claims"]
            for one in claim["measurements"]
            if one["preset"] == "quick"
        }
        assert quick == {outcome.id: outcome.verdict for outcome in shown.outcomes}
        assert (pages / chapter["page"]).is_file()
        for claim in chapter["claims"]:
            for address in (claim["address"], claim["how_tested"]):
                file, _, anchor = address.partition("#")
                assert f'id="{anchor}"' in (pages / file).read_text(encoding="utf-8"), address
    badge = xml.etree.ElementTree.parse(pages / "scorecard.svg").getroot()
    score = content["score"]
    assert f"{score['reproduced (size)']} in size" in badge.get("aria-label")
    assert f"of {sum(score.values())}" in badge.get("aria-label")
    assert json.loads((pages / "scorecard.schema.json").read_text())["title"] == "Scorecard"


def test_the_readmes_badge_is_the_one_that_the_published_book_brings(pages):
    repository = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    owner, name = repository.removeprefix("https://github.com/").split("/")
    image, link = re.search(
        r"\[!\[[^\]]+\]\(([^)]+)\)\]\(([^)]+scorecard\.html)\)", (ROOT / "README.md").read_text()
    ).groups()
    for address in (image, link):
        published, _, file = address.rpartition("/")
        assert published == f"https://{owner}.github.io/{name}"
        assert (pages / file).is_file()
