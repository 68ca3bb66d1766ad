"""Verdicts: what an interval over seeds says of an expectation."""

import math

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepphenomena.book.claims import Claim, Expectation, Verdict, estimate, judge

finite = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.0, 2.1, 1.9], Verdict.REPRODUCED),
        ([5.0, 5.1, 4.9], Verdict.NOT_REPRODUCED),
        ([2.9, 3.0, 3.1], Verdict.INCONCLUSIVE),  # the interval lies across the bound
        ([2.0, 2.0], Verdict.INCONCLUSIVE),  # two seeds have no interval
        ([], Verdict.NOT_MEASURED),
        ([2.0, math.nan, 2.0], Verdict.NOT_REPRODUCED),
        ([2.0, math.inf, 2.0], Verdict.NOT_REPRODUCED),
    ],
)
def test_verdict_follows_from_interval_and_bounds(values, expected):
    assert judge(values, Expectation(between=(1, 3))) == expected


def test_interval_is_students_t():
    # Mean 2, standard deviation 1, n = 3: the half width is 4.302653 / √3, from a printed table of t.
    measured = estimate([1.0, 2.0, 3.0])
    assert measured.mean == 2
    assert measured.high - 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_interval_covers_the_true_mean_in_95_of_100_samples():
    draws = np.random.default_rng(0).normal(3.0, 2.0, (4000, 5))
    covered = [(e := estimate(row)).low <= 3.0 <= e.high for row in draws]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)  # three standard errors


@given(st.lists(finite, min_size=3, max_size=8), finite)
def test_a_lower_and_an_upper_bound_never_both_hold_apart(values, bound):
    above, below = judge(values, Expectation(at_least=bound)), judge(values, Expectation(at_most=bound))
    if above == Verdict.REPRODUCED and below == Verdict.REPRODUCED:
        assert estimate(values).low == estimate(values).high == bound
    assert (above == Verdict.INCONCLUSIVE) == (below == Verdict.INCONCLUSIVE) or bound in (
        estimate(values).low,
        estimate(values).high,
    )


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({}, "exactly one"),
        ({"at_least": 1, "at_most": 2}, "exactly one"),
        ({"between": [3, 1]}, "lower, higher"),
        ({"above": 3}, "above"),
    ],
)
def test_an_expectation_that_cannot_be_is_refused(given, fault):
    with pytest.raises(pydantic.ValidationError, match=fault):
        Expectation.model_validate(given)


def test_a_preset_without_its_own_expectation_takes_the_quick_one():
    claim = Claim(
        id="a",
        claim="A.",
        where="Section 1",
        quantity="q",
        expect={"quick": {"at_least": 1}, "full": {"at_least": 2}},
    )
    assert claim.expectation("smoke").at_least == 1
    assert claim.expectation("full").at_least == 2
