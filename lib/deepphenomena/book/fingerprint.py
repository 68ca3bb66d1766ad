"""Fingerprints: whether a chapter's stored outputs still belong to its code, card, library, data and versions.

`deepphenomena record` leaves a fingerprint in the notebook's metadata; `changed` compares it with the files as they are
now. Comments and docstrings do not count, because they change no output.
"""

import ast
import hashlib
import json
import platform
import sys
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from deepphenomena.book import cards, records
from deepphenomena.book.cards import Card
from deepphenomena.book.provenance import package_version
from deepphenomena.runtime import paths

KEY = "deepphenomena"  # of a notebook's metadata
MODULES = "modules"  # of the metadata of a record's output
# The numerical stack: another version may change a number.
PACKAGES = ("flax", "jax", "jaxlib", "matplotlib", "numpy", "optax", "pandas", "scikit-learn", "scipy", "seaborn")


def modules_loaded() -> list[str]:
    """The library's modules that this process has imported: what a run depends on, sorted."""
    return sorted(
        name
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "deepphenomena" and getattr(module, "__file__", None)
    )


def fingerprint(notebook: NotebookNode, card: Card) -> dict[str, str]:
    """Digests of what the outputs of an executed notebook depend on.

    Args:
        notebook: with the output of `run.verdict()`, which names the library's modules that the run imported.
        card: the chapter's card.

    Returns:
        {"notebook", "card", "mutations", "library", "data", "versions": digest}.
    """
    return {
        "notebook": _digest([_code(cell.source) for cell in notebook.cells if cell.cell_type == "code"]),
        "card": _digest(card.model_dump(mode="json")),
        "mutations": _digest(_mutations(card)),
        "library": _digest({name: _code(_source(name)) for name in _modules(notebook)}),
        "data": _digest(_data(card.datasets)),
        "versions": _digest([platform.python_version_tuple()[:2], {name: package_version(name) for name in PACKAGES}]),
    }


def stamp(notebook: NotebookNode, card: Card) -> None:
    """Leave the fingerprint in an executed notebook's metadata."""
    notebook.metadata[KEY] = {"fingerprint": fingerprint(notebook, card)}


def changed(notebook: NotebookNode, card: Card) -> list[str]:
    """What has changed since the notebook's outputs were stored, as `fingerprint` names it; empty where nothing has."""
    stored = notebook.metadata.get(KEY, {}).get("fingerprint", {})
    return [name for name, digest in fingerprint(notebook, card).items() if stored.get(name) != digest]


def _modules(notebook: NotebookNode) -> list[str]:
    """The modules that the stored run imported; none where it does not say."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if records.MIME in output.get("data", {}):
                return output.get("metadata", {}).get(records.MIME, {}).get(MODULES, [])
    return []


def _source(module: str) -> str:
    """The text of one of the library's modules; empty where it is gone."""
    file = Path(paths.__file__).parents[1].joinpath(*module.split(".")[1:])
    for candidate in (file.with_suffix(".py"), file / "__init__.py"):
        if candidate.is_file():
            return candidate.read_text(encoding="utf-8")
    return ""


def _code(source: str) -> str:
    """Python without comments and docstrings; a notebook's cell with a magic command as it is."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _mutations(card: Card) -> str:
    """The text of the file of mutations beside the card; empty where there is none."""
    file = cards.path(card.slug).with_suffix(".mutations.yml")
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _data(names: list[str]) -> dict[str, str]:
    """Digests of the catalogue and of the embedded files of these datasets."""
    files = [paths.data() / "datasets.yaml"]
    files += [file for name in names for file in sorted((paths.data() / "embedded").glob(f"{name}*"))]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
