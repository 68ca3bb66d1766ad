"""The tables of the records as CSV, linked below the figures that draw them."""

import pandas as pd
import pytest
from docutils import nodes
from reading import each_chapter, path

from deepphenomena.book import cards, figure_data, results

SLUGS = cards.slugs()


@pytest.mark.parametrize("slug", SLUGS)
def test_every_recorded_table_is_a_csv_file_beside_the_pages(slug, pages):
    for preset, record in results.all_recorded(cards.load(slug)).items():
        for name, columns in record.series.items():
            kept = pd.read_csv(pages / "_data" / slug / f"{name}-{preset}.csv", keep_default_na=False, na_values=[""])
            wanted = pd.DataFrame(columns)
            pd.testing.assert_frame_equal(kept, wanted, check_dtype=False)


@each_chapter
def test_the_figures_of_a_chapter_link_the_tables_that_they_draw(card, page, address):
    page.goto(f"{address}/{path(card)}")
    links = page.locator("figcaption a[href$='.csv']")
    assert links.count() >= 2
    for link in links.all():
        assert page.request.get(link.evaluate("link => link.href")).status == 200


def test_only_what_is_recorded_is_linked():
    page = f"chapters/part/{SLUGS[0]}"
    (name, *_) = results.recorded(SLUGS[0], "quick").series
    (linked,) = figure_data.links(page, [[name, "quick"], ["no_such_series", "quick"], [name, "smoke"]])
    (link,) = linked.findall(nodes.reference)
    assert link.astext() == "quick"
    assert link["refuri"] == f"../../_data/{SLUGS[0]}/{name}-quick.csv"
    assert figure_data.links(page, [["no_such_series", "quick"]]) == []
    assert figure_data.links("guide/how_to_run", [[name, "quick"]]) == []
