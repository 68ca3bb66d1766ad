"""Intervals over seeds: against printed tables, by simulation, and as properties."""

import math

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from deepphenomena.runtime.statistics import Scale, estimate

SCALES = list(Scale)
EXPERIMENTS = 2000


def samples_on(scale, low=-3.0, high=3.0, size=(3, 8)):
    """Lists of possible values of a scale."""
    placed = st.lists(st.floats(low, high), min_size=size[0], max_size=size[1])
    return placed.map(lambda values: [scale.backward(value) for value in values])


def test_the_interval_is_students_t():
    # Mean 2, standard deviation 1, n = 3: the half width is 4.302653 / √3, from a printed table of t.
    measured = estimate([1.0, 2.0, 3.0])
    assert measured.mean == 2
    assert measured.high - 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_the_mean_is_taken_on_the_scale():
    assert estimate([0.5, 1.0, 2.0], scale=Scale.LOG).mean == pytest.approx(1)
    odds = [1 / 9, 1.0, 9.0]  # shares of 0.1, 0.5 and 0.9
    assert estimate([o / (1 + o) for o in odds], scale=Scale.LOGIT).mean == pytest.approx(0.5)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("n", [3, 5, 8, 16])
def test_intervals_cover_the_truth_in_95_of_100_experiments(scale, n):
    truth, spread = {Scale.LINEAR: (3.0, 2.0), Scale.LOG: (0.3, 0.5), Scale.LOGIT: (2.0, 0.7)}[scale]
    draws = np.random.default_rng(n).normal(truth, spread, (EXPERIMENTS, n))
    intervals = [estimate([scale.backward(v) for v in row], scale=scale) for row in draws]
    covered = np.mean([e.low <= scale.backward(truth) <= e.high for e in intervals])
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize(("n", "least"), [(3, 0.85), (5, 0.86), (8, 0.88), (16, 0.90)])
def test_values_that_are_skewed_on_their_scale_are_covered_less_often(n, least):
    # What the guide says: of exponential values, for which a linear scale is wrong, fewer are covered than promised.
    draws = np.random.default_rng(n).exponential(1.0, (EXPERIMENTS, n))
    covered = np.mean([(e := estimate(row)).low <= 1 <= e.high for row in draws])
    assert least <= covered < 0.95


@pytest.mark.parametrize("n", [3, 5, 8, 16])
def test_values_read_off_a_grid_are_still_covered(n):
    # A true mean of 0.3 between the points of a grid of step 1: most samples are copies of one number.
    draws = np.round(np.random.default_rng(n).normal(0.3, 0.2, (EXPERIMENTS, n)))
    assert np.mean([(e := estimate(row)).low <= 0.3 <= e.high for row in draws]) < 0.9
    assert np.mean([(e := estimate(row, resolution=0.5)).low <= 0.3 <= e.high for row in draws]) >= 0.95


@given(st.data(), st.sampled_from([Scale.LOG, Scale.LOGIT]), st.floats(0, 10))
def test_no_interval_contains_an_impossible_value(data, scale, resolution):
    values = data.draw(samples_on(scale, -30, 30))
    measured = estimate(values, scale=scale, resolution=resolution)
    lowest, highest = scale.domain
    assert lowest < measured.low <= measured.high < highest


@given(st.data(), st.sampled_from(SCALES), st.floats(0, 1), st.randoms())
def test_the_order_of_the_seeds_does_not_matter(data, scale, resolution, random):
    values = data.draw(samples_on(scale))
    shuffled = random.sample(values, len(values))
    assert estimate(shuffled, scale=scale, resolution=resolution) == estimate(
        values, scale=scale, resolution=resolution
    )


@given(st.data(), st.sampled_from(SCALES), st.floats(0, 1), st.floats(0, 1))
def test_a_coarser_resolution_never_narrows_the_interval(data, scale, one, other):
    values = data.draw(samples_on(scale))
    fine, coarse = (estimate(values, scale=scale, resolution=step) for step in sorted([one, other]))
    assert coarse.low <= fine.low <= fine.high <= coarse.high


@given(st.data(), st.sampled_from(SCALES), st.floats(1e-3, 1))
def test_a_resolution_leaves_no_interval_without_width(data, scale, resolution):
    values = [data.draw(samples_on(scale, size=(1, 1)))[0]] * 4
    measured = estimate(values, scale=scale, resolution=resolution)
    assert measured.low < measured.high


def test_shares_of_one_are_possible_where_their_resolution_is_known():
    assert estimate([1.0, 1.0, 0.99], scale=Scale.LOGIT).mean is None
    measured = estimate([1.0, 1.0, 0.99], scale=Scale.LOGIT, resolution=0.01)
    assert 0.9 < measured.low < measured.high < 1
    assert measured.mean == pytest.approx(scipy.special.expit(np.mean(scipy.special.logit([0.995, 0.995, 0.99]))))


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]])
def test_fewer_than_three_values_have_no_interval(values):
    measured = estimate(values)
    assert (measured.low, measured.high, measured.n) == (None, None, len(values))


@pytest.mark.parametrize(("scale", "impossible"), [("log", 0.0), ("log", -1.0), ("logit", 1.5), ("linear", math.inf)])
def test_an_impossible_value_leaves_no_mean(scale, impossible):
    assert estimate([0.5, impossible, 0.5], scale=Scale(scale)).mean is None
