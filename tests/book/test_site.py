"""What a search engine, a preview and a lost reader get."""

import re
import xml.etree.ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from conftest import CONFIG
from PIL import Image
from reading import EVERY, each_chapter, names, path

from deepphenomena.book import preview

HOME = CONFIG["html"]["baseurl"]
WITHOUT_TEXT = {"404.html", "genindex.html", "py-modindex.html", "search.html"}


class Head(HTMLParser):
    """The meta tags and the canonical addresses of a page."""

    def __init__(self, file: Path):
        super().__init__()
        self.meta, self.canonical = {}, []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "meta":
            name = attributes.get("property") or attributes.get("name") or ""
            assert name not in self.meta or not name.startswith(("og:", "description", "twitter:")), f"{name} twice"
            self.meta[name] = attributes.get("content")
        if tag == "link" and attributes.get("rel") == "canonical":
            self.canonical.append(attributes["href"])


@pytest.fixture(scope="module")
def heads(pages) -> dict[str, Head]:
    return {name: Head(pages / name) for name in names(pages)}


def test_every_page_names_its_own_address(heads):
    for name, head in heads.items():
        assert head.canonical == [HOME + name]


def test_every_page_with_text_has_a_description_and_a_card_with_its_image(heads, pages):
    described = {name: head.meta for name, head in heads.items() if name not in WITHOUT_TEXT}
    for name, meta in described.items():
        assert meta["og:url"] == HOME + name
        assert 40 < len(meta["description"]) <= 600
        assert meta["og:description"] == meta["description"]
        assert meta["og:site_name"] == CONFIG["title"]
        assert meta["og:title"]
        assert meta["twitter:card"] == "summary_large_image"
        with Image.open(pages / meta["og:image"].removeprefix(HOME)) as image:
            assert image.size == (int(meta["og:image:width"]), int(meta["og:image:height"]))
        assert meta["og:image:alt"].startswith(meta["og:title"])
    assert len({meta["description"] for meta in described.values()}) == len(described)


@each_chapter
def test_a_chapter_is_described_by_the_summary_of_its_card(card, heads):
    meta = heads[path(card)].meta
    assert meta["description"] == card.summary.strip()
    assert meta["og:title"] == card.title
    assert meta["og:type"] == "article"
    assert re.search(r"of \d+ claims: \d+ reproduced", meta["og:image:alt"], re.IGNORECASE)


def test_the_sitemap_lists_every_page_with_text(heads, pages):
    root = xml.etree.ElementTree.parse(pages / "sitemap.xml").getroot()
    listed = [element.text for element in root.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    assert sorted(listed) == sorted(HOME + name for name in {*heads, *map(path, EVERY)} if name not in WITHOUT_TEXT)


@pytest.mark.parametrize("title", ["Short", "A title of many words " * 9, "Antidisestablishmentarianism " * 6])
def test_the_words_of_a_preview_do_not_overlap_and_are_not_cut(title):
    ink = np.asarray(preview.card("Deep Phenomena", title, "Of 17 claims: 9 reproduced. " * 4).convert("L")) > 100
    rows = ink.any(axis=1)
    assert not rows[480:500].any(), "the title ends above the verdicts"
    assert not rows[-20:].any()
    assert not ink[:, -40:].any()


@pytest.mark.parametrize("lost", ["no_such_page.html", "chapters/an-old-part/an_old_name.html"])
def test_a_lost_reader_gets_a_page_in_the_books_style_and_finds_back(lost, page, address):
    assert page.goto(f"{address}/{lost}", wait_until="networkidle").status == 404
    assert page.locator("article h1").inner_text().startswith("Page not found")
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--dp-reproduced')")
    assert not [fault for fault in page.faults if "status of 404" not in fault]  # Chromium's line on the page itself
    assert all(url.startswith((address + "/", "data:")) for url in page.asked)
    assert len([fault for fault in page.faults if "status of 404" in fault]) <= 1, "every file was found"
    page.get_by_role("link", name="All chapters").click()
    assert page.url == f"{address}/index.html"


@pytest.mark.parametrize("word", ["learning", "training", "network"])
def test_search_ranks_the_chapters_first(word, page, address):
    page.goto(f"{address}/search.html?q={word}")
    page.wait_for_selector("#search-results li")
    page.get_by_text("Search finished").wait_for()
    links = page.locator("#search-results li a:first-child").evaluate_all("links => links.map(link => link.href)")
    is_chapter = [bool(re.search(r"/chapters/", link)) for link in links]
    found = {link.partition("#")[0].partition("?")[0] for link in links if "/chapters/" in link}
    assert len(EVERY) / 2 <= len(found) <= len(EVERY), "not every chapter trains or learns"
    assert not all(is_chapter)
    assert is_chapter == sorted(is_chapter, reverse=True)
