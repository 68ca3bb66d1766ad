"""The area under the ROC curve against a count of every pair; its interval against its own definition and coverage."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepphenomena.metrics import auc_interval, roc_auc, steps_to_reach
from deepphenomena.runtime.errors import InputError

KEY = jax.random.key(0)


def pairwise(scores, labels):
    """The definition, one pair at a time."""
    pairs = [(p, n) for p, n in itertools.product(range(len(scores)), repeat=2) if labels[p] and not labels[n]]
    wins = sum(1.0 if scores[p] > scores[n] else 0.5 if scores[p] == scores[n] else 0.0 for p, n in pairs)
    return wins / len(pairs) if pairs else np.nan


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_the_area_is_the_share_of_pairs_in_order_ties_counted_half(seed, levels):
    random = np.random.default_rng(seed)
    scores = random.integers(0, levels, 24).astype(np.float32)  # few levels: many ties
    labels = random.integers(0, 2, 24)
    labels[0] = 1 - labels[1]
    assert float(roc_auc(scores, labels)) == np.float32(pairwise(scores, labels))


def test_tasks_are_taken_one_by_one_and_the_whole_compiles():
    random = np.random.default_rng(1)
    scores = random.normal(size=(50, 3)).astype(np.float32).round(1)
    labels = random.integers(0, 2, (50, 3))
    expected = [pairwise(scores[:, task], labels[:, task]) for task in range(3)]
    np.testing.assert_allclose(jax.jit(roc_auc)(scores, labels), expected, rtol=1e-6)
    batched = jax.vmap(roc_auc)(jnp.stack([scores, -scores]), jnp.stack([labels, labels]))
    np.testing.assert_allclose(batched[1], 1 - np.array(expected), rtol=1e-6)


def test_known_areas():
    labels = np.array([0, 0, 1, 1])
    assert float(roc_auc(np.array([0.1, 0.4, 0.35, 0.8]), labels)) == 0.75  # the textbook example
    assert float(roc_auc(np.ones(4), labels)) == 0.5  # a classifier that says nothing
    assert float(roc_auc(np.array([0.0, 1, 2, 3]), labels)) == 1
    assert float(roc_auc(-np.array([0.0, 1, 2, 3]), labels)) == 0
    for separation in (0.5, 1.5):  # two unit normals: Φ(d / √2)
        drawn = np.asarray(jax.random.normal(KEY, (40_000,))) + separation * (np.arange(40_000) % 2)
        expected = float(jax.scipy.stats.norm.cdf(separation / np.sqrt(2)))
        assert float(roc_auc(drawn, np.arange(40_000) % 2)) == pytest.approx(expected, abs=0.01)


def test_large_sets_do_not_overflow():
    scores = np.arange(65_000, dtype=np.float32)
    assert float(roc_auc(scores, scores >= 32_500)) == 1


def test_no_area_without_both_classes_or_with_a_score_that_is_no_number():
    assert np.isnan(roc_auc(np.arange(3.0), np.ones(3)))
    assert np.isnan(roc_auc(np.arange(3.0), np.zeros(3)))
    assert np.isnan(roc_auc(np.array([0.0, np.nan, 2.0]), np.array([0, 1, 1])))


def resampled_slowly(scores, labels, resamples, random):
    positives, negatives = np.flatnonzero(labels), np.flatnonzero(labels == 0)
    areas = []
    for _ in range(resamples):
        chosen = np.concatenate([random.choice(positives, len(positives)), random.choice(negatives, len(negatives))])
        areas.append(pairwise(scores[chosen], labels[chosen]))
    return np.quantile(areas, [0.025, 0.975])


def test_the_interval_is_that_of_stratified_resamples():
    random = np.random.default_rng(2)
    labels = (np.arange(60) < 15).astype(int)
    scores = (random.normal(size=60) + labels).astype(np.float32).round(1)
    interval = auc_interval(scores, labels, key=KEY, resamples=3000)
    assert float(interval.auc) == np.float32(pairwise(scores, labels))
    np.testing.assert_allclose([interval.low, interval.high], resampled_slowly(scores, labels, 400, random), atol=0.025)


def test_the_interval_covers_the_true_area_about_as_often_as_it_says():
    random = np.random.default_rng(3)
    truth = float(jax.scipy.stats.norm.cdf(1 / np.sqrt(2)))
    labels = np.tile((np.arange(200) < 80)[:, None], (1, 60))
    interval = auc_interval(random.normal(size=(200, 60)) + labels, labels, key=KEY, resamples=200, confidence=0.8)
    covered = np.mean((interval.low <= truth) & (truth <= interval.high))
    assert 0.65 <= covered <= 0.93  # 60 sets: a standard error of 0.05 about 0.8


def test_perfect_scores_have_an_interval_of_no_width():
    interval = auc_interval(np.arange(20.0), np.arange(20) >= 10, key=KEY, resamples=50)
    assert (float(interval.auc), float(interval.low), float(interval.high)) == (1, 1, 1)


def test_steps_to_reach_are_linear_between_records():
    steps = np.array([0, 10, 20, 40])
    curves = np.array([[0.5, 0.6, 0.8, 0.9], [0.9, 0.2, 0.2, 0.95], [0.5, 0.5, 0.5, 0.6], [np.nan, np.nan, 0.7, 0.9]])
    np.testing.assert_allclose(steps_to_reach(steps, curves, 0.7), [15, 0, np.inf, 20])
    assert steps_to_reach(steps, curves[0], 0.6) == 10
    np.testing.assert_allclose(steps_to_reach(steps, np.linspace(0, 1, 4), 0.5), 15)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: roc_auc(np.ones(3), np.ones(4)), "one shape"),
        (lambda: roc_auc(np.ones((0, 2)), np.ones((0, 2))), "one shape"),
        (lambda: roc_auc(np.ones(65_001), np.ones(65_001)), "65000"),
        (lambda: auc_interval(np.ones(3), np.ones(3), key=KEY), "one class only"),
        (lambda: auc_interval(np.ones(2), np.arange(2), key=KEY, resamples=1), "2 or more"),
        (lambda: auc_interval(np.ones(2), np.arange(2), key=KEY, confidence=1.0), "between 0 and 1"),
        (lambda: steps_to_reach(np.array([0, 0]), np.ones(2), 0.5), "increasing"),
        (lambda: steps_to_reach(np.array([0, 1]), np.ones(3), 0.5), "increasing"),
    ],
)
def test_bad_input_is_refused(call, words, unchecked_types):
    with pytest.raises(InputError, match=words):
        call()
