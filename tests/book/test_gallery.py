"""The gallery of the front page: a tile for each chapter."""

import re

import building
import pytest

from deepphenomena.book import cards, standing
from deepphenomena.book import results as recorded_results

CARDS = [cards.load(slug) for slug in cards.slugs()]


def test_every_chapter_has_a_tile_in_the_order_of_the_contents(page, address):
    page.goto(f"{address}/index.html")
    assert page.locator(".dp-tile").count() == len(CARDS)
    contents = (building.ROOT / "_toc.yml").read_text()
    shown = [link.get_attribute("href").removesuffix(".html") for link in page.locator(".dp-tile h3 a").all()]
    assert shown == re.findall(r"file: (chapters/\S+)", contents)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.slug)
def test_a_tile_shows_the_first_figure_the_main_claim_and_the_verdicts(card, page, address):
    page.goto(f"{address}/index.html")
    tile = page.locator(".dp-tile", has=page.locator(f"a[href='chapters/{card.part}/{card.slug}.html']"))
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
