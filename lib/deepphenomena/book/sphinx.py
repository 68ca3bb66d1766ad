"""The Sphinx extension of the book: records, scorecard, captions of figures, and a local MathJax."""

import json
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from deepphenomena.book import (
    benchmarks,
    cards,
    citation,
    claims_table,
    figure_data,
    finding,
    gallery,
    live_figures,
    page_files,
    paper_figures,
    prose_links,
    records,
    results,
    runner,
    scorecard,
    site,
    stacked_figures,
    standing,
)
from deepphenomena.book.cards import Card
from deepphenomena.book.records import Record
from deepphenomena.runtime import paths
from deepphenomena.runtime.errors import InputError
from deepphenomena.runtime.typesetting import markup

_DRAWN = "deepphenomena_drawn_records"  # holds the records of a page until the headline below its title is written
_FIGURES = "deepphenomena_figures"  # number of captioned figures on the page so far
_SCORECARD = 'id="every-claim"'
_SCRIPTS = {  # of a page whose HTML has the mark
    _SCORECARD: ("filter.js", "scorecard.js"),
    'class="dp-gallery"': ("filter.js", "gallery.js"),
    "cell_input": ("code.js",),  # the switch that folds the code
}
_LOGGER = logging.getLogger(__name__)


class RecordRenderer:
    """The MyST-NB renderer of records: the table of claims, with the run of the page next to the recorded full run."""

    mime_priority_overrides = (("*", records.MIME, 1),)

    @staticmethod
    def handle_mime(renderer, data, inline: bool) -> list[nodes.Element] | None:
        """Return the nodes that show a record, or None for other outputs."""
        if inline or data.mime_type != records.MIME:
            return None
        env = renderer.renderer.sphinx_env
        try:
            shown = records.parse(data.content, env.docname)
            card = cards.load(shown.slug)
            by_preset, this = results.beside_recorded(card, shown)
        except InputError as error:
            _LOGGER.warning("%s", error, location=env.docname)
            return []
        env.note_dependency(str(cards.path(card.slug)))
        for preset in card.order:
            env.note_dependency(str(results.recorded_path(card.slug, preset)))
        env.temp_data[_DRAWN] = (card, by_preset)
        table = claims_table.claims_html(card, by_preset, this, repository=_repository(env.config))
        return [nodes.raw(text=table, format="html")]


class FigureRenderer:
    """The MyST-NB renderer of figures: the image with its alternative text and its numbered caption."""

    mime_priority_overrides = ()

    @staticmethod
    def handle_mime(renderer, data, inline: bool) -> list[nodes.Element] | None:
        """Return the figure, nothing for the caption that Jupyter shows below it, or None for other outputs."""
        metadata = data.output_metadata.get(data.mime_type, {})
        if inline:
            return None
        if metadata.get("caption_of_figure"):
            return []
        if not metadata.get("alt") or not data.mime_type.startswith("image/"):
            return None
        (image,) = renderer.render_image(data)
        image["alt"] = metadata["alt"]
        if not metadata.get("caption"):
            return [image]
        if data.mime_type == "image/svg+xml":
            image["classes"].append("dark-light")  # tells the theme that the image fits both and must not change
        env = renderer.renderer.sphinx_env
        env.temp_data[_FIGURES] = number = env.temp_data.get(_FIGURES, 0) + 1
        caption = nodes.raw(text=f" {markup(metadata['caption'])}", format="html")
        words = [nodes.strong(text=f"Figure {number}."), caption]
        words += figure_data.links(env.docname, metadata.get("origins", []))
        stack = metadata.get("stack")
        narrow = [stacked_figures.node(stack, metadata["alt"])] if stack else []
        return [nodes.figure("", image, *narrow, nodes.caption("", "", *words))]


def put_verdicts_first(app: Sphinx, doctree: nodes.document) -> None:
    """Add the verdicts of a chapter below its title, so that readers need not scroll to the table at the end."""
    drawn = app.env.temp_data.get(_DRAWN)
    title = next(doctree.findall(nodes.title), None)
    if drawn and title is not None:
        link = nodes.reference("", "Every claim, measured", refuri="#claims", internal=True)
        words = standing.chapter_headline(*drawn).capitalize()
        title.parent.insert(1, nodes.paragraph("", "", nodes.Text(f"{words}. "), link, classes=["dp-headline"]))
        title.parent.insert(2, nodes.raw(text=finding.box(*drawn), format="html"))
        paper_figures.describe(doctree, drawn[0])
        _add_citation(app, title.parent, *drawn)


def _add_citation(app: Sphinx, chapter: nodes.Element, card: Card, by_preset: dict[str, Record]) -> None:
    """Add the section on how to cite to a chapter with a recorded run, if the book has a repository."""
    recorded, repository = standing.recorded_runs(card, by_preset), _repository(app.config)
    bibliography = Path(app.srcdir) / "references.bib"
    if recorded and repository and bibliography.is_file():
        year = max(run.provenance.started.year for run in recorded)
        chapter.append(citation.section(card, bibliography.read_text(encoding="utf-8"), repository, year))
        app.env.note_dependency(str(bibliography))


def _repository(config: Config) -> str | None:
    """Return the address of the book's repository, or None for a book without one."""
    return config.html_theme_options.get("repository_url")


def require_alternative_text(app: Sphinx, doctree: nodes.document) -> None:
    """Warn about every image without alternative text. The book is built with warnings as errors."""
    for image in doctree.findall(nodes.image):
        if not image.get("alt", "").strip():
            _LOGGER.warning(
                "image without alternative text; show it with a function of deepphenomena.figures, which takes alt",
                location=image,
            )


class Scorecard(SphinxDirective):
    """`{scorecard}`: every claim of every chapter with its verdicts."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        return [nodes.raw(text=scorecard.as_html(_scores(self.env)), format="html")]


class RecordedRuns(SphinxDirective):
    """`{recorded-runs}`: time and hardware of each run that the book shows."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        return [nodes.raw(text=scorecard.runs_html(_scores(self.env)), format="html")]


class Benchmarks(SphinxDirective):
    """`{benchmarks}`: the recorded table of the library's speed."""

    def run(self) -> list[nodes.Node]:
        file = paths.data() / "results" / "benchmarks.json"
        self.env.note_dependency(str(file))
        if not file.is_file():
            return [nodes.paragraph(text="Not measured yet; run make bench to write the table.")]
        return [nodes.raw(text=benchmarks.benchmarks_html(json.loads(file.read_text())), format="html")]


class ScorecardHeadline(SphinxDirective):
    """`{scorecard-headline}`: the verdicts of record of all chapters that count."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        chapters = _scores(self.env)
        counted = [chapter for chapter in chapters if standing.counts_in_headline(*chapter)]
        number = f"{len(counted)} {'chapter' if len(counted) == 1 else 'chapters'}"
        words = f"{number}, {standing.headline(standing.tally(chapters))}."
        return [nodes.paragraph(text=words, classes=["dp-headline"])]


class Gallery(SphinxDirective):
    """`{gallery}`: a tile for each chapter. Only on the pages: the PDF has no files beside it."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        root = Path(self.env.srcdir)
        tiles = nodes.raw(
            text=gallery.gallery_html(
                _scores(self.env), root / "chapters", (root / "_toc.yml").read_text(encoding="utf-8") + "\n"
            ),
            format="html",
        )
        return [addnodes.only("", tiles, expr="builder_html")]


def mark_measurements(app: Sphinx, doctree: nodes.document) -> None:
    """Add the target of the link "how tested" to the cell that measures a claim."""
    for block in doctree.findall(nodes.literal_block):
        for measured in paper_figures.measured_in(block):
            name = f"measures-{measured}"
            if name not in doctree.ids:
                target = nodes.target("", "", ids=[name])
                block.parent.insert(block.parent.index(block), target)
                doctree.ids[name] = target


def _scores(env: BuildEnvironment) -> list[tuple[Card, dict[str, Record]]]:
    """Return cards and records of all chapters, from the notebooks of this book, so that scorecard and pages agree."""
    try:
        return runner.collect(Path(env.srcdir) / "chapters")
    except InputError as error:
        raise ExtensionError(str(error)) from None


def fix_bibliography(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Replace the deprecated role of bibliography entries by the one that screen readers expect in a list."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def equip(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Add to a page the scripts of what it shows."""
    shown = [mark for mark in _SCRIPTS if mark in context.get("body", "")]
    for script in dict.fromkeys(script for mark in shown for script in _SCRIPTS[mark]):
        app.add_js_file(script, loading_method="defer")


def write_scorecard(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Write the scorecard as JSON and as a badge beside the page that shows it."""
    if _SCORECARD in context.get("body", ""):
        scorecard.write(_scores(app.env), Path(app.outdir))


def write_gallery(app: Sphinx, exception: Exception | None) -> None:
    """Write the figures of the gallery beside the pages."""
    if exception is None and app.builder.name == "html" and (Path(app.srcdir) / "chapters").is_dir():
        gallery.write_figures(map(cards.load, cards.slugs()), Path(app.srcdir) / "chapters", Path(app.outdir))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension. Sphinx calls this function."""
    app.add_directive("scorecard", Scorecard)
    app.add_directive("scorecard-headline", ScorecardHeadline)
    app.add_directive("recorded-runs", RecordedRuns)
    app.add_directive("gallery", Gallery)
    app.add_directive("benchmarks", Benchmarks)
    stacked_figures.register(app)
    app.connect("config-inited", page_files.serve_own_files)
    app.connect("config-inited", site.use_one_address)
    app.connect("doctree-read", prose_links.link_terms, priority=400)  # before the headline, which is no prose
    app.connect("doctree-read", prose_links.link_names, priority=400)
    app.connect("doctree-read", put_verdicts_first)
    app.connect("doctree-read", live_figures.insert)
    app.connect("doctree-read", mark_measurements)
    app.connect("doctree-read", require_alternative_text)
    app.connect("html-page-context", fix_bibliography)
    app.connect("html-page-context", equip)
    app.connect("html-page-context", write_scorecard)
    app.connect("html-page-context", live_figures.equip)
    app.connect("html-page-context", site.describe_page, priority=400)  # before the extension for OpenGraph reads it
    app.connect("build-finished", page_files.copy_mathjax)
    app.connect("build-finished", page_files.lighten)
    app.connect("build-finished", figure_data.write)
    app.connect("build-finished", write_gallery)
    app.connect("build-finished", page_files.finish_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
