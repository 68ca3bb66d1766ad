"""Singular values of Jacobians: against closed forms and NumPy, exact and by Golub-Kahan."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepphenomena.nets.initializers import delta_orthogonal, stacked
from deepphenomena.nets.ultra_deep import propagate
from deepphenomena.runtime.errors import InputError
from deepphenomena.spectra import jacobian_singular_values


def curved(rows, columns, seed=0):
    matrix = np.random.default_rng(seed).standard_normal((rows, columns))
    x = jnp.asarray(np.random.default_rng(seed + 1).standard_normal(columns))
    slope = 1 - np.tanh(matrix @ np.asarray(x)) ** 2
    return lambda x: jnp.tanh(jnp.asarray(matrix) @ x), x, np.linalg.svd(slope[:, None] * matrix, compute_uv=False)


@pytest.mark.parametrize(("rows", "columns"), [(6, 6), (5, 9), (9, 5)])
def test_exact_values_and_complete_golub_kahan_are_those_of_the_matrix(rows, columns):
    with jax.enable_x64(True):
        function, x, expected = curved(rows, columns)
        np.testing.assert_allclose(jacobian_singular_values(function, x), expected, rtol=1e-10)
        by_steps = jacobian_singular_values(function, x, steps=1000, key=jax.random.key(0))
        np.testing.assert_allclose(by_steps, expected, rtol=1e-8)


def test_few_steps_find_the_largest_values_of_a_large_jacobian_from_below():
    with jax.enable_x64(True):
        values = np.concatenate([[10.0, 7.0], np.linspace(0, 1, 198)])
        rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((200, 200)))[0]
        matrix = jnp.asarray(rotation * values @ rotation.T)
        found = jacobian_singular_values(lambda x: matrix @ x, jnp.zeros(200), steps=15, key=jax.random.key(1))
        assert found.shape == (15,)
        np.testing.assert_allclose(found[:2], [10.0, 7.0], rtol=1e-8)
        assert found[2] <= 1 + 1e-9


def test_repeated_values_of_an_isometry_are_all_found():
    # Every direction is singular with value 3: the Krylov space ends at once, and the iteration must start afresh.
    found = jacobian_singular_values(lambda x: 3 * x[::-1], jnp.ones(12), steps=12, key=jax.random.key(0))
    np.testing.assert_allclose(found, 3.0, rtol=1e-5)


def test_a_rank_that_is_not_full():
    found = jacobian_singular_values(
        lambda x: jnp.stack([x.sum(), x.sum()]), jnp.ones(8), steps=2, key=jax.random.key(0)
    )
    np.testing.assert_allclose(found, [4.0, 0.0], atol=1e-5)


def test_deep_networks_exact_and_by_steps_agree():
    kernels = stacked(delta_orthogonal(1.05**0.5))(jax.random.key(0), (40, 3, 3, 4, 4))
    x = 0.1 * jax.random.normal(jax.random.key(1), (4, 4, 4))

    def network(x):
        return propagate(kernels, jnp.zeros((40, 4)), x[None])[0]

    exact = jacobian_singular_values(network, x)
    assert exact.shape == (64,)
    by_steps = jacobian_singular_values(network, x, steps=64, key=jax.random.key(2))
    np.testing.assert_allclose(by_steps, exact, rtol=1e-3)
    jitted = jax.jit(lambda x: jacobian_singular_values(network, x, steps=30, key=jax.random.key(2)))(x)
    np.testing.assert_allclose(jitted[0], exact[0], rtol=1e-3)


@pytest.mark.parametrize(
    ("x", "options", "words"),
    [
        (jnp.arange(3), {}, "floating"),
        (jnp.ones(3), {"steps": 0, "key": jax.random.key(0)}, "steps"),
        (jnp.ones(3), {"steps": 2}, "key"),
    ],
)
def test_impossible_requests_are_refused(x, options, words, unchecked_types):
    with pytest.raises(InputError, match=words):
        jacobian_singular_values(lambda x: x, x, **options)
