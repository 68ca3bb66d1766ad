"""The parameters cell of a notebook, generated from its card, so that a parameter is declared once."""

import json
from pathlib import Path

from deepphenomena.book import cards
from deepphenomena.book.cards import QUICK, Card
from deepphenomena.runtime import documents
from deepphenomena.runtime.errors import InputError


def source(card: Card) -> str:
    """The cell: the preset, then one annotated literal for each parameter, with its help and unit as a comment.

    papermill reads types and help from it.
    """
    lines = [f'preset: str = "{QUICK}"  # one of {", ".join([QUICK, *card.presets])}']
    for name, parameter in card.parameters.items():
        kind = parameter.type.split("[")[0]
        unit = f" ({parameter.unit})" if parameter.unit else ""
        lines.append(f"{name}: {kind} = {_literal(parameter.check(parameter.default))}  # {parameter.help}{unit}")
    return "\n".join(lines)


def write(slug: str) -> Path:
    """Write the cell into a chapter's notebook; return the notebook's path.

    Raises:
        InputError: an unknown chapter, or a notebook without a cell tagged `parameters`.
    """
    notebook = cards.path(slug).with_suffix(".ipynb")
    content = json.loads(notebook.read_text(encoding="utf-8"))
    cells = [cell for cell in content["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    if len(cells) != 1:
        raise InputError(f"notebook {notebook}: {len(cells)} cells are tagged parameters; tag exactly one")
    cells[0]["source"] = source(cards.load(slug)).splitlines(keepends=True)
    documents.write_whole(notebook, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return notebook


def _literal(value: object) -> str:
    """A value as Python writes it, text in the double quotes of the house."""
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
