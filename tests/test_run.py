"""A run in the making: parameters from the notebook, and what may be handed to a claim."""

import math

import numpy as np
import pandas as pd
import pytest
from example_card import CARD, run

import deepphenomena
from deepphenomena.book.claims import CheckVerdict, Verdict
from deepphenomena.book.start import start
from deepphenomena.runtime.errors import InputError

SLUG = "large_learning_rate_phase"


def namespace(**changed):
    card = deepphenomena.cards.load(SLUG)
    return {"preset": "quick", **card.values()} | changed


def outcome(made, name):
    return made.record().outcome(name)


def test_a_parameter_left_at_its_default_takes_the_presets_value():
    names = namespace(preset="full", relu_widths=[16, 32])
    made = start(SLUG, names)
    full = deepphenomena.cards.load(SLUG).values("full")
    assert made.preset == "full"
    assert made.overrides == {"relu_widths": [16, 32]}
    assert names["rates"] == full["rates"], "written back, for the cells below use the names themselves"
    assert list(made.seeds) == list(range(full["first_seed"], full["first_seed"] + full["seeds"]))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"preset": "ful"}, ["unknown preset", "did you mean 'full'"]),
        ({"relu_widths": [8, "x"]}, ["relu_widths", "str"]),
        ({"samples": 3}, ["samples", "out of bounds"]),
    ],
)
def test_what_the_card_does_not_allow_is_refused(changed, words):
    with pytest.raises(InputError) as refusal:
        start(SLUG, namespace(**changed))
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


def test_a_parameter_that_the_notebook_lacks_is_named_with_the_fix():
    names = namespace()
    del names["relu_widths"]
    with pytest.raises(InputError, match=r"lacks the parameter 'relu_widths'.*deepphenomena parameters"):
        start(SLUG, names)


@pytest.mark.parametrize(
    ("measured", "values", "words"),
    [
        ("gpa", [1.0, 2.0, 3.0], "did you mean 'gap'"),
        ("gap", [[1.0, 2.0, 3.0]], "3 values, one per seed"),
        ("gap", [1.0, 2.0], "3 values, one per seed"),
        ("gap", [], "3 values, one per seed"),
        ("gap", 1.0, "3 values, one per seed"),
        ("identity", [0.0, 0.0, 0.0], "one number"),
    ],
)
def test_another_number_of_values_than_seeds_is_refused(measured, values, words):
    with pytest.raises(InputError, match=words):
        run().measure(measured, values)


@pytest.mark.parametrize("resolution", [-1, math.nan, [0.1, 0.2]])
def test_an_impossible_resolution_is_refused(resolution):
    with pytest.raises(InputError, match="resolution of 'gap'"):
        run().measure("gap", [1.0, 2.0, 3.0], resolution=resolution)


@pytest.mark.parametrize("censored", [True, [True], [0, 1, 0]])
def test_a_mask_that_is_none_is_refused(censored):
    with pytest.raises(InputError, match="censored of 'gap'"):
        run().measure("gap", [1.0, 2.0, 3.0], censored=censored)


def test_a_series_is_put_in_the_order_of_the_seeds():
    made = run(first_seed=7)
    made.measure("gap", pd.Series([3.0, 1.0, 2.0], index=[9, 7, 8]))
    assert outcome(made, "gap").sample.values == [1.0, 2.0, 3.0]
    with pytest.raises(InputError, match="each of 7 to 9 once"):
        made.measure("gap", pd.Series([3.0, 1.0, 2.0]))


def test_a_comparison_is_a_difference_or_on_a_log_scale_a_ratio():
    made = run()
    made.compare("gap", [3.0, 4.0, 5.5], [1.0, 1.0, 1.0])
    made.compare("ratio", [3.0, 4.0, 6.0], [1.0, 2.0, 2.0])
    assert outcome(made, "gap").sample.values == [2.0, 3.0, 4.5]
    assert outcome(made, "ratio").sample.values == [3.0, 2.0, 3.0]
    assert outcome(made, "ratio").estimate.mean == pytest.approx(18 ** (1 / 3))
    with pytest.raises(InputError, match="one value per seed"):
        made.compare("gap", [1.0, 2.0, 3.0], [1.0, 2.0])


def test_a_ratio_to_nothing_is_not_finite_and_undecided():
    made = run()
    made.compare("ratio", [3.0, 4.0, 6.0], [1.0, 0.0, 2.0])
    assert outcome(made, "ratio").verdict is Verdict.INCONCLUSIVE
    assert outcome(made, "ratio").reason == "1 of 3 values is not finite"


def test_what_a_null_model_scores_stands_beside_the_result():
    made = run()
    made.measure("gap", [1.0, 1.1, 0.9])
    assert outcome(made, "gap").verdict is Verdict.REPRODUCED_DIRECTION
    made.reference("gap", [0.5, 0.6, 0.4], name="untrained network")
    found = outcome(made, "gap")
    assert found.reference.name == "untrained network"
    assert found.reference.estimate.mean == pytest.approx(0.5)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "the reference meets the bound as well" in found.reason


def test_a_figure_marks_the_papers_number_and_what_null_models_score():
    made = run()
    assert made.marks("size") == {"paper": 4.0}
    assert made.marks("gap") == made.marks("identity") == {}
    made.reference("size", [1.0, 1.2, 1.1], name="untrained network")
    assert made.marks("size") == {"paper": 4.0, "untrained network": pytest.approx(1.1)}
    made.reference("ratio", [1.0, 2.0, 4.0], name="random guess")
    assert made.marks("ratio") == {"random guess": pytest.approx(2.0)}, "on the claim's own scale"
    made.reference("ratio", [1.0, math.inf, 4.0], name="random guess")
    assert made.marks("ratio") == {}
    with pytest.raises(InputError, match="did you mean 'gap'"):
        made.marks("gpa")


def test_a_failing_check_voids_the_run_and_a_slow_machine_does_not():
    made = run()
    made.measure("gap", [1.0, 1.1, 0.9])
    made.measure("step_time", [9.0, 9.1, 9.2])
    made.measure("identity", 0)
    assert made.record().void is None
    assert outcome(made, "step_time").verdict is CheckVerdict.FAILED
    assert outcome(made, "gap").verdict is Verdict.REPRODUCED_DIRECTION
    made.measure("identity", 1)
    record = made.record()
    assert "identity" in record.void
    assert {found.verdict for found in record.outcomes} == {Verdict.NOT_MEASURED}
    assert record.outcome("gap").reason == record.void
    assert record.outcome("gap").sample.values == [1.0, 1.1, 0.9], "what was measured is kept"


def test_a_smoke_run_is_not_judged():
    made = run("smoke", seeds=3)
    made.measure("gap", [1.0, 1.1, 0.9])
    made.measure("identity", 1)
    record = made.record()
    assert {found.verdict for found in (*record.outcomes, *record.checks)} == {"not measured"}
    assert "smoke" in record.void


def test_a_modified_run_is_judged_by_its_presets_expectations():
    made = run("full", seeds=3)
    made.measure("size", [3.2, 3.3, 3.1])
    assert made.overrides == {"seeds": 3}
    assert outcome(made, "size").verdict is Verdict.NOT_REPRODUCED  # quick would allow 3 to 5
    assert np.allclose(outcome(made, "size").expectation.bounds, CARD.claim("size").expectation("full").bounds)
