"""Records: made by a run, carried by its notebook, lifted whole into data/results."""

import json
import math

import nbformat
import numpy as np
import pytest

from deepphenomena import datasets, start
from deepphenomena.book import cards, records, tables
from deepphenomena.book.claims import Verdict
from deepphenomena.runtime import documents, paths
from deepphenomena.runtime.errors import InputError

SLUG = "large_learning_rate_phase"


@pytest.fixture
def made():
    run = start(SLUG, seeds=3, first_seed=7)
    run.uses(datasets.load("mnist", n=20))
    run.measure("maximal_rate", [4.0, 4.01, 3.99])
    run.measure("critical_rate", np.array([3.0, 3.01, 2.99]))
    run.measure("peak_loss", [1.0, math.inf, 1.0])
    run.keep("curve", step=[0, 1], loss=np.array([1.0, np.nan]))
    return run


def notebook(*contents):
    cells = [
        nbformat.v4.new_code_cell("", outputs=[nbformat.v4.new_output("display_data", {records.MIME: content})])
        for content in contents
    ]
    return nbformat.v4.new_notebook(cells=cells)


def test_a_record_holds_parameters_verdicts_data_and_provenance(made):
    record = made.record()
    assert (record.slug, record.preset, record.overrides) == (SLUG, "quick", {"first_seed": 7})
    assert record.outcome("maximal_rate").verdict == Verdict.REPRODUCED
    assert record.outcome("critical_rate").verdict == Verdict.NOT_REPRODUCED
    assert record.outcome("peak_loss").verdict == Verdict.NOT_REPRODUCED
    assert record.outcome("peak_loss").values == [1.0, None, 1.0]
    assert record.outcome("exact_update").verdict == Verdict.NOT_MEASURED
    assert record.series == {"curve": {"step": [0, 1], "loss": [1.0, None]}}
    assert [(use.name, use.n, use.provenance) for use in record.datasets] == [("mnist", 20, "embedded")]
    assert record.provenance.versions["jax"]
    assert record.provenance.wall_seconds >= 0
    assert record.provenance.device


def test_a_record_survives_the_notebook_and_the_results_folder(made, tmp_path, monkeypatch):
    record = made.record()
    file = tmp_path / "executed.ipynb"
    nbformat.write(notebook({"slug": "an older one"}, record.to_json()), file)
    assert records.read(file) == record
    monkeypatch.setattr(paths, "data", lambda: tmp_path)
    assert records.recorded(SLUG, "quick") is None
    written = records.write(record)
    assert records.recorded(SLUG, "quick") == record
    assert written == tmp_path / "results" / SLUG / "quick.json"
    assert [path.name for path in written.parent.iterdir()] == ["quick.json"]
    json.loads(written.read_text(), parse_constant=pytest.fail)  # no NaN, no Infinity


def test_verdict_leaves_the_record_under_its_own_mime_type(made, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    made.verdict()
    (data,) = shown
    assert records.parse(data[records.MIME], "test").outcome("maximal_rate").verdict == "reproduced"
    assert "✓ reproduced" in data["text/html"]
    assert "maximal_rate" in data["text/plain"]


def test_the_summary_holds_verdicts_and_no_measured_digits(made):
    line = next(line for line in made.summary().splitlines() if " maximal_rate" in line)
    assert line.split() == ["reproduced", "maximal_rate", "expected", "3.9", "to", "4.1"]
    made.measure("maximal_rate", [4.0001, 4.0099, 3.9901])
    assert line in made.summary().splitlines()
    made.measure("maximal_rate", [5.0, 5.01, 4.99])
    assert line not in made.summary().splitlines()


def test_the_summary_leaves_the_verdict_of_a_timed_claim_to_the_machine(made):
    made.measure("maximal_rate", [5.0, 5.01, 4.99])
    timed = [claim.model_copy(update={"timed": claim.id == "maximal_rate"}) for claim in made.card.claims]
    lines = tables.summary_text(made.card.model_copy(update={"claims": timed}), made.record()).splitlines()
    assert "timed           maximal_rate                     expected 3.9 to 4.1" in lines
    assert sum(line.startswith("timed ") for line in lines) == 1


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("not json", "not a notebook"),
        ("{}", "not a notebook"),
        (json.dumps(notebook()), "no record"),
        (json.dumps(notebook({"slug": "x"})), "missing"),
    ],
)
def test_a_notebook_without_a_sound_record_is_refused(tmp_path, content, fault):
    file = tmp_path / "executed.ipynb"
    file.write_text(content)
    with pytest.raises(InputError, match=fault):
        records.read(file)
    with pytest.raises(InputError, match="cannot be read"):
        records.read(tmp_path / "absent.ipynb")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        documents.write_whole(tmp_path / "file" / "below.json", "")


@pytest.mark.parametrize(
    ("claim", "values", "fault"),
    [
        ("maximal_rat", [1.0], "did you mean 'maximal_rate'"),
        ("maximal_rate", [[1.0]], "one value per seed"),
        ("maximal_rate", [], "one value"),
    ],
)
def test_a_measurement_that_cannot_be_is_refused(made, claim, values, fault):
    with pytest.raises(InputError, match=fault):
        made.measure(claim, values)


def test_series_columns_have_one_length(made):
    with pytest.raises(InputError, match="different lengths"):
        made.keep("curve", step=[0, 1], loss=[1.0])


def test_a_recorded_run_stands_beside_this_one(made, tmp_path, monkeypatch):
    """With its columns in one order, though a notebook's file sorts them."""
    full = made.record().model_copy(update={"preset": "full", "overrides": {}})
    monkeypatch.setattr(paths, "data", lambda: tmp_path)
    assert len(made.sources("curve")) == 1
    file = tmp_path / "executed.ipynb"
    nbformat.write(notebook(full.to_json()), file)
    records.write(records.read(file))
    this, recorded = made.sources("curve").values()
    assert list(this) == list(recorded) == ["loss", "step"]


def test_tables_escape_what_a_card_says(made):
    card = cards.load(SLUG)
    hostile = card.claims[0].model_copy(update={"claim": "<script>alert(1)</script>"})
    shown = tables.claims_html(card.model_copy(update={"claims": [hostile]}), [made.record()])
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


@pytest.mark.parametrize(("seconds", "words"), [(41.4, "41 s"), (200, "3 min 20 s"), (3900, "1 h 5 min")])
def test_durations_read_well(seconds, words):
    assert tables.duration(seconds) == words
