"""The book's sources agree with each other, and its pages hold what they must, read as files."""

import html.parser
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import building
import nbformat
import pytest
import yaml
from pybtex.database import parse_file

from deepphenomena.book import cards, claims, cli, paper, records, results, tables

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text())
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
REPOSITORY = CONFIG["repository"]["url"]
BELOW = urlsplit(CONFIG["html"]["baseurl"]).path
PART_OF = {entry["file"]: part["caption"] for part in TOC["parts"] for entry in part["chapters"]}
CHAPTERS = {name for name in PART_OF if name.startswith("chapters/")}
LOADING = {"script", "img", "iframe", "source", "video", "audio", "embed"}  # tags whose `src` a browser fetches


class Page(html.parser.HTMLParser):
    """A page's links, the addresses it loads, its anchors and its images."""

    def __init__(self, file: Path):
        super().__init__()
        self.links, self.loads, self.anchors, self.images = [], [], set(), []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors.update(filter(None, [attributes.get("id"), attributes.get("name") if tag == "a" else None]))
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if tag in LOADING and attributes.get("src"):
            self.loads.append(attributes["src"])
        if tag == "link" and attributes.get("rel") not in ("canonical", "author"):
            self.loads.append(attributes["href"])
        if tag == "img":
            self.images.append(attributes)


@pytest.fixture(scope="module")
def read(pages) -> dict[Path, Page]:
    return {file: Page(file) for file in sorted(pages.rglob("*.html")) if "_static" not in file.parts}


def test_each_card_has_its_chapter_in_the_table_of_contents_and_the_reverse():
    assert {f"chapters/{cards.load(slug).part}/{slug}" for slug in cards.slugs()} == CHAPTERS
    for name in CHAPTERS:
        assert (ROOT / f"{name}.ipynb").is_file()


@pytest.mark.parametrize("name", sorted(CHAPTERS))
def test_a_chapter_stands_under_the_caption_of_its_part(name):
    assert PART_OF[name].lower().replace(" ", "-") == name.split("/")[1]


@pytest.mark.parametrize("slug", cards.slugs())
def test_a_chapters_paper_is_in_the_bibliography_and_cited(slug):
    paper = cards.load(slug).paper
    entry = parse_file(ROOT / "references.bib").entries[paper.bibtex]
    assert entry.fields["year"] == str(paper.year)
    assert re.sub(r"[{}]", "", entry.fields["title"]).lower() == paper.title.lower()
    cells = nbformat.read(cards.path(slug).with_suffix(".ipynb"), 4).cells
    assert any(f"`{paper.bibtex}`" in cell.source for cell in cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("slug", cards.slugs())
def test_a_chapters_stored_outputs_hold_no_warning_and_no_error(slug):
    cells = nbformat.read(cards.path(slug).with_suffix(".ipynb"), 4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert outputs, f"record the quick run: make record CHAPTER={slug}"
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


def test_every_entry_of_the_table_of_contents_is_a_page(pages):
    for name in [TOC["root"], *PART_OF]:
        assert "<h1>" in (pages / f"{name}.html").read_text(encoding="utf-8")


def test_the_repositorys_address_is_the_same_everywhere(read):
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["repository-code"] == REPOSITORY
    for file in ("README.md", "CONTRIBUTING.md"):
        addresses = re.findall(r"https://github\.com/[\w-]+/[\w.-]+?(?=\.git|[\s)/`])", (ROOT / file).read_text())
        assert set(addresses) <= {REPOSITORY}, file
    links = [link for page in read.values() for link in page.links if "/edit/" in link or "/issues/new" in link]
    assert links
    assert all(link.startswith(REPOSITORY + "/") for link in links)


@pytest.mark.parametrize("slug", cards.slugs())
def test_a_chapters_colab_link_opens_its_notebook_on_the_main_branch(slug, pages):
    card = cards.load(slug)
    chapter = Page(pages / "chapters" / card.part / f"{slug}.html")
    found = [link for link in chapter.links if link.startswith("https://colab.research.google.com/github/")]
    path = f"chapters/{card.part}/{slug}.ipynb"
    assert set(found) == {f"https://colab.research.google.com/github/{urlsplit(REPOSITORY).path[1:]}/blob/main/{path}"}
    assert (ROOT / path).is_file()


def test_no_page_loads_anything_from_another_host(read, pages):
    for file, page in read.items():
        outside = [load for load in page.loads if urlsplit(load).netloc]
        assert not outside, f"{file.name} loads {outside}"
    for sheet in pages.rglob("*.css"):
        outside = re.findall(r"(?:@import|url\()\s*['\"]?((?:https?:)?//[^'\")]+)", sheet.read_text(encoding="utf-8"))
        assert not outside, f"{sheet.name} loads {outside}"


def test_every_internal_link_leads_to_a_page_and_an_anchor_that_exist(read, pages):
    broken = []
    for file, page in read.items():
        for link in {*page.links, *page.loads}:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            below = file.parent
            if parts.path.startswith(BELOW):  # from the page for lost readers, which is served at any address
                below, parts = pages, parts._replace(path=parts.path.removeprefix(BELOW))
            target = (below / unquote(parts.path)).resolve() if parts.path else file
            lost = parts.fragment and target in read and unquote(parts.fragment) not in read[target].anchors
            if lost or not target.is_file():
                broken.append((file.name, link))
    assert not broken


def test_every_image_says_in_words_what_it_shows(read):
    for file, page in read.items():
        silent = [image["src"] for image in page.images if not image.get("alt", "").strip()]
        assert not silent, f"{file.name}: {silent}"


@pytest.mark.parametrize("slug", cards.slugs())
def test_a_chapters_page_shows_every_claim_check_and_recorded_run(slug, pages):
    card = cards.load(slug)
    text = (pages / "chapters" / card.part / f"{slug}.html").read_text(encoding="utf-8")
    shown = records.read(cards.path(slug).with_suffix(".ipynb"))
    for claim in card.claims:
        assert text.count(f'id="claim-{claim.id}"') == 1
    for measured in card.measured:
        assert text.count(f'id="measures-{measured.id}"') == 1, "how tested"
    for record in [shown, *results.all_recorded(card).values()]:
        assert f"{tables.run_name(record)}: seeds" in text
    assert f"{card.coverage.share[0]} of {len(card.coverage.items)} figures, tables and theorems" in text


def test_the_scorecard_links_every_claim_of_every_chapter(read, pages):
    links = set(read[pages / "scorecard.html"].links)
    for card in map(cards.load, cards.slugs()):
        for claim in card.claims:
            assert f"chapters/{card.part}/{card.slug}.html#claim-{claim.id}" in links


def test_the_guides_example_card_holds_together_and_explains_every_key():
    guide = (ROOT / "guide" / "write_a_chapter.md").read_text()
    example = re.search(r"```yaml\n(.*?)```", guide, re.DOTALL).group(1)
    cards.Card.model_validate(yaml.safe_load(example))
    for model in (
        cards.Card,
        cards.Power,
        cards.Precision,
        cards.Paper,
        cards.Parameter,
        cards.Rule,
        claims.Claim,
        claims.Check,
        claims.Expectation,
        claims.PaperNumber,
        paper.Coverage,
        paper.CoverageItem,
    ):
        for key in model.model_fields:
            assert re.search(rf"[ `{{-]{key}[:`]|^{key}:", guide, re.MULTILINE), f"{model.__name__}.{key}"


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", "guide/how_to_run.md", "guide/write_a_chapter.md"])
def test_every_command_that_a_page_names_exists(file):
    text = (ROOT / file).read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= targets
    assert set(re.findall(r"(?:^|`|/)deepphenomena ([a-z]+)", text, re.MULTILINE)) <= set(cli.command.commands)
    assert set(re.findall(r"CHAPTER=([a-z_]+)|deepphenomena run ([a-z_]+)", text)) <= {
        pair for slug in cards.slugs() for pair in ((slug, ""), ("", slug))
    }


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def figure(**metadata):
    bundle = {"image/png": PIXEL, "text/plain": "a figure"}
    return nbformat.v4.new_output("display_data", data=bundle, metadata={"image/png": metadata})


def record(content):
    bundle = {records.MIME: content, "text/html": "<b>stored html</b>", "text/plain": "stored text"}
    return nbformat.v4.new_output("display_data", data=bundle)


def test_a_figure_has_its_words_and_a_record_its_table_in_place_of_its_stored_html(tmp_path):
    slug = cards.slugs()[0]
    made = records.read(cards.path(slug).with_suffix(".ipynb"))
    shown = figure(alt="The loss rises, then falls.", width=640)
    status, messages, page = building.build_page(tmp_path, shown, record(made.to_json()))
    assert status == 0, messages
    assert 'alt="The loss rises, then falls."' in page
    assert "width: 640px" in page
    assert f'id="claim-{made.outcomes[0].id}"' in page
    assert "stored" not in page


def test_a_figure_without_words_or_a_broken_record_fails_the_build(tmp_path):
    status, messages, _ = building.build_page(
        tmp_path, figure(width=640), record({"slug": "no_such_chapter"}), record([])
    )
    assert status != 0
    assert "image without alternative text" in messages
    assert messages.count("record in index") == 2
