"""Links that the build adds to prose: from a term to the glossary, and from a name of the library to its reference."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

_GLOSSARY, _REFERENCE = "guide/glossary.md", "guide/api.md"
_RUN = "deepphenomena.book.run.Run"  # what chapters call `run`
# No link is added inside these.
_CLOSED = (nodes.title, nodes.caption, nodes.reference, nodes.literal, nodes.math, addnodes.pending_xref)
_CLOSED_TO_TERMS = (*_CLOSED, nodes.table, nodes.term)
_NAME = re.compile(r"([a-z_]\w*)\.(\w+(?:\.\w+)*)(?:\(.*\))?", re.DOTALL)


class Glossary(NamedTuple):
    """The terms of the glossary.

    Attributes:
        entry_of: the number of the entry of each name. Names of one thing share an entry.
        pattern: matches a name in prose. The group that matches tells which of `names`.
        names: in the order of the groups.
    """

    entry_of: dict[str, int]
    pattern: re.Pattern[str]
    names: list[str]


def read_glossary(source: str) -> Glossary:
    """Read the names of a glossary: the lines that are not indented in its `{glossary}` blocks.

    Example:
        >>> glossary = read_glossary("```{glossary}\\ndepth scale\\n  A length.\\n\\nNTK\\nkernel\\n  A kernel.\\n```")
        >>> glossary.entry_of
        {'depth scale': 0, 'NTK': 1, 'kernel': 1}
        >>> glossary.pattern.search("two depth\\nscales").group()
        'depth\\nscales'
    """
    blocks = re.findall(r"^```\{glossary\}\n(.*?)^```", source, re.DOTALL | re.MULTILINE)
    entry_of: dict[str, int] = {}
    entry, previous = -1, " "
    for line in "\n\n".join(blocks).splitlines():
        if line.strip() and not line.startswith((" ", ":")):
            entry += not previous.strip() or previous.startswith(" ")
            entry_of[line.strip()] = entry
        previous = line
    names = sorted(entry_of, key=len, reverse=True)  # the longest name that matches wins
    return Glossary(entry_of, re.compile("|".join(f"({_as_pattern(name)})" for name in names) or r"(?!)"), names)


def _as_pattern(name: str) -> str:
    """Return a pattern for a name in the singular or plural, at the start of a sentence or not."""
    words = r"[\s-]+".join(map(re.escape, re.split(r"[\s-]+", name)))
    first = f"[{name[0].lower()}{name[0].upper()}]" if name[:2].islower() else re.escape(name[0])
    return rf"(?<![\w-]){first}{words[1:]}(?:s|es)?(?![\w-])"


def link_terms(app: Sphinx, doctree: nodes.document) -> None:
    """Link the first use of each term in the prose of a chapter to the glossary."""
    file = Path(app.srcdir) / _GLOSSARY
    if not app.env.docname.startswith("chapters/") or not file.is_file():
        return
    app.env.note_dependency(str(file))
    glossary = read_glossary(file.read_text(encoding="utf-8"))
    linked: set[int] = set()
    for text in list(_prose(doctree)):
        text.parent.replace(text, _with_links(text, glossary, linked))


def _with_links(text: nodes.Text, glossary: Glossary, linked: set[int]) -> list[nodes.Node]:
    parts: list[nodes.Node] = []
    words, end = text.astext(), 0
    for found in glossary.pattern.finditer(words):
        name = glossary.names[found.lastindex - 1]
        if glossary.entry_of[name] in linked:
            continue
        linked.add(glossary.entry_of[name])
        parts += [nodes.Text(words[end : found.start()]), _pending("std", "term", name, _term(found.group()))]
        end = found.end()
    return [*parts, nodes.Text(words[end:])]


def _term(words: str) -> nodes.inline:
    return nodes.inline("", words, classes=["dp-term"])


def _pending(domain: str, role: str, target: str, shown: nodes.Node) -> addnodes.pending_xref:
    return addnodes.pending_xref("", shown, refdomain=domain, reftype=role, reftarget=target, refexplicit=True)


def _prose(doctree: nodes.document) -> Iterator[nodes.Text]:
    """Yield the texts of the paragraphs to which a link may be added, with the lines of a paragraph joined."""
    for paragraph in list(doctree.findall(nodes.paragraph)):
        if not _stands_in(paragraph, _CLOSED_TO_TERMS):
            for part in [paragraph, *paragraph.findall(nodes.Inline)]:
                _join_lines(part)
            yield from (text for text in paragraph.findall(nodes.Text) if not _stands_in(text, _CLOSED_TO_TERMS))


def _join_lines(parent: nodes.Element) -> None:
    """Join neighboring texts: a line break in the source separates them, and may stand inside a term."""
    for text in [child for child in parent.children if isinstance(child, nodes.Text)]:
        place = parent.index(text)
        if place and isinstance(parent.children[place - 1], nodes.Text):
            joined = nodes.Text(parent.children[place - 1].astext() + text.astext())
            parent.remove(text)
            parent.replace(parent.children[place - 1], joined)


def _stands_in(node: nodes.Node | None, kinds: tuple[type[nodes.Node], ...]) -> bool:
    return node is not None and (isinstance(node, kinds) or _stands_in(node.parent, kinds))


def link_names(app: Sphinx, doctree: nodes.document) -> None:
    """Link names of the library in inline code to the API reference. Sphinx leaves the names without an entry alone."""
    file = Path(app.srcdir) / _REFERENCE
    if not file.is_file():
        return
    app.env.note_dependency(str(file))
    modules = re.findall(r"automodule:: (\S+)", file.read_text(encoding="utf-8"))
    for code in list(doctree.findall(nodes.literal)):
        name = full_name(code.astext(), modules)
        if name and not _stands_in(code.parent, _CLOSED):
            code.parent.replace(code, _pending("py", "obj", name, code.deepcopy()))


def full_name(code: str, modules: Sequence[str]) -> str | None:
    """Return the full name of what inline code names, with or without a call, or None if it is none of the library.

    Example:
        >>> full_name("training.grid(seed=run.seeds)", ["deepphenomena.training"])
        'deepphenomena.training.grid'
        >>> full_name("run.seeds", [])
        'deepphenomena.book.run.Run.seeds'
        >>> full_name("jax.grad", ["deepphenomena.training"])
    """
    found = _NAME.fullmatch(code)
    if found is None:
        return None
    first, rest = found.groups()
    whole = {module.rpartition(".")[2]: module for module in modules} | {"run": _RUN, "deepphenomena": "deepphenomena"}
    return f"{whole[first]}.{rest}" if first in whole else None
