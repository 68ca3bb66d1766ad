"""Chapters: each keeps its promises to the card, and its verdicts can fail. nbval re-runs them beside these tests."""

import json
import re
import shlex

import nbformat
import papermill
import pytest

from deepphenomena.book import cards, judging, parameters_cell, records, results, runner
from deepphenomena.book.claims import judge

SLUGS = cards.slugs()
CATAPULT = "large_learning_rate_phase"

INSTALL = """try:
    import deepphenomena
except ModuleNotFoundError:  # in Colab: install this library alone, and leave Colab's own JAX in place
    %pip install -q "deepphenomena @ git+https://github.com/deep-phenomena/deep-phenomena@main"
"""

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),  # papermill and its kernels warn of what no reader can fix
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def read(slug):
    return nbformat.read(runner.notebook_path(slug), as_version=4)


def code_cells(slug, tag=None):
    cells = [cell for cell in read(slug).cells if cell.cell_type == "code"]
    return cells if tag is None else [cell for cell in cells if tag in cell.metadata.get("tags", [])]


@pytest.mark.parametrize("slug", SLUGS)
def test_the_parameters_cell_is_the_one_that_the_card_gives(slug):
    (cell,) = code_cells(slug, "parameters")
    assert cell.source == parameters_cell.source(cards.load(slug)), f"run: deepphenomena parameters {slug}"


@pytest.mark.parametrize("slug", SLUGS)
def test_the_run_is_told_all_of_its_parameters(slug):
    (cell,) = [cell for cell in code_cells(slug) if "deepphenomena.start(" in cell.source]
    assert f'run = deepphenomena.start("{slug}", globals())' in cell.source


@pytest.mark.parametrize("slug", SLUGS)
def test_every_claim_and_check_is_measured_in_a_cell_that_a_page_can_link_to(slug):
    code = "\n".join(cell.source for cell in code_cells(slug))
    measured = set(re.findall(r"run\.(?:measure|compare)\(\s*[\"'](\w+)[\"']", code))
    assert measured == {one.id for one in cards.load(slug).measured}


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
def test_every_claim_and_check_has_a_value_and_a_verdict_in_every_recorded_run(slug):
    card, recorded = cards.load(slug), results.all_recorded(cards.load(slug))
    for preset in ("quick", "full"):
        assert preset in recorded, f"record it: deepphenomena record {slug} --preset {preset}"
    for made in recorded.values():
        assert [outcome.id for outcome in made.outcomes] == [claim.id for claim in card.claims]
        assert [outcome.id for outcome in made.checks] == [check.id for check in card.checks]
        for outcome in (*made.outcomes, *made.checks):
            assert outcome.verdict != "not measured"
            assert outcome.estimate.n >= 3 or outcome.exact
        assert made.void is None
        assert made.overrides == {}
        assert made.datasets
        assert made.provenance.commit


@pytest.mark.parametrize("slug", SLUGS)
def test_the_stored_outputs_and_the_recorded_quick_run_are_one(slug):
    stored, kept = records.read(runner.notebook_path(slug)), results.recorded(slug, "quick")
    assert stored == kept.model_copy(update={"attempt": 1, "attempts": []})  # what came before is not the run's


@pytest.mark.parametrize("slug", SLUGS)
def test_recorded_verdicts_follow_from_recorded_values_and_the_card(slug):
    card = cards.load(slug)
    for preset, made in results.all_recorded(card).items():
        samples = {one.id: one.sample for one in (*made.outcomes, *made.checks)}
        nulls = {one.id: (one.reference.name, one.reference.sample) for one in made.outcomes if one.reference}
        claims, checks, _ = judging.judged(card, preset, samples, nulls)
        assert (claims, checks) == (made.outcomes, made.checks), "the card moved after the run"


def test_papermill_with_a_good_override_changes_the_result(tmp_path):
    made = []
    for name, width in (("one", 16), ("other", 24)):
        file = tmp_path / f"{name}.ipynb"
        parameters = {"preset": "smoke", "widths": [8, width]}
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
    curvatures = [one.outcome("catapult_curvature_falls").sample.values for one in made]
    assert curvatures[0] != curvatures[1]
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
    assert "exact_update" in made.void, "a failing check voids the run"
    card, recorded = cards.load(CATAPULT), results.recorded(CATAPULT, "quick")
    for name in ("exact_update", "critical_rate", "maximal_rate", "relu_maximal_rate", "linear_model_maximal_rate"):
        measured, expectation = card.find(name), card.find(name).expectation("quick")
        assert judge(measured, made.outcome(name).sample, expectation).holds is False, name
        assert judge(measured, recorded.outcome(name).sample, expectation).holds, name


@pytest.mark.parametrize("slug", SLUGS)
def test_every_run_that_a_page_proposes_is_one_that_the_card_allows(slug):
    prose = "\n".join(cell.source for cell in read(slug).cells if cell.cell_type == "markdown")
    proposed = re.findall(r"`deepphenomena run ([a-z_]+) ([^`]*)`", prose)
    assert len(proposed) >= 2 or slug == "dynamical_isometry", "exercises that change a parameter"
    for named, options in proposed:
        card, words = cards.load(named), shlex.split(options)
        pairs = list(zip(words[::2], words[1::2], strict=True))
        assert {flag for flag, _ in pairs} <= {"-p", "--preset"}
        overrides = dict(value.split("=", 1) for flag, value in pairs if flag == "-p")
        preset = next((value for flag, value in pairs if flag == "--preset"), "quick")
        card.values(preset, {name: card.parse(name, text) for name, text in overrides.items()})
