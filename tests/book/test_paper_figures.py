"""The paper's figure in words below ours: taken from the coverage, by the claims measured in the same section."""

from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.utils import new_document
from reading import each_chapter, path

from deepphenomena.book import cards, paper_figures

CARD = cards.load("maml_anil")


def section(*measured):
    """A section with a figure and with code that measures claims."""
    code = [nodes.literal_block("", f"run.measure('{name}', values)") for name in measured]
    return nodes.section("", nodes.figure("", nodes.image(), nodes.caption("", "Ours.")), *code)


def captions(*sections):
    document = new_document("page", get_default_settings())
    document += list(sections)
    paper_figures.describe(document, CARD)
    return [caption.astext() for caption in document.findall(nodes.caption)]


def test_a_figure_names_the_figures_of_the_paper_for_the_claims_of_its_own_section():
    outer = section("frozen_body")
    outer += section("bodies_alike")
    first, second = captions(outer)
    item = next(item for item in CARD.coverage.items if item.item == "Table 3")
    assert f"Table 3: {item.shows.removesuffix('.')}" in second
    assert "Table 3" not in first
    assert "Table 1" in first


def test_a_section_stands_in_where_no_figure_shows_the_claims():
    assert "Section 4: " in captions(section("anil_training_speed"))[0]


def test_a_section_that_measures_nothing_names_nothing():
    assert captions(section()) == ["Ours."]


@each_chapter
def test_most_figures_of_a_chapter_stand_beside_one_of_the_paper(card, page, address):
    page.goto(f"{address}/{path(card)}")
    described = page.locator("figcaption", has_text="In the paper, ").count()
    seen = any(item.item.startswith(("Figure", "Table")) and item.claims for item in card.coverage.items)
    assert described >= (page.locator("figcaption").count() / 2 if seen else 1), (
        "of a paper whose figures were seen, most"
    )
