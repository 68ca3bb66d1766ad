"""The parameters cell of a notebook, generated from its card, so that parameters are declared once."""

import json
import re
from pathlib import Path
from typing import Any

from deepphenomena.book import cards
from deepphenomena.book.cards import QUICK, Card
from deepphenomena.runtime import documents, text
from deepphenomena.runtime.errors import InputError


def source(card: Card) -> str:
    """Return the cell: the preset, then one annotated literal per parameter, with help and unit as a comment.

    papermill reads types and help from it.
    """
    lines = [f'preset: str = "{QUICK}"  # one of {", ".join([QUICK, *card.presets])}']
    for name, parameter in card.parameters.items():
        kind = parameter.type.split("[")[0]
        unit = f" ({parameter.unit})" if parameter.unit else ""
        lines.append(f"{name}: {kind} = {_literal(parameter.check(parameter.default))}  # {parameter.help}{unit}")
    return "\n".join(lines)


def write(slug: str) -> Path:
    """Write the cell into the notebook of a chapter; return the path of the notebook.

    Raises:
        InputError: an unknown chapter, or a notebook without a cell tagged `parameters`.
    """
    notebook = cards.path(slug).with_suffix(".ipynb")
    content, cell = _read(notebook)
    cell["source"] = source(cards.load(slug)).splitlines(keepends=True)
    documents.write_whole(notebook, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return notebook


def check(notebook: Path, card: Card) -> None:
    """Raise InputError if the parameters cell of the notebook lacks the preset or a parameter of the card."""
    _, cell = _read(notebook)
    given = set(re.findall(r"^(\w+)\s*(?::|=)", "".join(cell["source"]), re.MULTILINE))
    for name in ("preset", *card.parameters):
        if name not in given:
            raise InputError(
                f"notebook {notebook}: its parameters cell lacks '{name}', which its card declares; "
                f"write the cell again: deepphenomena parameters {card.slug}"
            )


def _read(notebook: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (notebook, its parameters cell)."""
    content = text.from_json(text.read(notebook, f"notebook {notebook}"), f"notebook {notebook}")
    try:
        cells = [cell for cell in content["cells"] if "parameters" in cell["metadata"].get("tags", [])]
        for cell in content["cells"]:
            "".join(cell["source"])
    except (KeyError, TypeError, AttributeError):
        raise InputError(f"notebook {notebook}: not a notebook of format 4; give an .ipynb file") from None
    if len(cells) != 1:
        raise InputError(f"notebook {notebook}: {len(cells)} cells are tagged parameters; tag exactly one")
    return content, cells[0]


def _literal(value: object) -> str:
    """Return a value as a Python literal, with double quotes for text."""
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
