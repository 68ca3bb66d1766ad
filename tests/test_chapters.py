"""Chapters: each keeps its promises to the card. nbval re-runs them beside these tests.

A chapter joins every test by being there; `test_mutations.py` breaks its experiment.
"""

import json
import re
import shlex
import statistics

import nbformat
import papermill
import pytest

from deepphenomena.book import cards, judging, parameters_cell, records, results, runner

SLUGS = cards.slugs()

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
def test_every_recorded_reference_is_a_number(slug):
    found = [results.recorded(slug, preset) for preset in cards.load(slug).order]
    outcomes = [(record.preset, one) for record in found if record for one in record.outcomes if one.reference]
    wrong = [(preset, one.id) for preset, one in outcomes if one.reference.estimate.mean is None]
    assert wrong == []


def code_lines(cell):
    """Lines of a cell that are neither blank nor a comment."""
    return [line for line in cell.source.splitlines() if line.strip() and not line.strip().startswith("#")]


@pytest.mark.parametrize("slug", SLUGS)
def test_the_form_of_a_chapter(slug):
    cells = code_cells(slug)
    assert cells[0].source + "\n" == INSTALL
    assert cells[-2].source == "run.verdict()"
    assert cells[-2].metadata.tags == ["hide-input", "nbval-ignore-output"]
    assert cells[-1].source == "print(run.summary())"
    assert cells[-1].metadata.tags == ["remove-cell"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "stored from one run, in order"
    for cell in cells[:-1]:  # figures and the record; printed numbers differ from machine to machine
        assert all(output.output_type == "display_data" for output in cell.outputs), cell.id


@pytest.mark.parametrize("slug", SLUGS)
def test_a_chapter_is_short(slug):
    sizes = {cell.id: len(code_lines(cell)) for cell in code_cells(slug)}
    assert sum(sizes.values()) <= 250, "move machinery to the library"
    assert statistics.median(sizes.values()) <= 8
    assert {cell: size for cell, size in sizes.items() if size > 30} == {}


@pytest.mark.parametrize("slug", SLUGS)
def test_a_chapter_has_no_plumbing(slug):
    for cell in code_cells(slug):
        for line in re.findall(r"^(?:from|import) .*", cell.source, re.MULTILINE):
            plumbing = re.search(r"\b(threads|compilation|matplotlib|seaborn|concurrent)\b", line)
            assert not plumbing, f"{cell.id}: {line}: use run.train, run.each and figures"


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
    for preset in ("quick",) if card.draft else ("quick", "full"):
        assert preset in recorded, f"record it: deepphenomena record {slug} --preset {preset}"
    for made in recorded.values():
        assert [outcome.id for outcome in made.outcomes] == [claim.id for claim in card.claims]
        assert [outcome.id for outcome in made.checks] == [check.id for check in card.checks]
        for outcome in (*made.outcomes, *made.checks):
            assert outcome.verdict != "not measured"
            assert outcome.estimate.n >= 3 or outcome.exact
        assert made.void is None
        assert made.overrides == {}
        assert bool(made.datasets) == bool(card.datasets)
        assert made.provenance.commit


@pytest.mark.parametrize("slug", SLUGS)
def test_the_stored_outputs_and_the_recorded_quick_run_are_one(slug):
    stored, kept = records.read(runner.notebook_path(slug)), results.recorded(slug, "quick")
    # What came before is not the run's, and the notebook does not repeat the series.
    assert stored == kept.model_copy(update={"attempt": 1, "attempts": [], "seeds_reused": None, "series": {}})


def test_numbers_before_a_list_are_written_as_they_stand():
    # An ambiguous pattern would try every way of splitting the digits, and never end.
    numbers = {f"parameter_{k}": 1234567890 for k in range(20)} | {"widths": [16, 256], "sign": -0.5}
    notebook = nbformat.v4.new_notebook(metadata={"numbers": numbers})
    assert json.loads(runner.text_of(notebook))["metadata"]["numbers"] == numbers
    assert '"widths": [16, 256]' in runner.text_of(notebook)


LARGEST = 400_000  # bytes of the file of a notebook


@pytest.mark.parametrize("slug", SLUGS)
def test_a_stored_notebook_loses_nothing_by_its_short_lines(slug):
    text = runner.text_of(read(slug))
    assert text == runner.notebook_path(slug).read_text(encoding="utf-8")
    assert json.loads(text) == json.loads(nbformat.writes(read(slug)))


@pytest.mark.parametrize("slug", SLUGS)
def test_a_stored_notebook_is_small(slug):
    size = runner.notebook_path(slug).stat().st_size
    assert size <= LARGEST, (
        f"{size / 1000:.0f} kB; keep fewer steps (every=...), draw fewer facets, no photograph at full size"
    )


def rounded(value):
    """The same structure with ten digits of every float: the last ones differ between processors."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return float(f"{value:.10g}") if isinstance(value, float) else value


@pytest.mark.parametrize("slug", SLUGS)
def test_recorded_verdicts_follow_from_recorded_values_and_the_card(slug):
    card = cards.load(slug)
    for preset, made in results.all_recorded(card).items():
        samples = {one.id: one.sample for one in (*made.outcomes, *made.checks)}
        nulls = {one.id: (one.reference.name, one.reference.sample) for one in made.outcomes if one.reference}
        claims, checks, _ = judging.judged(card, preset, samples, nulls)
        for again, kept in zip((*claims, *checks), (*made.outcomes, *made.checks), strict=True):
            assert rounded(again.model_dump()) == rounded(kept.model_dump()), "the card moved after the run"


def execute(slug, file, **parameters):
    """The record of a chapter executed by papermill alone."""
    papermill.execute_notebook(
        str(runner.notebook_path(slug)), str(file), parameters=parameters, progress_bar=False, kernel_name="python3"
    )
    return records.read(file)


@pytest.mark.parametrize("slug", SLUGS)
def test_papermill_with_a_good_override_runs_at_smoke_scale(slug, tmp_path):
    seed = cards.load(slug).parameters["first_seed"].default + 17
    made = execute(slug, tmp_path / "out.ipynb", preset="smoke", first_seed=seed)
    assert (made.preset, made.overrides) == ("smoke", {"first_seed": seed})
    assert made.seeds == range(seed, seed + len(made.seeds))
    assert "smoke" in made.void, "it is not judged"


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"sedes": 3}, "did you mean 'seeds'"),
        ({"seeds": "many"}, "parameter 'seeds'"),
        ({"seeds": 0}, "out of bounds"),
        ({"preset": "quik"}, "did you mean 'quick'"),
    ],
)
def test_papermill_with_a_bad_override_fails_before_any_compute(slug, tmp_path, parameters, words):
    file = tmp_path / "bad.ipynb"
    with pytest.raises(papermill.PapermillExecutionError, match=words) as failure:
        execute(slug, file, **parameters)
    assert failure.value.ename == "InputError"
    ran = [cell for cell in json.loads(file.read_text())["cells"] if cell.get("execution_count")]
    assert "deepphenomena.start(" in "".join(ran[-1]["source"]), "it stopped at its first line"


@pytest.mark.parametrize("slug", SLUGS)
def test_every_run_that_a_page_proposes_is_one_that_the_card_allows(slug):
    prose = "\n".join(cell.source for cell in read(slug).cells if cell.cell_type == "markdown")
    proposed = re.findall(r"`deepphenomena run ([a-z_]+) ([^`]*)`", prose)
    assert len(proposed) >= 2, "exercises that change a parameter"
    for named, options in proposed:
        card, words = cards.load(named), shlex.split(options)
        pairs = list(zip(words[::2], words[1::2], strict=True))
        assert {flag for flag, _ in pairs} <= {"-p", "--preset"}
        overrides = dict(value.split("=", 1) for flag, value in pairs if flag == "-p")
        preset = next((value for flag, value in pairs if flag == "--preset"), "quick")
        card.values(preset, {name: card.parse(name, text) for name, text in overrides.items()})
