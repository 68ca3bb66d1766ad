"""Fingerprints: check whether the stored outputs of a chapter match its code, card, library, data and versions.

`deepphenomena record` writes a fingerprint to the metadata of the notebook; `changed` compares it with the current
files. Comments and docstrings are ignored, because they do not change outputs.
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
from deepphenomena.runtime import paths, text

KEY = "deepphenomena"  # in the metadata of a notebook
MODULES = "modules"  # in the metadata of the output with a record
# The numerical stack: another version can change a number.
PACKAGES = ("flax", "jax", "jaxlib", "matplotlib", "numpy", "optax", "pandas", "scikit-learn", "scipy", "seaborn")


def modules_loaded() -> list[str]:
    """Return the sorted modules of this library that the process has imported. A run depends on them."""
    return sorted(
        name
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "deepphenomena" and getattr(module, "__file__", None)
    )


def fingerprint(notebook: NotebookNode, card: Card) -> dict[str, str]:
    """Return digests of everything that the outputs of an executed notebook depend on.

    Args:
        notebook: with the output of `run.verdict()`, which lists the modules of this library that the run imported.
        card: the card of the chapter.

    Returns:
        {"notebook", "card", "mutations", "library", "data", "versions": digest}.
    """
    return {
        "notebook": _digest([_code(cell.source) for cell in notebook.cells if cell.cell_type == "code"]),
        "card": _digest(card.model_dump(mode="json")),
        "mutations": _digest(_mutations(card)),
        "library": _digest({name: _code(_source(name)) for name in _modules(notebook)}),
        "data": _digest(_data(card.datasets)),
        "versions": _versions(),
    }


def run_key(notebook: Path, card: Card, preset: str, values: dict[str, Any]) -> str:
    """Return a digest of everything that the result of a run depends on, before it: its checkpoints carry this name.

    It covers the code of the notebook, the card, the parameters, the data, and this library as it lies on the disk,
    committed or not, with the versions of the numerical stack.
    """
    content = text.from_json(text.read(notebook, f"notebook {notebook}"), f"notebook {notebook}")
    cells = [_code("".join(cell["source"])) for cell in content["cells"] if cell["cell_type"] == "code"]
    return _digest([preset, values, cells, card.model_dump(mode="json"), _data(card.datasets), library_state()])


def library_state() -> dict[str, str]:
    """Return digests of the source of this library and of the versions of the numerical stack."""
    package = Path(paths.__file__).parents[1]
    sources = {str(file.relative_to(package)): file.read_bytes() for file in sorted(package.rglob("*.py"))}
    return {
        "library": _digest({name: hashlib.sha256(source).hexdigest() for name, source in sources.items()}),
        "versions": _versions(),
    }


def stamp(notebook: NotebookNode, card: Card) -> None:
    """Write the fingerprint to the metadata of an executed notebook."""
    notebook.metadata[KEY] = {"fingerprint": fingerprint(notebook, card)}


def changed(notebook: NotebookNode, card: Card) -> list[str]:
    """Return the keys of `fingerprint` that have changed since the outputs of the notebook were stored."""
    stored = notebook.metadata.get(KEY, {}).get("fingerprint", {})
    return [name for name, digest in fingerprint(notebook, card).items() if stored.get(name) != digest]


def _versions() -> str:
    return _digest([platform.python_version_tuple()[:2], {name: package_version(name) for name in PACKAGES}])


def _modules(notebook: NotebookNode) -> list[str]:
    """Return the modules that the stored run imported, or no modules if they are not recorded."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if records.MIME in output.get("data", {}):
                return output.get("metadata", {}).get(records.MIME, {}).get(MODULES, [])
    return []


def _source(module: str) -> str:
    """Return the text of a module of this library, or an empty text if it no longer exists."""
    file = Path(paths.__file__).parents[1].joinpath(*module.split(".")[1:])
    for candidate in (file.with_suffix(".py"), file / "__init__.py"):
        if candidate.is_file():
            return candidate.read_text(encoding="utf-8")
    return ""


def _code(source: str) -> str:
    """Return Python code without comments and docstrings. A cell with a magic command is returned unchanged."""
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
    """Return the text of the mutations file next to the card, or an empty text if there is none."""
    file = cards.path(card.slug).with_suffix(".mutations.yml")
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _data(names: list[str]) -> dict[str, str]:
    """Return digests of the catalogue and of the embedded files of these datasets."""
    files = [paths.data() / "datasets.yaml"]
    files += [file for name in names for file in sorted((paths.data() / "embedded").glob(f"{name}*"))]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
