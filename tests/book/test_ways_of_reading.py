"""The book on a phone, in the dark, by keyboard, over a slow line and on paper."""

import gzip
import io
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import building
import chromium
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from reading import CARDS, EVERY, each_chapter, names, path
from test_browser import PHONE

HEAVIEST = 1.0e6  # bytes that a chapter's page sends for, compressed as any host of static pages does
COMPRESSED = {".html", ".css", ".js", ".svg", ".json"}
SMALLEST = 24  # pixels of a thing to touch, or of the space around it (WCAG 2.2, 2.5.8)


@pytest.fixture
def phone(page):
    page.set_viewport_size(PHONE)
    return page


def test_on_a_phone_a_table_of_claims_becomes_cards_or_scrolls_in_its_own_box(phone, address):
    for name in ["scorecard.html", *map(path, CARDS)]:
        phone.goto(f"{address}/{name}")
        for box in phone.locator(".dp-claims").all():
            place = box.bounding_box()
            assert place["x"] >= 0
            assert place["x"] + place["width"] <= PHONE["width"]
            inside, shown = box.evaluate("box => [box.scrollWidth, box.clientWidth]")
            if inside == shown:  # each row is a card as wide as the box
                cells = box.locator("tbody td").all()
                assert min(cell.bounding_box()["width"] for cell in cells if cell.is_visible()) > PHONE["width"] / 2
                continue
            last = box.locator("thead th").last
            box.evaluate("box => box.scrollTo(box.scrollWidth, 0)")
            assert last.bounding_box()["x"] + last.bounding_box()["width"] <= PHONE["width"] + 1


def test_on_a_phone_whatever_can_be_touched_is_large_enough_or_stands_apart(phone, pages, address):
    rule = {"runOnly": ["target-size"], "rules": {"target-size": {"enabled": True}}}
    for name in names(pages):
        phone.goto(f"{address}/{name}")
        small = [
            node["html"][:160]
            for fault in Axe().run(phone, options=rule).response["violations"]
            for node in fault["nodes"]
        ]
        assert not small, f"{name}: {small}"


def test_a_thing_too_small_to_touch_is_noticed(phone, address):
    phone.goto(f"{address}/index.html")
    phone.evaluate(
        "document.querySelector('article').insertAdjacentHTML('afterbegin', "
        f"'<button style=\"all: unset; width: {SMALLEST // 2}px; height: 9px\">a</button>'.repeat(9))"
    )
    rule = {"runOnly": ["target-size"], "rules": {"target-size": {"enabled": True}}}
    assert Axe().run(phone, options=rule).response["violations"]


@each_chapter
def test_figures_stay_readable_in_the_dark(card, page, address):
    page.emulate_media(color_scheme="dark")
    page.goto(f"{address}/{path(card)}")
    for figure in page.locator("article .cell_output img").all():
        figure.scroll_into_view_if_needed()
        shot = Image.open(io.BytesIO(figure.screenshot())).convert("L")
        dark, light = np.quantile(np.asarray(shot) / 255, [0.001, 0.999])
        luminance = [(grey / 12.92 if grey <= 0.04045 else ((grey + 0.055) / 1.055) ** 2.4) for grey in (dark, light)]
        assert (luminance[1] + 0.05) / (luminance[0] + 0.05) >= 7, "ink on paper, as WCAG's AAA asks of text"


@each_chapter
def test_search_finds_a_claim_by_its_words(card, page, address):
    words = max((re.findall(r"[a-z]{4,}", claim.claim) for claim in card.claims), key=len)
    page.goto(f"{address}/search.html?q={'+'.join(words)}")
    page.wait_for_selector(f"#search-results a[href*='{card.slug}.html']")


def test_by_keyboard_a_reader_sees_where_he_is_and_reaches_the_launch_button(page, address):
    page.goto(f"{address}/{path(CARDS[0])}")
    chromium.wait_for_maths(page)
    launch = page.get_by_role("button", name="Launch interactive content")
    for _ in range(60):
        page.keyboard.press("Tab")
        name, width, shadow = page.evaluate(
            "(({outerHTML}, {outlineStyle, outlineWidth, boxShadow}) => [outerHTML.slice(0, 160), "
            "outlineStyle === 'none' ? 0 : parseFloat(outlineWidth), boxShadow])"
            "(document.activeElement, getComputedStyle(document.activeElement))"
        )
        assert width >= 2 or shadow.endswith("0px 0px 0px 3px"), f"focus does not show on {name}"
        if launch.evaluate("button => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    colab = page.locator("a[href^='https://colab.research.google.com/']").first
    colab.wait_for(state="visible")
    while not colab.evaluate("link => link === document.activeElement"):
        assert page.evaluate("document.activeElement.closest('.dropdown-launch-buttons') !== null")
        page.keyboard.press("ArrowDown")


def test_every_page_is_light(browser, pages, address):
    for name in names(pages):
        with browser.new_context() as fresh:  # nothing is in its cache
            page, asked = fresh.new_page(), set()
            page.on("request", lambda request, asked=asked: asked.add(urlsplit(request.url)))
            page.goto(f"{address}/{name}", wait_until="networkidle")
            for figure in page.locator("article img").all():
                figure.scroll_into_view_if_needed()
        sent = {}
        below = urlsplit(address).path + "/"
        for file in (pages / unquote(url.path).removeprefix(below) for url in asked if url.scheme == "http"):
            content = file.read_bytes()
            sent[file.name] = len(gzip.compress(content) if file.suffix in COMPRESSED else content)
        assert {Path(name).name, "book.css", "pydata-sphinx-theme.css"} <= set(sent)
        heaviest = sorted(sent.items(), key=lambda item: -item[1])[:5]
        assert sum(sent.values()) <= HEAVIEST, f"{name} sends {sum(sent.values()):,} bytes, most of all {heaviest}"


def in_print(test):
    """Mark a test of the PDF: one worker prints it, and only ALL=1 prints a book of many chapters."""
    skipped = pytest.mark.skipif(CARDS != EVERY, reason="many chapters take long to print; ALL=1 prints them")
    return pytest.mark.xdist_group("pdf")(skipped(test))


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> bytes:
    """The whole book as one PDF, as `make pdf` makes it."""
    folder = tmp_path_factory.mktemp("printed")
    program = Path(__file__).with_name("pdf.py")
    subprocess.run([sys.executable, program, building.build(folder, "singlehtml"), folder / "book.pdf"], check=True)
    return (folder / "book.pdf").read_bytes()


def titles(document: bytes) -> str:
    """The outline's titles without their spaces, which Chromium loses where a heading wraps."""
    found = re.findall(rb"/Title \((.*?)(?<!\\)\)\s*/|/Title <FEFF([0-9A-F]+)>", document, re.DOTALL)
    decoded = (plain.decode("latin-1") or bytes.fromhex(wide.decode()).decode("utf-16-be") for plain, wide in found)
    return re.sub(r"[\s\\]", "", "\n".join(decoded))


@in_print
def test_the_whole_book_is_one_pdf_with_every_chapter_and_figure(printed, pages):
    assert printed.startswith(b"%PDF")
    for card in CARDS:
        assert re.sub(r"\s", "", card.title) in titles(printed)
    pictures = len(list((pages / "_images").glob("*.png")))
    assert printed.count(b"/Subtype /Image") >= pictures
    assert 10 * len(CARDS) < len(re.findall(rb"/Type /Page\b", printed)) < 60 * (len(CARDS) + 1)


@in_print
def test_the_pdf_links_its_own_pages_and_no_file_of_the_machine_that_made_it(printed):
    assert b"file:" not in printed
    claim = CARDS[0].claims[0].id
    assert printed.count(f"{CARDS[0].slug}.html-claim-{claim}".encode()) >= 2, "a link and its target"
