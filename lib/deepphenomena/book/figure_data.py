"""The data of the figures on the pages: a CSV file of every recorded table, linked below the figures that draw it."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pandas as pd
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from deepphenomena.book import cards, results

_FOLDER = "_data"


def links(page: str, origins: Sequence[Sequence[str]]) -> list[nodes.Node]:
    """Return the words "Data (CSV): quick, full." with a link for each recorded (series, preset), or nothing."""
    slug = PurePosixPath(page).name
    if slug not in cards.slugs():
        return []
    recorded = results.all_recorded(cards.load(slug))
    kept = [(name, preset) for name, preset in origins if preset in recorded and name in recorded[preset].series]
    if not kept:
        return []
    up = "../" * page.count("/")
    words: list[nodes.Node] = [nodes.Text(" Data (CSV): ")]
    for number, (name, preset) in enumerate(kept):
        words += [nodes.Text(", ")] if number else []
        words.append(nodes.reference("", preset, refuri=f"{up}{path(slug, name, preset)}", internal=True))
    words.append(nodes.Text("."))
    return [addnodes.only("", *words, expr="builder_html")]  # the PDF has no files beside it


def write(app: Sphinx, exception: Exception | None) -> None:
    """Write every table of every record as CSV beside the pages."""
    if exception is not None or app.builder.name != "html":
        return
    for slug in cards.slugs():
        for preset, record in results.all_recorded(cards.load(slug)).items():
            for name, columns in record.series.items():
                file = Path(app.outdir) / path(slug, name, preset)
                file.parent.mkdir(parents=True, exist_ok=True)
                pd.DataFrame(columns).to_csv(file, index=False)


def path(slug: str, name: str, preset: str) -> str:
    """Return where the CSV file of a recorded table stands, from the folder of the pages."""
    return f"{_FOLDER}/{slug}/{name}-{preset}.csv"
