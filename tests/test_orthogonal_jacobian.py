"""Penalties of the chapter on orthogonal Jacobians against explicit Jacobians, and its networks and choices."""

import functools
import itertools

import jax
import jax.numpy as jnp
import nbformat
import numpy as np
import pandas as pd
import pytest

from deepphenomena import training
from deepphenomena.book import runner
from deepphenomena.papers import orthogonal_jacobian as small
from deepphenomena.training import objectives

DRAW = functools.partial(small.initial, inputs=7, width=5, depth=3)


@pytest.fixture(scope="module")
def chapter():
    """What the open cells of the notebook define: the penalties and the loss."""
    notebook = nbformat.read(runner.notebook_path("orthogonal_jacobian"), as_version=4)
    names = {"jax": jax, "jnp": jnp, "small": small, "objectives": objectives}
    for cell in notebook.cells:
        if "idea" in cell.metadata.get("tags", []):
            exec(cell.source, names)
    return names


def drawn(seed=0, units=5, samples=3):
    """Weights, a bias and inputs, in double precision."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((units, units)), rng.standard_normal(units), rng.standard_normal((samples, units))


def distances(layer, h):
    """‖JᵀJ − 1‖² of the explicit Jacobian at each input."""
    jacobians = jax.vmap(jax.jacfwd(layer))(jnp.asarray(h))
    return np.array([jnp.sum((J.T @ J - jnp.eye(len(J))) ** 2) for J in jacobians])


def test_over_all_vectors_of_signs_the_penalty_is_the_squared_norm(chapter):
    with jax.enable_x64(True):
        weights, bias, (h, *_) = drawn()
        layer = lambda h: jnp.tanh(h @ weights + bias)  # noqa: E731
        signs = np.array(list(itertools.product([-1, 1], repeat=5))) / 5**0.5
        found = chapter["jacobian"](layer, weights, np.broadcast_to(h, signs.shape), signs)
        np.testing.assert_allclose(found, distances(layer, h[None])[0], rtol=1e-12)


def test_the_penalty_is_a_mean_over_samples_with_a_jacobian_each(chapter):
    with jax.enable_x64(True):
        weights, bias, h = drawn(1)
        layer = lambda h: jnp.tanh(h @ weights + bias)  # noqa: E731
        # The unit vectors of the axes have the same mean of v vᵀ as random ones.
        found = chapter["jacobian"](layer, weights, np.repeat(h, 5, axis=0), np.tile(np.eye(5), (3, 1)))
        np.testing.assert_allclose(found, distances(layer, h).mean(), rtol=1e-12)


def test_random_signs_are_unit_vectors_without_preferred_directions():
    found = np.asarray(small.probes(jax.random.key(3), 40_000, 6))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(found.T @ found / 40_000, np.eye(6) / 6, atol=0.005)


@pytest.mark.parametrize(("activation", "same"), [(jax.nn.relu, True), (jnp.tanh, False)])
def test_reconstruction_is_the_jacobian_penalty_along_the_input_for_relu_only(chapter, activation, same):
    with jax.enable_x64(True):
        weights, _, h = drawn(2)
        layer = lambda h: activation(h @ weights)  # noqa: E731
        jacobians = jax.vmap(jax.jacfwd(layer))(jnp.asarray(h))
        along = np.mean([jnp.sum((J.T @ (J @ row) - row) ** 2) for J, row in zip(jacobians, h, strict=True)])
        found = float(chapter["autoencoder"](layer, weights, h, None))
        assert bool(np.isclose(found, along, rtol=1e-12)) is same


@pytest.mark.parametrize("name", ["jacobian", "autoencoder", "orthogonal_weights"])
def test_descent_on_a_penalty_alone_makes_a_linear_layer_orthogonal(chapter, name):
    h, probes = jax.random.normal(jax.random.key(0), (64, 5)), small.probes(jax.random.key(1), 64, 5)
    cost = lambda weights: chapter[name](lambda h: h @ weights, weights, h, probes)  # noqa: E731
    weights = 0.3 * jax.random.normal(jax.random.key(2), (5, 5))
    step = jax.jit(lambda weights: weights - 0.01 * jax.grad(cost)(weights))
    for _ in range(2000):
        weights = step(weights)
    np.testing.assert_allclose(jnp.linalg.svd(weights, compute_uv=False), 1, atol=0.02)


def test_the_loss_adds_the_mean_penalty_times_its_strength(chapter):
    parameters = DRAW(jax.random.key(0), 1.2, 0.3)
    batch = {"x": jnp.ones((2, 7)), "y": jnp.array([1, 2]), "probes": small.probes(jax.random.key(1), 2, 5)}
    found = chapter["penalized"](chapter["weight_norm"])(parameters, batch)
    task = objectives.cross_entropy(small.outputs(parameters, batch["x"]), batch["y"])
    np.testing.assert_allclose(found - task, 0.3 * jnp.sum(parameters["hidden"] ** 2) / 3, rtol=1e-4)


def test_a_penalty_moves_the_weights_of_its_own_layer_alone(chapter):
    parameters = DRAW(jax.random.key(0), 1.2, 1.0)
    batch = {"x": jnp.ones((2, 7)), "y": jnp.array([1, 2]), "probes": small.probes(jax.random.key(1), 2, 5)}

    def of_last(layer, weights, h, probes):
        mine = jnp.all(weights == parameters["hidden"][2])
        return jnp.where(mine, chapter["autoencoder"](layer, weights, h, probes), 0.0)

    def gradient(penalty):
        return jax.grad(chapter["penalized"](penalty))(parameters, batch)

    change = jax.tree.map(lambda one, other: float(jnp.abs(one - other).max()), gradient(of_last), gradient(small.free))
    assert change["first"] == change["readout"] == change["strength"] == 0
    moved = jnp.abs(gradient(of_last)["hidden"] - gradient(small.free)["hidden"]).max(axis=(1, 2))
    assert (moved > 0).tolist() == [False, False, True]


def test_a_network_is_its_layers_one_after_another():
    parameters = DRAW(jax.random.key(0), 1.2, 0.0) | {"bias": jnp.arange(15.0).reshape(3, 5) / 10}
    x = jax.random.normal(jax.random.key(1), (4, 7))
    h = np.tanh(np.asarray(x @ parameters["first"]))
    for weights, bias in zip(parameters["hidden"], parameters["bias"], strict=True):
        h = np.tanh(h @ np.asarray(weights) + np.asarray(bias))
    np.testing.assert_allclose(small.outputs(parameters, x), h @ parameters["readout"], rtol=2e-4)


def test_the_ratio_of_error_signals_is_that_of_gradients_by_activations():
    parameters = DRAW(jax.random.key(0), 1.5, 0.0)
    x, y = jax.random.normal(jax.random.key(1), (4, 7)), jnp.array([0, 1, 2, 3])

    def loss(added):
        h = jnp.tanh(x @ parameters["first"]) + added[0]
        for weights in parameters["hidden"]:
            h = jnp.tanh(h @ weights)
        return objectives.cross_entropy((h + added[1]) @ parameters["readout"], y)

    first, last = jax.grad(loss)(jnp.zeros((2, 4, 5)))
    expected = jnp.log10(jnp.linalg.norm(first) / jnp.linalg.norm(last))
    np.testing.assert_allclose(small.signal_ratio(parameters, {"x": x, "y": y}), expected, rtol=1e-4)


def test_the_ratio_does_not_underflow_in_a_deep_network():
    parameters = small.initial(jax.random.key(0), 0.1, 0.0, inputs=7, width=40, depth=100)
    images = {"x": jnp.ones((2, 7)), "y": jnp.array([0, 1])}
    assert -105 < small.signal_ratio(parameters, images) < -95  # 0.1 in each layer, up to its random draw


def test_a_batch_is_a_row_of_images_with_their_labels():
    data = {"x": jnp.arange(20), "y": jnp.arange(20), "probes": jnp.arange(30.0)}
    seen = [small.batch(jax.random.key(seed), 0, data, size=5) for seed in range(200)]
    for one in seen:
        assert (one["x"] == one["y"]).all()
        assert (jnp.diff(one["x"]) == 1).all()
    assert {int(one["x"][0]) for one in seen} == set(range(16))
    assert len({float(one["probes"][0]) - int(one["x"][0]) for one in seen}) > 16, "images and probes move apart"


def test_a_clipped_step_is_never_longer_than_its_rate():
    for size, expected in ((100.0, 0.1), (0.5, 0.05)):
        optimizer = small.clipped(0.1)
        update, _ = optimizer.update(jnp.array([size, 0.0]), optimizer.init(jnp.zeros(2)))
        np.testing.assert_allclose(jnp.linalg.norm(update), expected, rtol=1e-6)


def handmade(validation):
    """Two seeds with two trials. The second trial of the first and the first of the second get every image right."""
    members = training.grid(seed=[4, 5], start=["deep"], trial=[0, 1])
    parameters = members.stack(lambda seed, trial: DRAW(jax.random.key(0), 1.0, 0.0))
    right = {
        "x": jnp.ones((6, 7)),
        "y": jnp.argmax(small.outputs(DRAW(jax.random.key(0), 1.0, 0.0), jnp.ones((6, 7))), 1),
    }
    sign = jnp.array([-1.0, 1.0, 1.0, -1.0])
    parameters["readout"] = parameters["readout"] * sign[:, None, None]
    decades = np.arange(12.0).reshape(4, 3)
    metrics = {"validation": np.broadcast_to(np.array(validation)[:, None], (4, 3)), "decades": decades}
    diverged = np.isnan(validation)
    return training.Trained(
        parameters, np.zeros((4, 2)), np.arange(3), metrics, np.full(4, 2), diverged, members
    ), right


@pytest.mark.parametrize(
    ("validation", "trials", "test"),
    [([0.1, 0.9, 0.8, 0.2], [1, 0], [100, 100]), ([0.9, 0.1, 0.2, 0.8], [0, 1], [0, 0]),
     ([0.1, np.nan, 0.5, 0.5], [0, 0], [0, 100])],
)  # fmt: skip
def test_the_trial_is_chosen_by_validation_accuracy_for_each_seed(validation, trials, test):
    found = small.best(*handmade(validation), early=1)
    assert found.index.tolist() == [(4, "deep"), (5, "deep")]
    assert found["trial"].tolist() == trials
    assert found["test"].tolist() == test
    first = [3 * trials[0], 6 + 3 * trials[1]]
    assert found[["initial", "early", "end"]].to_numpy().tolist() == [[k, k + 1, k + 2] for k in first]


def test_the_accuracies_of_all_members_carry_their_labels():
    found = small.accuracies(*handmade([0.5] * 4))
    assert found.to_dict() == {(4, "deep", 0): 0, (4, "deep", 1): 100, (5, "deep", 0): 100, (5, "deep", 1): 0}


def test_every_seed_has_its_own_test_images():
    parameters = DRAW(jax.random.key(0), 1.0, 0.0)
    images = {"x": jax.random.normal(jax.random.key(1), (200, 7)), "y": jnp.zeros(200, int)}
    found = [small.resampled_accuracy(parameters, images, seed) for seed in range(200)]
    share = float(jnp.mean(jnp.argmax(small.outputs(parameters, images["x"]), 1) == 0))
    np.testing.assert_allclose(np.mean(found), 100 * share, atol=1.0)
    np.testing.assert_allclose(np.std(found), 100 * (share * (1 - share) / 200) ** 0.5, rtol=0.2)


def test_gains_lie_one_in_each_interval_and_fill_it():
    found = np.array([small.gains(seed, low=0.5, high=8.0, count=4) for seed in range(300)])
    for k, (low, high) in enumerate(itertools.pairwise([0.5, 1, 2, 4, 8])):
        assert ((found[:, k] >= low) & (found[:, k] < high)).all()
        np.testing.assert_allclose(np.log(found[:, k] / low).mean(), np.log(high / low) / 2, rtol=0.1)


def test_nearness_is_that_of_means_over_seeds():
    rng = np.random.default_rng(0)
    one, other = (pd.DataFrame(rng.normal([-3, 2], size=(9, 2)), columns=["a", "b"]) for _ in range(2))
    found = small.nearer_to_zero(one, 0.1 * other)
    np.testing.assert_allclose(found.mean(), one.mean().abs() - 0.1 * other.mean().abs())
    assert small.worst(found).name == "b"
