"""The book as a reader's browser shows it."""

import re

import chromium
import pytest
from axe_playwright_python.sync_playwright import Axe
from reading import CARDS, each_chapter, names, path

RULES = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}  # of axe; a theme changes colors alone
PHONE = {"width": 375, "height": 740}
LABEL, TITLE = 11, 14  # points: the labels of axes, and the title of a sheet of pictures as wide as the column


def test_every_page_opens_without_an_error_and_asks_no_other_host(page, pages, address):
    for name in names(pages):
        page.goto(f"{address}/{name}", wait_until="networkidle")
        assert not page.faults, f"{name}: {page.faults}"
    assert all(url.startswith((address + "/", "data:", "blob:")) for url in page.asked)


def test_the_front_page_says_what_this_is_and_how_the_claims_stand(page, address):
    page.goto(f"{address}/index.html")
    assert page.title().startswith("Deep Phenomena")
    assert page.locator("article h1").is_visible()
    assert re.search(r"of \d+ claims: \d+ reproduced \(size\)", page.locator(".dp-headline").inner_text())
    lowest = page.locator(".dp-headline").bounding_box()
    assert lowest["y"] + lowest["height"] < 900, "the scorecard's headline is not on the first screen"


@each_chapter
def test_a_chapter_shows_its_title_figures_and_verdicts(card, page, address):
    page.goto(f"{address}/{path(card)}")
    assert card.title.lower() in page.title().lower()
    figures = page.locator("article .cell_output img")
    assert figures.count() > 0
    for figure in figures.all():
        figure.scroll_into_view_if_needed()
        assert figure.evaluate("image => image.complete && image.naturalWidth > 0")
        assert len(figure.get_attribute("alt")) > 20
    first = page.locator("article h1 + p.dp-headline")
    assert re.search(r"of \d+ claims: \d+ reproduced", first.inner_text(), re.IGNORECASE)
    first.get_by_role("link").click()
    assert page.locator("#claims").bounding_box()["y"] < 200
    rows = page.locator("#claims tr[data-verdict]")
    assert rows.count() == len(card.claims)
    for row in rows.all():
        assert re.search(r"reproduced|mixed|inconclusive|not measured", row.inner_text())


@each_chapter
def test_the_text_of_figures_can_be_read_on_a_phone(card, browser, address):
    with browser.new_page(viewport={"width": 390, "height": 844}) as page:
        page.goto(f"{address}/{path(card)}")
        for figure in page.locator("article .cell_output figure").all():
            (shown,) = [one for one in figure.locator("> :is(img, .dp-stacked)").all() if one.is_visible()]
            shown.scroll_into_view_if_needed()
            width = shown.evaluate("one => one.viewBox ? one.viewBox.baseVal.width : one.naturalWidth * 0.75")  # points
            smallest = LABEL if width < 400 else TITLE
            assert shown.bounding_box()["width"] / width * smallest >= 11, figure.inner_text()


@each_chapter
def test_a_chapters_maths_is_set(card, page, address):
    page.goto(f"{address}/{path(card)}")
    chromium.wait_for_maths(page)
    formulas = page.locator("article mjx-container")
    assert formulas.count() == page.locator("article .math").count() > 0
    for formula in formulas.all():
        box = formula.bounding_box()
        assert box["width"] > 2
        assert box["height"] > 2
    assert page.locator("mjx-merror").count() == 0


def test_the_book_opens_from_the_disk_without_a_server(page, pages):
    name = path(CARDS[0])
    page.goto((pages / name).as_uri(), wait_until="networkidle")
    chromium.wait_for_maths(page)
    assert page.locator("article mjx-container").first.bounding_box()["width"] > 2
    assert not page.faults


@each_chapter
def test_search_finds_a_chapter_by_a_word_of_its_title(card, page, address):
    page.goto(f"{address}/index.html")
    page.locator("button.search-button-field:visible").first.click()
    box = page.locator("#pst-search-dialog input[type=search]")
    box.fill(max(re.findall(r"\w+", card.title), key=len))
    box.press("Enter")
    page.wait_for_selector(f"#search-results a[href*='{card.slug}.html']")


def test_the_theme_button_turns_the_page_dark(page, address):
    page.emulate_media(color_scheme="light")
    page.goto(f"{address}/index.html")
    colours = {}
    for _ in range(3):
        theme = page.locator("html").get_attribute("data-theme")
        colours[theme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.locator("button.theme-switch-button:visible").first.click()
    assert set(colours) == {"light", "dark"}
    assert colours["light"] != colours["dark"]


def test_no_page_scrolls_sideways_on_a_phone(page, pages, address):
    page.set_viewport_size(PHONE)
    for name in names(pages):
        page.goto(f"{address}/{name}")
        chromium.wait_for_maths(page)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], f"{name} is {width} pixels wide"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_serious_or_moderate_fault_of_accessibility(theme, page, pages, address):
    page.emulate_media(color_scheme=theme)
    faults = {}
    for name in names(pages):
        page.goto(f"{address}/{name}")
        chromium.wait_for_maths(page)
        found = Axe().run(page, options=RULES[theme]).response["violations"]
        counted = {
            f"{fault['id']}: {node['html'][:160]}"
            for fault in found
            if fault["impact"] in ("moderate", "serious", "critical")
            for node in fault["nodes"]
        }
        faults |= {name: sorted(counted)} if counted else {}
    assert not faults
