"""The first screen of a chapter says whether the main claim held, and how it was measured. Pictures go to `_build/`."""

import building
import pytest
from reading import each_chapter, path

from deepphenomena.book import cards, results, standing

SCREENS = {"desktop": (1280, 800), "phone": (390, 844)}
PICTURES = building.ROOT / "_build" / "first-screens"


@each_chapter
@pytest.mark.parametrize("screen", SCREENS)
def test_the_first_screen_says_whether_the_main_claim_held_and_how_it_was_measured(card, screen, browser, address):
    width, height = SCREENS[screen]
    with browser.new_page(viewport={"width": width, "height": height}) as page:
        page.goto(f"{address}/{path(card)}", wait_until="networkidle")
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / f"{card.slug}-{screen}.png")
        main = page.locator(".dp-finding dd").first
        box = main.bounding_box()
        assert box["y"] + box["height"] <= height
        assert box["x"] + box["width"] <= width
        stands = standing.of_claim(card, card.main.id, results.all_recorded(cards.load(card.slug)))
        said = main.inner_text()
        assert card.main.claim.strip()[:40] in said
        assert stands.verdict.value in said
        if stands.outcome:
            assert f"n = {stands.outcome.estimate.n}" in said.replace("\N{NO-BREAK SPACE}", " ")
