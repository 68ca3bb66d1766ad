"""Objectives against closed forms."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from deepphenomena.training import objectives

LOGITS = jnp.array([[0.0, math.log(3.0)], [math.log(4.0), 0.0], [5.0, 5.0]])  # p = 1/4, 3/4; 4/5, 1/5; 1/2, 1/2
LABELS = jnp.array([1, 1, 0])
RIGHT = np.array([3 / 4, 1 / 5, 1 / 2])  # probability of the label


def test_classification_objectives_follow_their_closed_forms():
    np.testing.assert_allclose(objectives.cross_entropy(LOGITS, LABELS), -np.log(RIGHT).mean(), rtol=1e-6)
    np.testing.assert_allclose(objectives.soft_error(LOGITS, LABELS), 1 - RIGHT.mean(), rtol=1e-6)
    np.testing.assert_allclose(objectives.accuracy(LOGITS, LABELS), 2 / 3, rtol=1e-6)


def test_equal_logits_are_chance():
    logits, labels = jnp.zeros((20, 10)), jnp.arange(20) % 10
    np.testing.assert_allclose(objectives.cross_entropy(logits, labels), math.log(10), rtol=1e-6)
    np.testing.assert_allclose(objectives.soft_error(logits, labels), 0.9, rtol=1e-6)
    np.testing.assert_allclose(objectives.accuracy(logits, labels), 0.1, rtol=1e-6)


def test_the_squared_loss_is_half_the_mean_squared_distance():
    outputs, targets = jnp.array([[1.0, 2.0], [3.0, 0.0]]), jnp.array([[0.0, 2.0], [0.0, 4.0]])
    assert objectives.squared_loss(outputs, targets) == pytest.approx((1 + 25) / 4)
    assert objectives.squared_loss(outputs, jnp.array([1, 0])) == pytest.approx((1 + 1 + 4 + 0) / 4)


@pytest.mark.parametrize("keys", [("x", "y"), ("images", "label"), (0, 1)])
def test_adapters_pick_inputs_and_targets_from_the_batch_and_stay_one_object(keys):
    def network(parameters, x):
        return x + parameters

    x, y = keys
    batch = (LOGITS - 1, LABELS) if x == 0 else {x: LOGITS - 1, y: LABELS}
    loss = objectives.of(network, objectives.cross_entropy, x=x, y=y)
    np.testing.assert_allclose(loss(1.0, batch), objectives.cross_entropy(LOGITS, LABELS), rtol=1e-6)
    measure = objectives.measure(network, x=x, y=y, hits=objectives.accuracy, miss=objectives.soft_error)
    measured = measure(1.0, batch)
    assert list(measured) == ["hits", "miss"]
    np.testing.assert_allclose(measured["miss"], 1 - RIGHT.mean(), rtol=1e-6)
    # One object for one pair: what is compiled for it is not compiled again.
    assert objectives.of(network, objectives.cross_entropy, x=x, y=y) is loss
    assert objectives.measure(network, x=x, y=y, hits=objectives.accuracy, miss=objectives.soft_error) is measure
