"""How to cite a chapter: BibTeX entries of the paper and of the chapter, at the end of its page."""

import re

from docutils import nodes

from deepphenomena.book.cards import Card


def section(card: Card, bibliography: str, repository: str, year: int) -> nodes.section:
    """Return the section "How to cite" with both entries, which the page offers to copy.

    Args:
        card: the card of the chapter.
        bibliography: the text of `references.bib`.
        repository: the address of the book's repository.
        year: of the newest recorded run.
    """
    entries = [entry for entry in (_of_paper(card, bibliography), _of_chapter(card, repository, year)) if entry]
    text = "\n\n".join(entries)
    block = nodes.literal_block(text, text, language="bibtex")
    return nodes.section("", nodes.title(text="How to cite"), block, ids=["how-to-cite"], names=["how to cite"])


def _of_paper(card: Card, bibliography: str) -> str:
    """Return the entry of the paper, or nothing if the bibliography lacks it."""
    found = re.search(rf"^@\w+\{{{re.escape(card.paper.bibtex)},.*?^\}}", bibliography, re.DOTALL | re.MULTILINE)
    return found[0] if found else ""


def _of_chapter(card: Card, repository: str, year: int) -> str:
    return (
        f"@misc{{deep_phenomena_{card.slug},\n"
        f"  title        = {{{card.title}}},\n"
        "  author       = {{The Deep Phenomena authors}},\n"
        "  howpublished = {Deep Phenomena, a book of reproductions},\n"
        f"  year         = {{{year}}},\n"
        f"  url          = {{{repository}/blob/main/chapters/{card.part}/{card.slug}.ipynb}}\n"
        "}"
    )
