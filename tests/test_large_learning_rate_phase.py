"""The chapter's machinery on a model that is linear in its parameters, which trains up to 2/λ₀."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepphenomena import nets, training
from deepphenomena.papers import large_learning_rate_phase as regimes


@pytest.fixture(scope="module")
def linear():
    return regimes.model(functools.partial(nets.fully_connected, [4, 3], activation="linear"))


def train(name, *arguments, **options):
    """What `run.train` does, without a run."""
    return training.train(*arguments, **options)


@pytest.fixture(scope="module")
def batch():
    x = jax.random.normal(jax.random.key(0), (8, 4))
    y = jax.nn.one_hot(jnp.arange(8) % 3, 3)
    return {"x": x, "y": y, "label": jnp.arange(8) % 3}


def test_the_curvature_of_a_linear_model_is_the_top_eigenvalue_of_its_gram_matrix(linear, batch):
    gram = batch["x"] @ batch["x"].T / (4 * 8)  # 1/fan-in of the parameterization, 1/m of the kernel
    found = linear.curvature(linear.initial(0), batch["x"])
    assert float(found) == pytest.approx(float(jnp.linalg.eigvalsh(gram)[-1]), rel=1e-3)


def test_a_linear_model_trains_up_to_two_over_its_curvature(linear, batch):
    options = {"low": 1.0, "high": 4.0, "halvings": 6, "steps": 400}
    found = regimes.largest_trainable_rate(linear, 0, batch, **options)
    assert found == pytest.approx(2.0, abs=0.05)
    assert regimes.largest_trainable_rate(linear, 0, batch, enough=0.0, **options) == pytest.approx(1.0, abs=0.05)


def test_a_sweep_starts_every_rate_at_the_same_parameters(linear, batch):
    curvature_0, trained = regimes.sweep(train, "sweep", linear, 3, batch, rates=[0.5, 1.0, 4.5], steps=60)
    assert curvature_0 == linear.curvature(linear.initial(3), batch["x"])
    assert len(set(trained.losses[:, 0].tolist())) == 1
    assert np.nanmax(trained.losses[2]) > 1e3 > trained.losses[2, 0], "a linear model has no catapult"
    alone = regimes.at_rate(0.5, linear, 3, batch, steps=60)
    np.testing.assert_allclose(trained.losses[0], alone.losses, rtol=1e-5)


def test_the_rate_decays_at_the_physical_time(linear, batch):
    optimizer = functools.partial(regimes.decayed, physical_time=4.0)
    options = {"rates": [0.5, 1.0], "steps": 10}
    _, decayed = regimes.sweep(train, "decayed", linear, 0, batch, optimizer=optimizer, **options)
    _, constant = regimes.sweep(train, "constant", linear, 0, batch, **options)
    np.testing.assert_allclose(decayed.losses[0], constant.losses[0], rtol=1e-5, err_msg="half is the decayed rate")
    np.testing.assert_allclose(decayed.losses[1, :5], constant.losses[1, :5], rtol=1e-5)
    assert abs(decayed.losses[1, 6] - constant.losses[1, 6]) > 1e-4


def test_a_linear_model_equals_its_linearization_wherever_it_is_expanded(linear, batch):
    optimizer = regimes.constant(1.0, linear.curvature(linear.initial(0), batch["x"]))
    options = {"optimizer": optimizer, "steps": 20}
    real, expanded = regimes.beside_linearization(linear, linear.initial(1), batch, batch, **options)
    assert real == expanded


def test_images_are_drawn_by_the_seed_without_replacement():
    pool = {"x": jnp.arange(20.0), "label": jnp.arange(20)}
    one, other = (regimes.drawn(pool, 10, seed=seed) for seed in (0, 1))
    assert len(set(one["label"].tolist())) == 10
    np.testing.assert_array_equal(one["x"], one["label"])
    assert set(one["label"].tolist()) != set(other["label"].tolist())
