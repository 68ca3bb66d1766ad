"""Verdicts: what a sample says of an expectation, and what it may never say."""

import math

import numpy as np
import pydantic
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from deepphenomena.book.claims import Check, CheckVerdict, Claim, Expectation, PaperNumber, Sample, Verdict, judge
from deepphenomena.runtime.statistics import Scale

finite = st.floats(-1e6, 1e6)
samples = st.lists(finite, min_size=3, max_size=8).filter(lambda values: len(set(values)) > 1)


def claim(**fields):
    given = {"id": "a", "claim": "A.", "where": "Section 1", "quantity": "q", "basis": "direction"}
    return Claim(**given | {"expect": {"quick": {"at_least": 0}}} | fields)


def verdict(values, expectation, *, null=None, **options):
    fields = {name: options.pop(name) for name in ("basis", "scale", "exact") if name in options}
    one = claim(**fields)
    return one.verdict(judge(one, Sample(values=values, **options), Expectation(**expectation), null=null).holds)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.0, 2.1, 1.9], Verdict.REPRODUCED_DIRECTION),
        ([5.0, 5.1, 4.9], Verdict.NOT_REPRODUCED),
        ([2.9, 3.0, 3.1], Verdict.INCONCLUSIVE),  # the interval lies across the bound
        ([2.0, 2.1], Verdict.INCONCLUSIVE),  # two seeds have no interval
        ([2.0, 2.0, 2.0], Verdict.INCONCLUSIVE),  # copies of one number
        ([2.0, None, 2.1], Verdict.INCONCLUSIVE),  # a quantity that did not exist
    ],
)
def test_the_verdict_follows_from_interval_and_bounds(values, expected):
    assert verdict(values, {"between": (1, 3)}) == expected


def test_size_and_direction_are_told_apart():
    assert verdict([2.0, 2.1, 1.9], {"at_least": 1}, basis="number") == Verdict.REPRODUCED_SIZE
    assert verdict([2.0, 2.1, 1.9], {"at_least": 1}, basis="direction") == Verdict.REPRODUCED_DIRECTION


@given(samples, finite, st.floats(0, 1e6))
def test_a_looser_bound_never_undoes_a_reproduction(values, bound, slack):
    if verdict(values, {"at_least": bound}).holds:
        assert verdict(values, {"at_least": bound - slack}).holds
    if verdict(values, {"at_most": bound}).holds is False:
        assert verdict(values, {"at_most": bound - slack}).holds is False


@given(samples, finite)
@example([0.0, 0.0, 5e-324], 0.0)  # the spread underflows
def test_a_claim_and_its_opposite_are_never_both_reproduced(values, bound):
    assert not (verdict(values, {"at_least": bound}).holds and verdict(values, {"at_most": bound}).holds)


@given(samples, finite, st.randoms())
def test_the_order_of_the_seeds_does_not_matter(values, bound, random):
    shuffled = random.sample(values, len(values))
    assert verdict(shuffled, {"at_least": bound}) == verdict(values, {"at_least": bound})


@given(st.lists(st.floats(-100, 100), min_size=3, max_size=8), st.floats(-100, 100), st.floats(1.001, 10))
def test_more_noise_never_turns_inconclusive_into_reproduced(values, bound, factor):
    assume(len(set(values)) > 1)
    mean = math.fsum(values) / len(values)
    noisier = [mean + factor * (value - mean) for value in values]
    assume(abs(math.fsum(noisier) / len(values) - mean) < 1e-9 and abs(bound - mean) > 1e-6)
    if verdict(values, {"at_least": bound}) is Verdict.INCONCLUSIVE:
        assert not verdict(noisier, {"at_least": bound}).holds


@given(samples, st.integers(0, 7), finite)
def test_a_sample_with_a_censored_value_is_at_best_inconclusive(values, place, bound):
    censored = [index == place % len(values) for index in range(len(values))]
    found = judge(claim(), Sample(values=values, censored=censored), Expectation(at_least=bound))
    assert found.holds is None
    assert found.reason == f"1 of {len(values)} values was cut off"


@given(st.floats(-100, 100), st.integers(3, 8), st.floats(0.01, 10), st.floats(-100, 100))
def test_a_sample_of_one_grid_point_is_known_no_better_than_the_grid(point, n, step, bound):
    distance = abs(point - bound)
    assume(not math.isclose(distance, step))
    found = verdict([point] * n, {"at_least": bound}, resolution=step)
    assert (found is Verdict.INCONCLUSIVE) == (distance < step)


def test_an_exact_quantity_is_one_number_and_needs_no_interval():
    assert verdict([4.0], {"between": (3.9, 4.1)}, exact=True).holds
    assert verdict([4.2], {"between": (3.9, 4.1)}, exact=True) is Verdict.NOT_REPRODUCED
    assert verdict([4.05], {"between": (3.9, 4.1)}, exact=True, resolution=0.1) is Verdict.INCONCLUSIVE


def test_what_a_null_model_meets_as_well_is_not_reproduced():
    # The audit's case: freezing layers costs nothing, but it costs nothing in an untrained network either.
    trained = [0.2, -0.1, 0.1, 0.0, 0.3]
    untrained = Sample(values=[0.1, 0.0, -0.2, 0.1, 0.2])
    assert verdict(trained, {"at_most": 1.5}).holds
    assert verdict(trained, {"at_most": 1.5}, null=untrained) is Verdict.INCONCLUSIVE
    costly = Sample(values=[9.0, 8.0, 10.0, 9.5, 8.5])
    assert verdict(trained, {"at_most": 1.5}, null=costly).holds


@pytest.mark.parametrize(("n", "scale"), [(n, scale) for n in (3, 5, 8, 16) for scale in Scale])
def test_an_effect_of_zero_is_rarely_called_reproduced(n, scale):
    centre = {Scale.LINEAR: 0.0, Scale.LOG: 1.0, Scale.LOGIT: 0.5}[scale]
    draws = np.random.default_rng(7 * n).normal(0.0, 1.0, (2000, n))
    rows = [[scale.backward(value) for value in row] for row in draws]
    one_sided = np.mean([verdict(row, {"at_least": centre}, scale=scale).holds is True for row in rows])
    assert one_sided <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / 2000)
    # Two-sided: the truth lies on an end of the range, so that nothing should be reproduced.
    upper = {Scale.LINEAR: 50.0, Scale.LOG: 1e30, Scale.LOGIT: 1 - 1e-12}[scale]
    two_sided = np.mean([verdict(row, {"between": (centre, upper)}, scale=scale).holds is True for row in rows])
    assert two_sided <= 0.05


def test_a_check_has_verdicts_of_its_own():
    check = Check(id="a", check="A.", quantity="q", expect={"quick": {"at_most": 0}})
    assert [check.verdict(holds) for holds in (True, False, None)] == [
        CheckVerdict.PASSED,
        CheckVerdict.FAILED,
        CheckVerdict.UNDECIDED,
    ]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({}, "exactly one"),
        ({"at_least": 1, "at_most": 2}, "exactly one"),
        ({"between": [3, 1]}, "lower, higher"),
        ({"above": 3}, "above"),
    ],
)
def test_an_impossible_expectation_is_refused(given, fault):
    with pytest.raises(pydantic.ValidationError, match=fault):
        Expectation.model_validate(given)


def test_a_paper_s_number_lies_inside_its_own_uncertainty():
    with pytest.raises(pydantic.ValidationError, match="in order"):
        PaperNumber(value=12, low=13, source="Section 1")


def test_a_preset_without_its_own_expectation_takes_the_quick_one():
    one = claim(expect={"quick": {"at_least": 1}, "full": {"at_least": 2}})
    assert one.expectation("smoke").at_least == 1
    assert one.expectation("full").at_least == 2
