"""Networks in the tangent-kernel parameterisation."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from deepphenomena import nets


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_the_variance_of_the_output_does_not_depend_on_width_or_depth(activation):
    x = jax.random.normal(jax.random.key(0), (1, 300))
    x *= math.sqrt(300) / jnp.linalg.norm(x)
    for widths in ([300, 256, 64], [300, 256, 256, 256, 64]):
        build = functools.partial(nets.fully_connected, widths, activation=activation)
        network, parameters = nets.ensemble(build, jax.random.split(jax.random.key(1), 40))
        outputs = np.array([network(nets.member(parameters, k), x) for k in range(40)])
        # Var f = 1; the sample variance of 2,560 outputs, correlated within a network through its last hidden norm,
        # whose relative deviation is about √(depth · 5 / width).
        assert outputs.var() == pytest.approx(1.0, abs=0.15)


def test_the_network_is_a_product_of_scaled_matrices():
    network, parameters = nets.functional(nets.fully_connected([5, 7, 3], activation="linear", key=jax.random.key(0)))
    first, second = jax.tree.leaves(parameters)
    x = jnp.ones((2, 5))
    np.testing.assert_allclose(network(parameters, x), x @ first @ second / math.sqrt(5 * 7), rtol=1e-5)


def test_convolutional_network_scales_its_kernels_by_fan_in():
    model = nets.convolutional((9, 9, 2), channels=4, outputs=10, key=jax.random.key(0))
    network, parameters = nets.functional(model)
    shapes = sorted(leaf.shape for leaf in jax.tree.leaves(parameters))
    assert shapes == [(3, 3, 2, 4), (3, 3, 4, 4), (36, 10)]
    outputs = network(parameters, jnp.ones((5, 9, 9, 2)))
    assert outputs.shape == (5, 10)
    doubled = jax.tree.map(lambda leaf: 2 * leaf, parameters)  # homogeneous of degree three: no bias anywhere
    np.testing.assert_allclose(network(doubled, jnp.ones((5, 9, 9, 2))), 8 * outputs, rtol=1e-5)


def test_ensemble_members_are_the_models_built_alone():
    build = functools.partial(nets.fully_connected, [4, 8, 2], activation="tanh")
    keys = jax.random.split(jax.random.key(3), 3)
    network, parameters = nets.ensemble(build, keys)
    x = jax.random.normal(jax.random.key(4), (5, 4))
    for k in range(3):
        np.testing.assert_allclose(network(nets.member(parameters, k), x), build(key=keys[k])(x), rtol=1e-6)
    chosen = nets.member(parameters, np.array([2, 0, 2]))
    assert all(leaf.shape[0] == 3 for leaf in jax.tree.leaves(chosen))


def test_same_key_same_network():
    build = functools.partial(nets.fully_connected, [4, 8, 2], activation="relu", key=jax.random.key(9))
    assert all(jax.tree.leaves(jax.tree.map(jnp.array_equal, nnx.state(build()), nnx.state(build()))))
