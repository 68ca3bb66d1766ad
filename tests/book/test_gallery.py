"""The gallery of the front page: a tile for each chapter."""

import re

import building
import pytest
from reading import EVERY, each_chapter, path

from deepphenomena.book import results as recorded_results
from deepphenomena.book import standing


def test_every_chapter_has_a_tile_in_the_order_of_the_contents(page, address):
    page.goto(f"{address}/index.html")
    assert page.locator(".dp-tile").count() == len(EVERY)
    contents = (building.ROOT / "_toc.yml").read_text()
    shown = [link.get_attribute("href").removesuffix(".html") for link in page.locator(".dp-tile h3 a").all()]
    assert shown == re.findall(r"file: (chapters/\S+)", contents)


@each_chapter
def test_a_tile_shows_the_first_figure_the_main_claim_and_the_verdicts(card, page, address):
    page.goto(f"{address}/index.html")
    tile = page.locator(".dp-tile", has=page.locator(f"a[href='{path(card)}']"))
    image = tile.locator("img")
    image.scroll_into_view_if_needed()
    page.wait_for_function("image => image.complete", arg=image.element_handle())
    assert image.evaluate("image => image.naturalWidth") > 0
    by_preset = recorded_results.all_recorded(card)
    words = tile.inner_text()
    assert card.main.claim in words
    assert str(standing.of_claim(card, card.main.id, by_preset).verdict) in words
    shown = [
        int(number) for number in re.findall(r"^(\d+)", "\n".join(tile.locator(".dp-chip").all_inner_texts()), re.M)
    ]
    assert sum(shown) == len(card.claims)
    assert re.search(r"\d+ min to read, .* to run", words)


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_no_tile_is_clipped(width, browser, address):
    with browser.new_context(viewport={"width": width, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{address}/index.html")
        for tile in page.locator(".dp-tile").all():
            assert tile.evaluate("tile => tile.scrollWidth <= tile.clientWidth + 1")
            box = tile.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width


@pytest.fixture
def filtered(page, address):
    """The front page with a gallery of 72 chapters: the tiles of the book, repeated, in nine more topics."""

    def repeated(route):
        body = route.fetch().text()
        tiles = re.findall(r'<section class="dp-tile".*?</section>', body, re.DOTALL)
        many = [re.sub(r'data-topic="[^"]*"', f'data-topic="Topic {n % 9}"', tiles[n % len(tiles)]) for n in range(72)]
        route.fulfill(body=body.replace("".join(tiles), "".join(many)), content_type="text/html")

    page.route("**/index.html*", repeated)
    page.goto(f"{address}/index.html")
    return page


def test_a_topic_and_a_verdict_leave_the_chapters_that_have_both(filtered):
    both = "tiles => tiles.map(({dataset: {topic, verdict}}) => [topic, verdict])"
    tiles = filtered.locator(".dp-tile").evaluate_all(both)
    shown = filtered.locator(".dp-tile:visible")
    assert shown.count() == len(tiles) == 72
    topic, verdict = tiles[4]
    filtered.get_by_label("Topic").select_option(topic)
    assert shown.count() == sum(one == topic for one, _ in tiles) == 8
    filtered.get_by_label("Main claim").select_option(verdict)
    left = tiles.count([topic, verdict])
    assert shown.count() == left
    assert filtered.locator("output.dp-count").inner_text() == f"{left} of 72 chapters"
    linked = filtered.url
    filtered.goto("about:blank")
    filtered.goto(linked)
    assert filtered.get_by_label("Topic").input_value() == topic
    assert not filtered.faults


def test_the_filter_of_the_gallery_works_by_keyboard(filtered):
    filtered.get_by_label("Topic").focus()
    filtered.keyboard.type("Topic 3")
    assert filtered.locator(".dp-tile:visible").count() == 8
    filtered.keyboard.press("Tab")
    assert filtered.locator(":focus").get_attribute("name") == "verdict"
    outline = "element => parseFloat(getComputedStyle(element).outlineWidth)"
    assert filtered.locator(":focus").evaluate(outline) >= 2


def test_without_a_script_the_gallery_is_whole_and_has_no_filter(browser, address):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{address}/index.html")
        assert page.locator(".dp-tile").count() == len(EVERY)
        assert page.locator(".dp-filter").count() == 0
