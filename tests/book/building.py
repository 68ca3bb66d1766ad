"""The book, built as the Makefile does: a warning is an error."""

import subprocess
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]


def build(folder: Path, builder: str = "html") -> Path:
    """The folder of the built pages, under `folder`."""
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ROOT, "--path-output", folder]
    flags = ["--builder", builder, "-W", "-n", "--keep-going", "-q"]
    done = subprocess.run([*command, *flags], capture_output=True, text=True)
    assert done.returncode == 0, f"the book does not build without a warning:\n{done.stdout}{done.stderr}"
    return folder / "_build" / builder


def build_page(folder: Path, *outputs: nbformat.NotebookNode, theme: str = "basic") -> tuple[int, str, str]:
    """Build a book of one page whose only cell has these outputs: (exit status, messages, the page).

    The page is `html/index.html` in the folder.
    """
    cell = nbformat.v4.new_code_cell("show()", execution_count=1, outputs=list(outputs))
    metadata = {"language_info": {"name": "python"}, "kernelspec": {"name": "python3", "display_name": "Python 3"}}
    cells = [nbformat.v4.new_markdown_cell("# A page"), cell]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), folder / "index.ipynb")
    (folder / "conf.py").write_text(
        f"extensions = ['myst_nb', 'deepphenomena.book.sphinx']\nnb_execution_mode = 'off'\nhtml_theme = '{theme}'\n"
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", folder, folder / "html"]
    done = subprocess.run(command, capture_output=True, text=True)
    page = folder / "html" / "index.html"
    return done.returncode, done.stderr, page.read_text(encoding="utf-8") if page.exists() else ""
