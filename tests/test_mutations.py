"""Mutations: each chapter's claims turn when its experiment is broken on purpose.

`chapters/<part>/<slug>.mutations.yml` lists the mutations of a chapter. Each redefines names of the notebook and says
which claims and checks must then miss their expectations. They run with the chapter: where its fingerprint has changed,
or with ALL=1.
"""

import ast
import os
import re

import nbformat
import papermill
import pydantic
import pytest
import yaml

from deepphenomena.book import cards, records, results, runner
from deepphenomena.book.claims import judge

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),  # papermill and its kernels warn of what no reader can fix
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


class Mutation(pydantic.BaseModel):
    """One way of breaking a chapter.

    Attributes:
        name: what is wrong.
        parameters: overrides of the quick run, for speed.
        redefine: {name that the notebook defines: code that runs right after the cell that defines it}.
        fails: claims and checks that then miss the expectation of the quick run, which the recorded run does not miss.
    """

    model_config = pydantic.ConfigDict(extra="forbid")

    name: str
    parameters: dict[str, object] = {}
    redefine: dict[str, str] = pydantic.Field(min_length=1)
    fails: list[str] = pydantic.Field(min_length=1)


def mutations(slug: str) -> list[Mutation]:
    file = cards.path(slug).with_suffix(".mutations.yml")
    return [Mutation.model_validate(one) for one in yaml.safe_load(file.read_text())] if file.is_file() else []


EVERY = [pytest.param(slug, one, id=f"{slug}: {one.name}") for slug in cards.slugs() for one in mutations(slug)]


def defined_in(cell) -> set[str]:
    """The names that a code cell defines at its top level."""
    if cell.cell_type != "code" or "%pip" in cell.source:
        return set()
    return {
        name
        for statement in ast.parse(cell.source).body
        for name in (
            [statement.name]
            if isinstance(statement, ast.FunctionDef | ast.ClassDef)
            else [node.id for target in getattr(statement, "targets", []) for node in ast.walk(target)
                  if isinstance(node, ast.Name)]
        )
    }  # fmt: skip


def broken(notebook, mutation: Mutation):
    """The notebook with every redefinition in a cell of its own."""
    for name, code in mutation.redefine.items():
        places = [k for k, cell in enumerate(notebook.cells) if name in defined_in(cell)]
        assert places, f"no cell defines '{name}'"
        notebook.cells.insert(places[0] + 1, nbformat.v4.new_code_cell(code))
    return notebook


def read_through_functions(source: str, name: str) -> set[str]:
    """The name, and the functions of a cell that read it when they are called."""
    functions = {one.name: ast.unparse(one) for one in ast.parse(source).body if isinstance(one, ast.FunctionDef)}
    found = {name}
    while more := {
        function
        for function, code in functions.items()
        if function not in found and any(re.search(rf"\b{one}\b", code) for one in found)
    }:
        found |= more
    return found


@pytest.mark.parametrize(("slug", "mutation"), EVERY)
def test_a_mutation_changes_what_a_later_cell_reads(slug, mutation):
    cells = nbformat.read(runner.notebook_path(slug), as_version=4).cells
    for name in mutation.redefine:
        first = min(k for k, cell in enumerate(cells) if name in defined_in(cell))
        names = "|".join(read_through_functions(cells[first].source, name))
        later = (cell.source for cell in cells[first + 1 :] if cell.cell_type == "code")
        assert any(re.search(rf"\b({names})\b", source) for source in later), f"only its own cell reads '{name}'"


@pytest.mark.parametrize("slug", cards.slugs())
def test_every_chapter_has_mutations(slug):
    assert mutations(slug), f"write {cards.path(slug).with_suffix('.mutations.yml')}; see guide/write_a_chapter.md"


@pytest.mark.parametrize(("slug", "mutation"), EVERY)
def test_a_broken_experiment_turns_its_claims(slug, mutation, tmp_path):
    if not os.environ.get("ALL") and not runner.changed(slug):
        pytest.skip("unchanged since its outputs were stored; ALL=1 runs it all the same")
    card = cards.load(slug)
    expectations = {name: (card.find(name), card.find(name).expectation("quick")) for name in mutation.fails}
    wrong, out = tmp_path / "wrong.ipynb", tmp_path / "out.ipynb"
    nbformat.write(broken(nbformat.read(runner.notebook_path(slug), as_version=4), mutation), wrong)
    parameters = card.presets["smoke"] | mutation.parameters
    papermill.execute_notebook(str(wrong), str(out), parameters=parameters, progress_bar=False, kernel_name="python3")
    made, recorded = records.read(out), results.recorded(slug, "quick")
    for name, (measured, expectation) in expectations.items():
        assert judge(measured, made.outcome(name).sample, expectation).holds is False, name
        assert judge(measured, recorded.outcome(name).sample, expectation).holds is not False, name
