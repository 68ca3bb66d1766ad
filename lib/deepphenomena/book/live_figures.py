"""Live figures: a figure below a chapter's introduction that a script of the book's own draws and readers move.

A chapter has one if `static/live/` holds `<slug>.js`, which draws it, and `<slug>.yaml`, with its words and the
recorded tables that it shows. `static/live.js` has the controls and axes. A page without the two files loads nothing.
"""

import html
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import pydantic
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from deepphenomena.book import cards, figure_data, results
from deepphenomena.book.records import Record
from deepphenomena.runtime import documents, text
from deepphenomena.runtime.errors import InputError
from deepphenomena.runtime.statistics import estimate

_FOLDER = Path(__file__).parent / "static" / "live"
_DIGITS = 4  # significant digits of a number that is drawn
LARGEST = 15_000  # bytes of data in a page


class Shown(pydantic.BaseModel):
    """A recorded table that a figure shows: mean and interval over seeds of a value, by other columns in order."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    value: str
    by: list[str]


class Words(pydantic.BaseModel):
    """The content of `<slug>.yaml`.

    Attributes:
        label: the name of the figure for those who cannot see it.
        caption: what to move and what to see.
        fallback: what stands in the place of the figure where no script runs.
        data: {series: what to show of it}, from the recorded run nearest the paper that has all of them.
        parameters: the parameters of that run that the figure names.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    label: str
    caption: str
    fallback: str
    data: dict[str, Shown] = {}
    parameters: list[str] = []


def words(slug: str) -> Words | None:
    """Return the words of a chapter's live figure, or None for a chapter without one.

    Raise InputError if the file does not say what it must, or if one of the two files is missing.
    """
    file, script = _FOLDER / f"{slug}.yaml", _FOLDER / f"{slug}.js"
    if not file.is_file() and not script.is_file():
        return None
    if not script.is_file():
        raise InputError(f"live figure {file}: the script {script.name} that draws it is missing; add it")
    thing = f"live figure {file}"
    try:
        return Words.model_validate(text.from_yaml(text.read(file, thing), thing))
    except pydantic.ValidationError as error:
        raise InputError(f"{thing}: {documents.explain(error, Words)}") from None


def data(slug: str, figure: Words) -> tuple[Record | None, dict[str, Any]]:
    """Return (the run shown, {series: nested {label: ... [mean, low, high]}, "parameters": values}).

    The ends of an interval are None where it has fewer than three seeds. Raise InputError if no recorded run has the
    tables, or if the data are too large for a page.
    """
    if not figure.data:
        return None, {}
    recorded = results.all_recorded(cards.load(slug))
    run = next((run for run in reversed(recorded.values()) if figure.data.keys() <= run.series.keys()), None)
    if run is None:
        raise InputError(
            f"live figure of {slug}: no recorded run has the series {', '.join(figure.data)}; correct data:"
        )
    shown = {name: _nested(pd.DataFrame(run.series[name]), table) for name, table in figure.data.items()}
    shown["parameters"] = {name: run.parameters[name] for name in figure.parameters}
    size = len(_as_json(shown))
    if size > LARGEST:
        raise InputError(f"live figure of {slug}: {size:,} bytes of data, at most {LARGEST:,}; show fewer series")
    return run, shown


def _nested(frame: pd.DataFrame, table: Shown) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for labels, values in frame.groupby(table.by, sort=False)[table.value]:
        level = nested
        for label in labels[:-1]:
            level = level.setdefault(str(label), {})
        found = estimate(values.to_numpy())
        level[str(labels[-1])] = [_rounded(number) for number in (found.mean, found.low, found.high)]
    return nested


def _rounded(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.{_DIGITS}g}")


def figure_html(slug: str, figure: Words, up: str) -> str:
    """Return a chapter's live figure as HTML. `up` leads from the page to the folder of the pages."""
    run, shown = data(slug, figure)
    caption = html.escape(figure.caption)
    if run is not None:
        links = ", ".join(
            f'<a href="{up}{figure_data.path(slug, name, run.preset)}">{name}</a>' for name in figure.data
        )
        caption += f" {_source(run)} Data (CSV): {links}."
    content = _as_json(shown).replace("<", "\\u003c")  # no text of the data ends the script
    return (
        f'<figure class="dp-live" aria-label="{html.escape(figure.label)}">'
        f'<div class="dp-live-stage"><p>{html.escape(figure.fallback)}</p></div>'
        f'<script type="application/json">{content}</script><figcaption>{caption}</figcaption></figure>'
    )


def _source(run: Record) -> str:
    datasets = html.escape(", ".join(dict.fromkeys(use.name for use in run.datasets)))
    attempt = f", attempt {run.attempt}" if run.attempt > 1 else ""
    return f"Recorded {run.preset} run{attempt}, on {datasets}; mean and 95% interval over {len(run.seeds)} seeds."


def _as_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def insert(app: Sphinx, doctree: nodes.document) -> None:
    """Add the live figure of a chapter after its introduction: before the first code and the first section."""
    page = app.env.docname
    slug = PurePosixPath(page).name
    figure = words(slug) if slug in cards.slugs() else None
    title = next(doctree.findall(nodes.title), None)
    if figure is None or title is None:
        return
    app.env.note_dependency(str(_FOLDER / f"{slug}.yaml"))
    for preset in cards.load(slug).order:
        app.env.note_dependency(str(results.recorded_path(slug, preset)))
    chapter = title.parent
    after = (at for at, node in enumerate(chapter) if isinstance(node, nodes.section) or "cell" in node["classes"])
    place = next(after, len(chapter))
    drawn = nodes.raw(text=figure_html(slug, figure, "../" * page.count("/")), format="html")
    chapter.insert(place, addnodes.only("", drawn, expr="builder_html"))  # the PDF runs no script


def equip(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Add style and scripts to the pages with a live figure."""
    if '<figure class="dp-live"' in context.get("body", ""):
        app.add_css_file("live.css")
        app.add_js_file("live.js", loading_method="defer")
        app.add_js_file(f"live/{PurePosixPath(page).name}.js", loading_method="defer")
