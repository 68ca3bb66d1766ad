"""Links that the build adds to prose: to the glossary, and to the API reference."""

import re

import building
import nbformat
import pytest
from docutils import nodes
from reading import CARDS, each_chapter, path
from test_api_page import MODULES, public

from deepphenomena.book import prose_links

GLOSSARY = building.ROOT / "guide" / "glossary.md"
ENTRIES = prose_links.read_glossary(GLOSSARY.read_text(encoding="utf-8")).entry_of
WITH_LINKS = "article a:has(> .dp-term)"


def linked(page) -> list[tuple[str, str]]:
    """The words and the address of each link to the glossary on an open page."""
    return page.locator(WITH_LINKS).evaluate_all("links => links.map(a => [a.textContent, a.getAttribute('href')])")


def entry(words: str) -> int:
    """The entry of the glossary to which these words lead."""
    singular = re.sub(r"\s+", " ", words).lower()
    (found,) = {
        number
        for name, number in ENTRIES.items()
        if singular in (name.lower(), f"{name.lower()}s", f"{name.lower()}es")
    }
    return found


@each_chapter
def test_a_chapter_links_each_of_its_terms_once_and_in_prose_alone(card, page, address):
    page.goto(f"{address}/{path(card)}")
    links = linked(page)
    assert len(links) >= 5
    assert all(re.fullmatch(r"(\.\./)+guide/glossary\.html#term-.+", href) for _, href in links)
    entries = [entry(words) for words, _ in links]
    assert len(set(entries)) == len(entries)
    inside = ":is(h1, h2, h3, h4, table, figcaption, dt, code, mjx-container, .dp-headline, .dp-finding)"
    assert page.locator(f"{inside} .dp-term").count() == 0


def test_a_link_to_a_term_shows_its_definition(page, address):
    page.goto(f"{address}/{path(CARDS[0])}")
    page.locator(WITH_LINKS).first.click()
    page.wait_for_url("**/guide/glossary.html#term-*")
    place = page.locator(":target").bounding_box()
    assert 0 <= place["y"] < 900
    assert page.locator("dt:target ~ dd").first.inner_text().strip()


def test_no_link_is_added_to_a_page_of_the_guide(pages):
    assert "dp-term" not in (pages / "guide" / "verdicts.html").read_text(encoding="utf-8")


def names_in_prose(source: str) -> set[str]:
    """The names of public objects in the inline code of a page, but for its headings."""
    public_names = {f"{module}.{name}" for module in MODULES for name in public(module)}
    prose = re.sub(r"```.*?```|^#.*?$", "", source, flags=re.DOTALL | re.MULTILINE)
    written = re.findall(r"`([^`\n]+)`", prose)
    named = {prose_links.full_name(code, MODULES) for code in written}
    return named & public_names


@pytest.mark.parametrize("name", ["guide/write_a_chapter", "guide/many_machines", *(path(card)[:-5] for card in CARDS)])
def test_every_public_name_in_prose_leads_to_its_entry(name, pages):
    source = building.ROOT / name
    if source.with_suffix(".md").is_file():
        prose = source.with_suffix(".md").read_text(encoding="utf-8")
    else:
        cells = nbformat.read(source.with_suffix(".ipynb"), 4).cells
        prose = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    page = (pages / f"{name}.html").read_text(encoding="utf-8")
    expected = names_in_prose(prose)
    assert not [full for full in expected if f'api.html#{full}"' not in page]
    if name == "guide/write_a_chapter":
        assert {"deepphenomena.training.train", "deepphenomena.figures.lines"} <= expected
        assert 'api.html#deepphenomena.book.run.Run.train"' in page


def test_code_that_names_no_entry_is_left_alone(pages):
    page = (pages / "guide" / "write_a_chapter.html").read_text(encoding="utf-8")
    assert not re.search(r"<a [^>]*><code[^>]*><span class=\"pre\">(make|references\.bib|_toc\.yml)", page)


def test_a_term_is_found_over_a_line_break_and_the_longest_name_wins():
    glossary = prose_links.read_glossary("```{glossary}\nkernel\n  A.\n\ntangent kernel\nNTK\n  B.\n```\n")
    assert glossary.entry_of == {"kernel": 0, "tangent kernel": 1, "NTK": 1}
    found = [match.group() for match in glossary.pattern.finditer("Tangent\nkernels, a kernel, kernelled, NTKs, ntk.")]
    assert found == ["Tangent\nkernels", "kernel", "NTKs"]


def test_lines_of_a_paragraph_are_joined():
    paragraph = nodes.paragraph("", "", nodes.Text("a tangent"), nodes.Text("\n"), nodes.Text("kernel"), nodes.strong())
    document = nodes.section("", paragraph)
    assert [text.astext() for text in prose_links._prose(document)] == ["a tangent\nkernel"]
