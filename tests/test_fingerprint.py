"""Fingerprints: whatever a chapter's outputs depend on marks it as changed, and nothing else does."""

import shutil
from pathlib import Path

import nbformat
import pytest
import rerun

from deepphenomena.book import cards, fingerprint, records, runner
from deepphenomena.runtime import paths

SLUG = "maml_anil"
LIBRARY = Path(paths.__file__).parents[1]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """The chapter, stamped, in a copy of the files that it depends on."""
    for folder in ("chapters", "data", "lib"):
        ignored = shutil.ignore_patterns("__pycache__", "results", "*.ipynb" if folder == "lib" else "")
        shutil.copytree(LIBRARY.parents[1] / folder, tmp_path / folder, ignore=ignored)
    (tmp_path / "_toc.yml").touch()
    copied = tmp_path / "lib" / "deepphenomena"
    monkeypatch.setattr(paths, "_PACKAGE", copied)
    monkeypatch.setattr(paths, "__file__", str(copied / "runtime" / "paths.py"))
    notebook = nbformat.read(runner.notebook_path(SLUG), as_version=4)
    modules = ["deepphenomena", "deepphenomena.nets", "deepphenomena.nets.conv4"]
    output = nbformat.v4.new_output(
        "display_data", {records.MIME: {}}, metadata={records.MIME: {fingerprint.MODULES: modules}}
    )
    next(cell for cell in notebook.cells if cell.source == "run.verdict()").outputs = [output]
    fingerprint.stamp(notebook, cards.load(SLUG))
    nbformat.write(notebook, runner.notebook_path(SLUG))
    return tmp_path


def append(file, text):
    file.write_text(file.read_text() + text)


def change_notebook(source):
    notebook = nbformat.read(runner.notebook_path(SLUG), as_version=4)
    next(cell for cell in notebook.cells if "deepphenomena.start(" in cell.source).source += source
    nbformat.write(notebook, runner.notebook_path(SLUG))


def test_a_stored_chapter_is_unchanged(clone):
    assert runner.changed(SLUG) == []


@pytest.mark.parametrize(
    ("module", "reasons"),
    [("nets/conv4.py", ["library"]), ("nets/__init__.py", ["library"]), ("nets/mlp.py", [])],
    ids=["a module that it imports", "a package", "a module that it does not import"],
)
def test_a_changed_module_marks_the_chapters_that_import_it(clone, module, reasons):
    append(clone / "lib" / "deepphenomena" / module, "\nEXTRA = 1\n")
    assert runner.changed(SLUG) == reasons


def test_a_module_that_is_gone_marks_the_chapter(clone):
    (clone / "lib" / "deepphenomena" / "nets" / "conv4.py").unlink()
    assert runner.changed(SLUG) == ["library"]


def test_comments_and_docstrings_change_nothing(clone):
    file = clone / "lib" / "deepphenomena" / "nets" / "conv4.py"
    text = file.read_text()
    file.write_text(text.replace(text.split('"""')[1], "Another docstring.", 1) + "\n# a comment\n")
    change_notebook("  # a comment")
    assert runner.changed(SLUG) == []


def test_a_changed_card_marks_the_chapter(clone):
    card = cards.path(SLUG)
    card.write_text(card.read_text().replace("maximum: 100", "maximum: 101", 1))
    assert runner.changed(SLUG) == ["card"]


def test_a_changed_cell_marks_the_chapter(clone):
    change_notebook("\nextra = 1")
    assert runner.changed(SLUG) == ["notebook"]


def test_changed_mutations_mark_the_chapter(clone):
    append(cards.path(SLUG).with_suffix(".mutations.yml"), "\n# one more\n")
    assert runner.changed(SLUG) == ["mutations"]


@pytest.mark.parametrize("file", ["datasets.yaml", "embedded/glyphs_test.txt"])
def test_changed_data_marks_the_chapters_that_use_them(clone, file):
    append(clone / "data" / file, "\n")
    assert runner.changed(SLUG) == ["data"]


def test_data_of_other_chapters_do_not_count(clone):
    (clone / "data" / "embedded" / "cifar10_test.webp").write_bytes(b"")
    assert runner.changed(SLUG) == []


def test_another_version_of_the_numerical_stack_marks_the_chapter(clone, monkeypatch):
    real = fingerprint.package_version
    monkeypatch.setattr(fingerprint, "package_version", lambda name: "99" if name == "jax" else real(name))
    assert runner.changed(SLUG) == ["versions"]


def test_a_notebook_without_a_fingerprint_is_changed(clone):
    notebook = nbformat.read(runner.notebook_path(SLUG), as_version=4)
    del notebook.metadata[fingerprint.KEY]
    nbformat.write(notebook, runner.notebook_path(SLUG))
    assert set(runner.changed(SLUG)) == {"notebook", "card", "mutations", "library", "data", "versions"}


def test_a_run_names_the_modules_that_it_imported():
    loaded = fingerprint.modules_loaded()
    assert {"deepphenomena", "deepphenomena.book.fingerprint", "deepphenomena.runtime.paths"} <= set(loaded)
    assert loaded == sorted(loaded)


def test_the_longest_waiting_chapters_run_first_and_the_budget_holds():
    waiting = [rerun.Chapter(f"chapter_{k}", ["card"], float(k), 100.0) for k in range(5)]
    chosen, left = rerun.plan(waiting, budget=320.0)
    assert [chapter.slug for chapter in chosen] == ["chapter_0", "chapter_1"]
    assert [chapter.slug for chapter in left] == ["chapter_2", "chapter_3", "chapter_4"]
    assert len(rerun.plan(waiting, budget=1.0)[0]) == 1, "one chapter always runs, or it would wait for ever"
    short = [*waiting[:1], rerun.Chapter("short", ["card"], 9.0, 10.0)]
    assert [chapter.slug for chapter in rerun.plan(short, budget=170.0)[0]] == ["chapter_0", "short"]
