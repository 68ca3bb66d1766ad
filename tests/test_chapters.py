"""Chapters: each keeps its promises to the card, and its verdicts can fail. nbval re-runs them beside these tests."""

import ast
import json
import re
import shlex

import nbformat
import papermill
import pytest

from deepphenomena.book import cards, records, runner
from deepphenomena.book.claims import Verdict

SLUGS = cards.slugs()
CATAPULT = "large_learning_rate_phase"

INSTALL = """try:
    import deepphenomena
except ModuleNotFoundError:  # in Colab: install this library alone, and leave Colab's own JAX in place
    %pip install -q "deepphenomena @ git+https://github.com/deep-phenomena/deep-phenomena@main"
"""

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),  # papermill and its kernels warn of what no reader can mend
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def read(slug):
    return nbformat.read(runner.notebook_path(slug), as_version=4)


def code_cells(slug, tag=None):
    cells = [cell for cell in read(slug).cells if cell.cell_type == "code"]
    return cells if tag is None else [cell for cell in cells if tag in cell.metadata.get("tags", [])]


@pytest.mark.parametrize("slug", SLUGS)
def test_the_parameters_cell_holds_exactly_the_card_s_defaults(slug):
    (cell,) = code_cells(slug, "parameters")
    card = cards.load(slug)
    lines = cell.source.splitlines()
    assigned = {node.target.id: ast.literal_eval(node.value) for node in ast.parse(cell.source).body}
    assert list(assigned) == list(card.parameters)
    assert assigned == card.values()
    for line, (name, parameter) in zip(lines, card.parameters.items(), strict=True):
        assert line.startswith(f"{name}: {parameter.type.split('[')[0]} = "), "papermill reads the type from here"
        unit = f" ({parameter.unit})" if parameter.unit else ""
        assert line.endswith(f"# {parameter.help}{unit}"), "papermill reads the help from here"


@pytest.mark.parametrize("slug", SLUGS)
def test_start_is_given_every_parameter_by_its_own_name(slug):
    # A parameter that is not passed on would be overridden in the notebook and recorded at its default.
    calls = [
        node
        for cell in code_cells(slug)
        if "deepphenomena.start(" in cell.source
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "deepphenomena.start"
    ]
    (call,) = calls
    assert [ast.literal_eval(argument) for argument in call.args] == [slug]
    assert {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords} == {
        name: name for name in cards.load(slug).parameters
    }


@pytest.mark.parametrize("slug", SLUGS)
def test_the_form_of_a_chapter(slug):
    cells = code_cells(slug)
    assert cells[0].source + "\n" == INSTALL
    assert cells[-2].source == "run.verdict()"
    assert cells[-2].metadata.tags == ["hide-input", "nbval-ignore-output"]
    assert cells[-1].source == "print(run.summary())"
    assert cells[-1].metadata.tags == ["remove-cell"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "stored from one run, in order"
    for cell in cells:
        assert len(cell.source.splitlines()) <= 32, (
            f"{cell.id}: a cell that needs a second screen belongs in the library"
        )
    for cell in cells[:-1]:  # figures and the record; printed numbers differ from machine to machine
        assert all(output.output_type == "display_data" for output in cell.outputs), cell.id


@pytest.mark.parametrize("slug", SLUGS)
def test_no_measurement_is_typed_into_prose(slug):
    # Numbers with a decimal point in prose are measurements, unless inside mathematics or code.
    for cell in read(slug).cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\{[^}]*\}`[^`]*`", "", cell.source, flags=re.DOTALL)
            assert not re.search(r"\d\.\d", prose), f"{cell.id}: {re.search(r'.{20}[0-9][.][0-9].{20}', prose)}"


@pytest.mark.parametrize("slug", SLUGS)
def test_every_claim_has_a_value_an_interval_and_a_verdict(slug):
    for preset in ("quick", "full"):
        made = records.recorded(slug, preset)
        assert made is not None, f"record it: deepphenomena record {slug} --preset {preset}"
        assert [outcome.id for outcome in made.outcomes] == [claim.id for claim in cards.load(slug).claims]
        for outcome in made.outcomes:
            assert outcome.verdict != Verdict.NOT_MEASURED
            assert outcome.estimate.n >= 3
            assert outcome.estimate.low is not None or outcome.estimate.mean is None
        assert made.overrides == {}
        assert made.datasets
        assert made.provenance.commit


@pytest.mark.parametrize("slug", SLUGS)
def test_the_stored_outputs_and_the_recorded_quick_run_are_one(slug):
    kept = records.recorded(slug, "quick").model_copy(update={"replaces": None})  # what it replaced is not the run's
    assert records.read(runner.notebook_path(slug)) == kept


@pytest.mark.parametrize("slug", SLUGS)
def test_recorded_verdicts_follow_from_recorded_values_and_the_card(slug):
    card = cards.load(slug)
    for preset in ("quick", "full"):
        for outcome in records.recorded(slug, preset).outcomes:
            values = [float("nan") if value is None else value for value in outcome.values]
            assert records.outcome(card.claim(outcome.id), values, preset) == outcome, "the card moved after the run"


def test_papermill_with_a_good_override_changes_the_result(tmp_path):
    smoke = cards.load(CATAPULT).presets["smoke"]
    made = []
    for name, width in (("one", 16), ("other", 24)):
        file = tmp_path / f"{name}.ipynb"
        parameters = smoke | {"widths": [8, width]}
        papermill.execute_notebook(
            str(runner.notebook_path(CATAPULT)),
            str(file),
            parameters=parameters,
            progress_bar=False,
            kernel_name="python3",
        )
        made.append(records.read(file))
    assert made[1].parameters["widths"] == [8, 24]
    assert made[1].overrides == {"widths": [8, 24]}
    assert made[0].outcome("catapult_curvature_falls").values != made[1].outcome("catapult_curvature_falls").values
    assert made[0].outcome("maximal_rate") == made[1].outcome("maximal_rate")  # the solvable model has no such width


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"widht": [8]}, "did you mean 'widths'"),
        ({"samples": "many"}, "parameter 'samples'"),
        ({"samples": 3}, "out of bounds"),
    ],
)
def test_papermill_with_a_bad_override_fails_before_any_compute(tmp_path, parameters, words):
    file = tmp_path / "bad.ipynb"
    with pytest.raises(papermill.PapermillExecutionError, match=words) as failure:
        papermill.execute_notebook(
            str(runner.notebook_path(CATAPULT)),
            str(file),
            parameters=parameters,
            progress_bar=False,
            kernel_name="python3",
        )
    assert failure.value.ename == "InputError"
    ran = [cell for cell in json.loads(file.read_text())["cells"] if cell.get("execution_count")]
    assert "deepphenomena.start(" in "".join(ran[-1]["source"]), "it stopped at its first line"


def test_half_the_measured_curvature_turns_verdicts(tmp_path):
    # The experiment broken on purpose: every learning rate is c / (λ₀ / 2), twice what it is called.
    notebook = read(CATAPULT)
    replaced = 0
    for cell in notebook.cells:
        for right, wrong in (
            ("rate=scaled_rate / curvature,", "rate=scaled_rate / (curvature / 2),"),
            ("steps=16).value", "steps=16).value / 2"),
        ):
            replaced += cell.source.count(right)
            cell.source = cell.source.replace(right, wrong)
    assert replaced == 2
    broken = tmp_path / "broken.ipynb"
    nbformat.write(notebook, broken)
    small = cards.load(CATAPULT).presets["smoke"] | {
        "seeds": 3, "warmup_widths": [1024, 4096], "widths": [256], "samples": 64, "equal_steps": 40, "bisections": 6,
        "rates": [1.0, 1.8, 3.0], "physical_time": 60.0,
    }  # fmt: skip
    papermill.execute_notebook(
        str(broken), str(tmp_path / "out.ipynb"), parameters=small, progress_bar=False, kernel_name="python3"
    )
    made = records.read(tmp_path / "out.ipynb")
    for claim in ("exact_update", "critical_rate", "maximal_rate", "relu_maximal_rate", "linear_model_maximal_rate"):
        assert made.outcome(claim).verdict == Verdict.NOT_REPRODUCED, claim
        assert records.recorded(CATAPULT, "quick").outcome(claim).verdict == Verdict.REPRODUCED, claim


@pytest.mark.parametrize("slug", SLUGS)
def test_every_run_that_a_page_proposes_is_one_that_the_card_allows(slug):
    prose = "\n".join(cell.source for cell in read(slug).cells if cell.cell_type == "markdown")
    proposed = re.findall(r"`deepphenomena run ([a-z_]+) ([^`]*)`", prose)
    assert len(proposed) >= 2 or slug == "dynamical_isometry", "exercises that turn a knob"
    for named, options in proposed:
        card, words = cards.load(named), shlex.split(options)
        pairs = list(zip(words[::2], words[1::2], strict=True))
        assert {flag for flag, _ in pairs} <= {"-p", "--preset"}
        overrides = dict(value.split("=", 1) for flag, value in pairs if flag == "-p")
        preset = next((value for flag, value in pairs if flag == "--preset"), "quick")
        card.values(preset, {name: card.parse(name, text) for name, text in overrides.items()})
