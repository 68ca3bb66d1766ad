"""Hard-tanh networks of the chapter on expressive power: gradients, lengths, noise and normalization."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from deepphenomena.mean_field import trajectories
from deepphenomena.nets import square_stack
from deepphenomena.papers import expressive_power as paper


@pytest.fixture
def network():
    return square_stack.initial(jax.random.key(0), 3.0, inputs=6, width=20, hidden=3)


def test_weights_have_their_variance_over_the_fan_in():
    drawn = square_stack.initial(jax.random.key(1), 2.0, inputs=400, width=100, hidden=4)
    np.testing.assert_allclose(drawn["first"].var() * 400, 2.0, rtol=0.03)
    np.testing.assert_allclose(drawn["hidden"].var((1, 2)) * 100, 2.0, rtol=0.1)


def test_training_one_layer_moves_this_layer_alone(network):
    optimizer = optax.chain(square_stack.only(2), optax.adam(0.1))
    gradients = jax.tree.map(jnp.ones_like, network)
    updates, _ = optimizer.update(gradients, optimizer.init(network), network)
    moved = {name: np.asarray(of != 0) for name, of in updates.items()}
    assert not moved["first"].any()
    assert not moved["readout"].any()
    assert moved["hidden"].all((1, 2)).tolist() == [False, True, False]


def test_lengths_of_circles_agree_with_dense_polygons(network):
    one, other = jax.random.normal(jax.random.key(2), (2, 6))
    found = square_stack.circle_lengths(network, one, other, points=20_000)
    t = jnp.linspace(0, 2 * np.pi, 20_001)[:, None]
    dense = [trajectories.length(z) for z in square_stack.images(network, jnp.cos(t) * one + jnp.sin(t) * other)]
    np.testing.assert_allclose(found, dense, rtol=2e-3)


def test_noise_goes_to_the_named_layer_and_has_its_size(network):
    wide = square_stack.initial(jax.random.key(0), 3.0, inputs=50, width=200, hidden=3)
    for layer in range(4):
        change = jax.tree.map(jnp.subtract, paper.noisy(wide, jax.random.key(1), layer, 0.5), wide)
        sizes = np.array([jnp.sqrt(jnp.mean(change["first"] ** 2)), *jnp.sqrt(jnp.mean(change["hidden"] ** 2, (1, 2)))])
        assert (sizes > 0).tolist() == [k == layer for k in range(4)]
        weights = wide["first"] if layer == 0 else wide["hidden"][layer - 1]
        np.testing.assert_allclose(sizes[layer], 0.5 * jnp.sqrt(jnp.mean(weights**2)), rtol=0.02)


def test_normalization_undoes_the_scale_of_its_input():
    h = jax.random.normal(jax.random.key(0), (500, 40))
    for normalize in (paper.batch_normalized, paper.trajectory_normalized):
        np.testing.assert_allclose(normalize(7 * h), normalize(h), atol=1e-3)
        np.testing.assert_allclose(normalize(h).std(), 1, rtol=0.02)


def test_trajectory_normalization_keeps_directions_and_differences_of_size():
    h = jax.random.normal(jax.random.key(0), (50, 4)) * jnp.array([1.0, 2.0, 0.1, 5.0]) + 3
    ratio = paper.trajectory_normalized(h) / h
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)


def test_rank_correlations_take_the_steps_of_their_resolution():
    rows = np.array([[1.0, 2, 3, 4], [1, 2, 4, 3]])
    found = paper.rank_correlation(rows)
    np.testing.assert_allclose(found[0] - found[1], paper.rank_step(4))
