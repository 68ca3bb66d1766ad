"""Probes, parts of networks and errors of groups, for the chapter on wide and deep networks."""

import jax
import numpy as np
import pytest

from deepphenomena import nets
from deepphenomena.nets.residual import residual, without_block
from deepphenomena.papers import wide_and_deep as chapter


def test_a_probe_finds_what_is_linear_and_no_more():
    rng = np.random.default_rng(0)
    y, test_y = rng.integers(0, 3, 600), rng.integers(0, 3, 600)
    centers = 4 * rng.normal(size=(3, 5)) + 50
    layer, test_layer = (centers[labels] + rng.normal(size=(600, 5)) for labels in (y, test_y))
    assert chapter.probe_accuracy(layer, y, test_layer, test_y) > 90
    assert chapter.probe_accuracy(layer, rng.permutation(y), test_layer, test_y) < 60
    scaled = chapter.probe_accuracy(1000 * layer, y, 1000 * test_layer, test_y)
    assert scaled == chapter.probe_accuracy(layer, y, test_layer, test_y)  # the penalty has no unit


@pytest.mark.parametrize(("block", "expected"), [(slice(0, 2), 3.0), (slice(2, 4), -3.0)])
def test_outside_minus_inside(block, expected):
    assert chapter.outside_minus_inside(np.array([1.0, 1.0, 4.0, 4.0]), block) == expected


@pytest.mark.parametrize("block", [slice(0, 4), slice(2, 2)])
def test_without_an_outside_or_an_inside_there_is_no_difference(block):
    assert np.isnan(chapter.outside_minus_inside(np.arange(4.0), block))


def test_groups_of_one_population_differ_by_chance_alone():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=20_000)
    one, other, third = (rng.uniform(size=(5, len(p))) < q for q in (p, p, 1 - p))
    assert chapter.systematic_variance(one, other) == pytest.approx(0, abs=0.003)
    assert chapter.systematic_variance(one, third) == pytest.approx((2 * p - 1).var(), abs=0.01)


def test_a_deleted_block_of_convolutions_passes_its_input_on():
    model = residual("convolutional", shape=(8, 8, 3), width=4, blocks=6)(jax.random.key(0))
    layers, parameters = nets.functional(model, method="layers")
    x = jax.random.normal(jax.random.key(1), (5, 8, 8, 3))
    cut = layers(without_block(parameters, 3), x)[1]
    np.testing.assert_array_equal(cut["block 4"], cut["block 3"])
    assert not np.allclose(layers(parameters, x)[1]["block 4"], cut["block 4"])
