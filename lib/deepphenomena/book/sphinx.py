"""The book's part of Sphinx: records and scorecard drawn on its pages, words for its figures, its own MathJax."""

import importlib.resources
import json
import re
import shutil
from pathlib import Path

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from deepphenomena.book import benchmarks, cards, claims_table, records, results, runner, scorecard, standing
from deepphenomena.book.cards import Card
from deepphenomena.book.records import Record
from deepphenomena.runtime import paths
from deepphenomena.runtime.errors import InputError

_STATIC = Path(__file__).parent / "static"
_DRAWN = "deepphenomena_drawn_records"  # where a page's records wait, while it is read, for the line under its title
_FIGURES = "deepphenomena_figures"  # how many captioned figures the page has so far
_LOGGER = logging.getLogger(__name__)

# What a page with TeX can ask of MathJax: itself, TeX extensions, fonts, and the speech that its menu can switch on.
_MATHJAX = ("tex-chtml.js", "input/tex/extensions", "output/chtml/fonts/woff-v2", "a11y", "sre")


class RecordRenderer:
    """MyST-NB's renderer for a record: the table of claims, the page's own run beside the recorded full run."""

    mime_priority_overrides = (("*", records.MIME, 1),)

    @staticmethod
    def handle_mime(renderer, data, inline: bool) -> list[nodes.Element] | None:
        """The nodes that show a record, or None for an output that is none."""
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
        return [nodes.raw(text=claims_table.claims_html(card, by_preset, this), format="html")]


class FigureRenderer:
    """MyST-NB's renderer for a figure: the image with its words and its numbered caption, as `figures` left them."""

    mime_priority_overrides = ()

    @staticmethod
    def handle_mime(renderer, data, inline: bool) -> list[nodes.Element] | None:
        """The figure, nothing for the caption that Jupyter shows below it, or None for any other output."""
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
            image["classes"].append("dark-light")  # the theme's word for an image that fits both: it is left as it is
        env = renderer.renderer.sphinx_env
        env.temp_data[_FIGURES] = number = env.temp_data.get(_FIGURES, 0) + 1
        words = [nodes.strong(text=f"Figure {number}."), nodes.Text(f" {metadata['caption']}")]
        return [nodes.figure("", image, nodes.caption("", "", *words))]


def put_verdicts_first(app: Sphinx, doctree: nodes.document) -> None:
    """Say under a chapter's title how its claims stand: a reader need not scroll to the table at the end."""
    drawn = app.env.temp_data.get(_DRAWN)
    title = next(doctree.findall(nodes.title), None)
    if drawn and title is not None:
        link = nodes.reference("", "Every claim, measured", refuri="#claims", internal=True)
        words = standing.chapter_headline(*drawn).capitalize()
        title.parent.insert(1, nodes.paragraph("", "", nodes.Text(f"{words}. "), link, classes=["dp-headline"]))


def require_alternative_text(app: Sphinx, doctree: nodes.document) -> None:
    """Warn of every image without words for those who cannot see it; the book is built with warnings as errors."""
    for image in doctree.findall(nodes.image):
        if not image.get("alt", "").strip():
            _LOGGER.warning(
                "image without alternative text; show it by a function of deepphenomena.figures, which takes alt",
                location=image,
            )


class Scorecard(SphinxDirective):
    """`{scorecard}`: every claim of every chapter with its verdicts."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        return [nodes.raw(text=scorecard.as_html(_scores(self.env)), format="html")]


class RecordedRuns(SphinxDirective):
    """`{recorded-runs}`: what each run that the book shows took, and on what."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        return [nodes.raw(text=scorecard.runs_html(_scores(self.env)), format="html")]


class Benchmarks(SphinxDirective):
    """`{benchmarks}`: the recorded table of the library's speed."""

    def run(self) -> list[nodes.Node]:
        file = paths.data() / "results" / "benchmarks.json"
        self.env.note_dependency(str(file))
        if not file.is_file():
            return [nodes.paragraph(text="Not yet measured here; make bench writes the table.")]
        return [nodes.raw(text=benchmarks.benchmarks_html(json.loads(file.read_text())), format="html")]


class ScorecardHeadline(SphinxDirective):
    """`{scorecard-headline}`: how claims stand by their verdicts of record, in all and chapter by chapter."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        chapters = _scores(self.env)
        counted = [chapter for chapter in chapters if standing.counts_in_headline(*chapter)]
        number = f"{len(counted)} {'chapter' if len(counted) == 1 else 'chapters'}"
        lines = [f"{number}, {standing.headline(standing.tally(chapters))}"]
        for card, by_preset in chapters:
            tested, total = card.coverage.share
            lines.append(
                f"{card.title}: {standing.chapter_headline(card, by_preset)}; "
                f"{tested} of {total} figures, tables and theorems tested"
            )
        items = [nodes.list_item("", nodes.paragraph(text=line)) for line in lines]
        return [nodes.bullet_list("", *items, classes=["dp-headline"])]


def mark_measurements(app: Sphinx, doctree: nodes.document) -> None:
    """Give the cell that measures a claim the address that "how tested" links to."""
    for block in doctree.findall(nodes.literal_block):
        for measured in re.findall(r"run\.(?:measure|compare)\(\s*[\"'](\w+)[\"']", block.astext()):
            name = f"measures-{measured}"
            if name not in doctree.ids:
                target = nodes.target("", "", ids=[name])
                block.parent.insert(block.parent.index(block), target)
                doctree.ids[name] = target


def _scores(env: BuildEnvironment) -> list[tuple[Card, dict[str, Record]]]:
    """The chapters' cards and records, the notebooks of this very book first: scorecard and pages never disagree."""
    try:
        return runner.collect(Path(env.srcdir) / "chapters")
    except InputError as error:
        raise ExtensionError(str(error)) from None


def serve_own_files(app: Sphinx, config) -> None:
    """Point the pages at the book's own style sheet, icon and MathJax."""
    config.html_static_path.append(str(_STATIC))
    config.html_favicon = str(_STATIC / "icon.svg")
    config.mathjax_path = "mathjax/tex-chtml.js"
    app.add_css_file("book.css")


def mend_bibliography(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Call the entries of a bibliography what screen readers expect in a list; docutils' own word was withdrawn."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def equip_scorecard(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Give the page with the scorecard the script that filters it, and lay it beside as JSON and as a badge."""
    if 'id="every-claim"' in context.get("body", ""):
        app.add_js_file("scorecard.js", loading_method="defer")
        scorecard.write(_scores(app.env), Path(app.outdir))


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Lay MathJax beside the pages: a reader of the book asks nothing of any other host."""
    if exception is not None or app.builder.format != "html":
        return
    source = Path(str(importlib.resources.files("mathjax"))) / "static" / "mathjax" / "es5"
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in _MATHJAX:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / part, target / part)


def lighten(app: Sphinx, exception: Exception | None) -> None:
    """Make the pages light: figures in 256 chosen colours, a quarter of the bytes, and no icon sent twice."""
    if exception is not None or app.builder.format != "html":
        return
    for file in (Path(app.outdir) / app.builder.imagedir).glob("*.png"):
        with Image.open(file) as image:
            if image.mode in ("RGB", "RGBA") and image.convert("RGBA").getextrema()[3] == (255, 255):
                # One round of k-means: each colour becomes the mean of the pixels that it stands for.
                image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1).save(file, optimize=True)
    # The theme brings its icons as fonts, which its style sheet uses, and once more as a script of 1.5 MB.
    icons = Path(app.outdir) / "_static" / "scripts" / "fontawesome.js"
    if icons.is_file():
        icons.write_text("")


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry."""
    app.add_directive("scorecard", Scorecard)
    app.add_directive("scorecard-headline", ScorecardHeadline)
    app.add_directive("recorded-runs", RecordedRuns)
    app.add_directive("benchmarks", Benchmarks)
    app.connect("config-inited", serve_own_files)
    app.connect("doctree-read", put_verdicts_first)
    app.connect("doctree-read", mark_measurements)
    app.connect("doctree-read", require_alternative_text)
    app.connect("html-page-context", mend_bibliography)
    app.connect("html-page-context", equip_scorecard)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", lighten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
