"""Create a new chapter: a valid card and a notebook that runs, to be replaced."""

import re
from pathlib import Path

from deepphenomena.book import cards
from deepphenomena.book.paper import arxiv_number
from deepphenomena.runtime import paths
from deepphenomena.runtime.documents import write_whole
from deepphenomena.runtime.errors import InputError

_TEMPLATE = Path(__file__).parent / "chapter_template"
_GUIDES = "  - caption: The book"  # the last part of the contents
_SLUG = re.compile(r"[a-z][a-z0-9_]*")
_PART = re.compile(r"[a-z]+(-[a-z]+)*")


def write(slug: str, *, paper: str, part: str) -> Path:
    """Write the card, the notebook and the mutations of a chapter, and its entries in `_toc.yml` and `references.bib`.

    The template measures a small real quantity, so that the new chapter runs and appears in the book. Replace every
    line of it.

    Args:
        slug: the name of the chapter and its files.
        paper: the arXiv number, for example `arXiv:1806.05393`.
        part: the part of the book, as a folder name, for example `training-dynamics`.

    Returns:
        The path of the card.

    Raises:
        InputError: an invalid or existing name, an impossible arXiv number, or no clone to write into.
    """
    root = paths.repository()
    if root is None:
        raise InputError("a new chapter needs a clone of the repository; clone it and run its .venv/bin/deepphenomena")
    if not _SLUG.fullmatch(slug):
        raise InputError(f"chapter '{slug}': small letters, digits and underscores only, for example deep_bootstrap")
    if slug in cards.slugs():
        raise InputError(f"chapter '{slug}' already exists ({cards.path(slug)}); choose another name")
    if not _PART.fullmatch(part):
        raise InputError(f"part '{part}': small words joined by hyphens, for example training-dynamics")
    try:
        number = arxiv_number(re.sub("^arxiv:", "", paper.strip(), flags=re.IGNORECASE))
    except ValueError as problem:
        raise InputError(f"paper: {problem}; give for example --paper arXiv:1806.05393") from None
    words = {"slug": slug, "part": part, "arxiv": number}
    card = root / "chapters" / part / f"{slug}.yaml"
    write_whole(card.with_suffix(".ipynb"), filled("notebook.ipynb", **words))
    write_whole(card.with_suffix(".mutations.yml"), filled("mutations.yml", **words))
    write_whole(root / "_toc.yml", _with_chapter((root / "_toc.yml").read_text(encoding="utf-8"), part, slug))
    references = (root / "references.bib").read_text(encoding="utf-8")
    write_whole(root / "references.bib", f"{references.rstrip()}\n\n{filled('reference.bib', **words)}")
    write_whole(card, filled("card.yaml", **words))
    return card


def filled(name: str, *, slug: str, part: str, arxiv: str) -> str:
    """Return a file of the template for a chapter."""
    words = {"SLUG": slug, "PART": part, "ARXIV": arxiv, "YEAR": f"20{arxiv[:2]}"}
    text = (_TEMPLATE / name).read_text(encoding="utf-8")
    return re.sub("|".join(words), lambda found: words[found[0]], text)


def _with_chapter(toc: str, part: str, slug: str) -> str:
    """Return the table of contents with the chapter at the end of its part. A new part comes before the guides."""
    caption, entry = f"  - caption: {part.replace('-', ' ').capitalize()}", f"      - file: chapters/{part}/{slug}"
    lines = toc.rstrip().splitlines()
    if caption not in lines:
        guides = lines.index(_GUIDES) if _GUIDES in lines else len(lines)
        lines[guides:guides] = [caption, "    chapters:"]
    start = lines.index(caption) + 2
    ends = (place for place, line in enumerate(lines[start:], start) if line.startswith("  - caption:"))
    lines.insert(next(ends, len(lines)), entry)
    return "\n".join(lines) + "\n"
