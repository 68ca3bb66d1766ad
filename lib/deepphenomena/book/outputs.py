"""Targets of a run, checked before any computation: a run replaces only what a run has made."""

import os
from pathlib import Path

from deepphenomena.book import records
from deepphenomena.runtime import text
from deepphenomena.runtime.errors import InputError


def check(out: Path, source: Path) -> None:
    """Raise InputError unless an executed notebook can be written to `out` without loss of anything else.

    Args:
        out: where the executed notebook is to be written.
        source: the notebook that is run, which is not to be replaced.
    """
    if out.suffix != ".ipynb":
        where = f"{out / 'run.ipynb'}" if out.is_dir() else f"{out.with_suffix('.ipynb')}"
        raise InputError(f"output {out}: an executed notebook is a file that ends in .ipynb; give for example {where}")
    if out.is_dir():
        raise InputError(f"output {out}: it is a folder; give a file in it, for example {out / 'run.ipynb'}")
    if out.exists() and (out.resolve() == source.resolve() or not _is_a_run(out)):
        raise InputError(f"output {out}: it holds something that no run has written; move it, or give another --out")


def writable(folder: Path) -> bool:
    """Return whether files can be written in a folder, which is made if it does not exist."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _is_a_run(file: Path) -> bool:
    """Return whether a file is an executed notebook: papermill's, or one with a record."""
    try:
        notebook = text.from_json(text.read(file, str(file)), str(file))
        if "papermill" in notebook["metadata"]:
            return True
        outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
        return any(records.MIME in output.get("data", {}) for output in outputs)
    except (InputError, KeyError, TypeError, AttributeError):
        return False
