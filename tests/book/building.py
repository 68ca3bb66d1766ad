"""The book, built as the Makefile does: a warning is an error."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build(folder: Path, builder: str = "html") -> Path:
    """The folder of the built pages, under `folder`."""
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ROOT, "--path-output", folder]
    flags = ["--builder", builder, "-W", "-n", "--keep-going", "-q"]
    done = subprocess.run([*command, *flags], capture_output=True, text=True)
    assert done.returncode == 0, f"the book does not build without a warning:\n{done.stdout}{done.stderr}"
    return folder / "_build" / builder
