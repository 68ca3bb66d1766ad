"""Records: made by a run, carried by its notebook, lifted whole into data/results."""

import json
import math

import nbformat
import numpy as np
import pandas as pd
import pytest
from example_card import CARD, record, run

from deepphenomena import datasets
from deepphenomena.book import claims_table, records, results, tables
from deepphenomena.book.claims import CheckVerdict, Verdict
from deepphenomena.runtime import documents, paths
from deepphenomena.runtime.errors import InputError


@pytest.fixture
def made():
    one = run(first_seed=7)
    one.uses(datasets.load("mnist", n=20))
    one.measure("gap", [1.0, 1.1, 0.9])
    one.measure("size", np.array([9.0, 9.01, 8.99]))
    one.measure("ratio", [1.0, math.inf, 1.0])
    one.measure("identity", 0)
    one.keep("curve", pd.DataFrame({"step": [0, 1], "loss": [1.0, np.nan]}))
    return one


def notebook(*contents):
    cells = [
        nbformat.v4.new_code_cell("", outputs=[nbformat.v4.new_output("display_data", {records.MIME: content})])
        for content in contents
    ]
    return nbformat.v4.new_notebook(cells=cells)


def test_a_record_holds_parameters_verdicts_data_and_provenance(made):
    kept = made.record()
    assert (kept.slug, kept.preset, kept.overrides) == ("example", "quick", {"first_seed": 7})
    assert kept.outcome("gap").verdict is Verdict.REPRODUCED_DIRECTION
    assert kept.outcome("size").verdict is Verdict.NOT_REPRODUCED
    assert kept.outcome("ratio").verdict is Verdict.INCONCLUSIVE
    assert kept.outcome("ratio").sample.values == [1.0, None, 1.0]
    assert kept.outcome("identity").verdict is CheckVerdict.PASSED
    assert kept.outcome("step_time").verdict is CheckVerdict.NOT_MEASURED
    assert kept.series == {"curve": {"step": [0, 1], "loss": [1.0, None]}}
    assert [(use.name, use.n, use.provenance) for use in kept.datasets] == [("mnist", 20, "embedded")]
    assert kept.provenance.versions["jax"]
    assert kept.provenance.wall_seconds >= 0
    assert kept.provenance.device


def test_a_record_survives_the_notebook_and_the_results_folder(made, tmp_path, monkeypatch):
    kept = made.record()
    file = tmp_path / "executed.ipynb"
    nbformat.write(notebook({"slug": "an older one"}, kept.to_json()), file)
    assert records.read(file) == kept
    monkeypatch.setattr(paths, "data", lambda: tmp_path)
    assert results.recorded("example", "quick") is None
    written = results.write(kept)
    assert results.recorded("example", "quick") == kept
    assert written == tmp_path / "results" / "example" / "quick.json"
    assert [path.name for path in written.parent.iterdir()] == ["quick.json"]
    json.loads(written.read_text(), parse_constant=pytest.fail)  # no NaN, no Infinity


def test_verdict_leaves_the_record_under_its_own_mime_type(made, monkeypatch):
    shown = []
    said = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, raw, metadata: (shown.append(data), said.append(metadata))
    )
    made.verdict()
    assert "deepphenomena.book.run" in said[0][records.MIME]["modules"]
    (data,) = shown
    assert records.parse(data[records.MIME], "test").outcome("gap").verdict == "reproduced (direction)"
    assert "✓ reproduced (direction)" in data["text/html"]
    assert "gap" in data["text/plain"]


def test_the_summary_holds_verdicts_and_no_measured_digits(made):
    line = next(line for line in made.summary().splitlines() if " gap" in line)
    assert line.split() == ["reproduced", "(direction)", "gap", "expected", "≥", "0"]
    made.measure("gap", [1.0001, 1.0999, 0.9])
    assert line in made.summary().splitlines()
    made.measure("gap", [-1.0, -1.1, -0.9])
    assert line not in made.summary().splitlines()


def test_the_summary_leaves_the_verdict_of_what_is_timed_to_the_machine(made):
    made.measure("step_time", [5.0, 5.01, 4.99])
    (line,) = [line for line in made.summary().splitlines() if line.startswith("timed ")]
    assert line.split() == ["timed", "step_time", "expected", "≤", "1"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("not json", "not a notebook"),
        ("{}", "not a notebook"),
        (json.dumps(notebook()), "no record"),
        (json.dumps(notebook({"slug": "x"})), "missing"),
        (json.dumps(notebook({"version": 1})), "form 1"),
    ],
    ids=["not JSON", "not a notebook", "without a record", "an incomplete record", "a record of an older form"],
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


def test_a_recorded_run_stands_beside_this_one(made, tmp_path, monkeypatch):
    """With its columns in one order, though a notebook's file sorts them."""
    full = made.record().model_copy(update={"preset": "full", "overrides": {}})
    monkeypatch.setattr(paths, "data", lambda: tmp_path)
    assert len(made.sources("curve")) == 1
    file = tmp_path / "executed.ipynb"
    nbformat.write(notebook(full.to_json()), file)
    results.write(records.read(file))
    this, recorded = made.sources("curve").values()
    assert list(this) == list(recorded) == ["loss", "step"]
    pd.testing.assert_frame_equal(this, recorded)


def test_the_recorded_run_beside_this_one_is_the_nearest_to_the_paper_whose_columns_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "data", lambda: tmp_path)
    one = run()
    one.keep("curve", pd.DataFrame({"step": [0, 1], "loss": [1.0, 0.5]}))
    assert list(one.sources("curve")) == ["this run (quick)"]
    old = {"curve": {"loss": [2.0, None], "step": [0, 1]}}
    results.write(record("full").model_copy(update={"series": old}))
    results.write(record("larger").model_copy(update={"series": {"curve": {"loss": [2.0]}}}))
    assert list(one.sources("curve")) == ["this run (quick)", "recorded run (full, cpu)"]
    assert np.isnan(one.sources("curve")["recorded run (full, cpu)"].loss[1])
    results.write(record("larger").model_copy(update={"series": old}))
    assert list(one.sources("curve")) == ["this run (quick)", "recorded run (larger, cpu)"]
    assert list(one.sources("curve", "full")) == ["this run (quick)", "recorded run (full, cpu)"]
    nearest = run("larger")
    nearest.keep("curve", pd.DataFrame({"step": [0, 1], "loss": [1.0, 0.5]}))
    assert list(nearest.sources("curve")) == ["this run (larger)"]


def test_a_table_is_kept_as_columns_with_six_digits():
    one = run()
    frame = pd.DataFrame({"loss": np.float32([1 / 3, np.nan]), "start": ["a", "b"]}, pd.Index([7, 8], name="seed"))
    one.keep("curve", frame)
    assert one.record().to_json()["series"] == {
        "curve": {"loss": [0.333333, None], "seed": [7, 8], "start": ["a", "b"]}
    }
    (this,) = one.sources("curve").values()
    assert this.loss.dtype == float


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (
            pd.DataFrame({"loss": np.random.default_rng(0).normal(size=30_000)}),
            r"kB.*30,000 rows.*at most 200 kB.*every=4",
        ),
        (pd.DataFrame({"loss": []}), "without rows"),
        ([1.0, 2.0], "type list"),
        (pd.DataFrame({"loss": [np.zeros(2)]}), "ndarray in its column 'loss'"),
    ],
)
def test_a_table_that_a_record_cannot_hold_is_refused(frame, words):
    with pytest.raises(InputError, match=words):
        run().keep("curve", frame)


def test_a_series_that_was_not_kept_is_named(made):
    with pytest.raises(InputError, match=r"unknown series 'curves'.*did you mean 'curve'"):
        made.sources("curves")


def test_a_run_takes_its_place_among_the_recorded_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "data", lambda: tmp_path)
    results.write(record("full"))
    by_preset, beside = results.beside_recorded(CARD, record())
    assert (list(by_preset), beside) == (["full", "quick"], None)
    modified = record("full", width=8)
    by_preset, beside = results.beside_recorded(CARD, modified)
    assert (by_preset["full"].overrides, beside) == ({}, modified)


def test_tables_escape_what_a_card_and_a_machine_say():
    hostile = CARD.claims[0].model_copy(update={"claim": "<script>alert(1)</script>"})
    card = CARD.model_copy(update={"claims": [hostile, *CARD.claims[1:]]})
    shown = claims_table.claims_html(card, {"quick": record()})
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "<processor>" not in shown


def test_a_void_run_is_shown_as_such():
    assert "the run is void: its check identity failed" in claims_table.claims_html(
        CARD, {"full": record("full", failing=True)}
    )


@pytest.mark.parametrize(("seconds", "words"), [(41.4, "41 s"), (200, "3 min 20 s"), (3900, "1 h 5 min")])
def test_durations_read_well(seconds, words):
    assert tables.duration(seconds) == words
