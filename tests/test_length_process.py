"""Expectations between breaks, against SciPy; the length process, against networks with weights and closed forms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from deepphenomena import mean_field
from deepphenomena.mean_field import length_process, pieces


@pytest.fixture(autouse=True)
def in_double_precision():
    with jax.enable_x64(True):
        yield


FUNCTIONS = {
    "step above 0.3": (lambda u: 1.0 * (u > 0.3), [0.3]),
    "relu squared": (lambda u: jnp.maximum(u, 0) ** 2, [0.0]),
    "hard tanh squared": (lambda u: jnp.clip(u, -1, 1) ** 2, [-1.0, 1.0]),
    "exp |u|": (lambda u: jnp.exp(jnp.abs(u)), [0.0]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("q", [0.01, 1.0, 9.0])
def test_expectations_between_breaks_agree_with_scipy(name, q):
    function, breaks = FUNCTIONS[name]
    cuts = [b for b in (np.array(breaks) / q**0.5) if abs(b) < 14]

    def integrand(z):
        return float(function(jnp.float64(q**0.5 * z))) * scipy.stats.norm.pdf(z)

    ends = [-14.0, *cuts, 14.0]
    expected = sum(scipy.integrate.quad(integrand, a, b, epsabs=1e-12)[0] for a, b in itertools.pairwise(ends))
    np.testing.assert_allclose(pieces.expectation(function, q, breaks=breaks), expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("q", [0.2, 25.0, 400.0])
def test_expectations_agree_with_the_closed_forms_of_hard_activations(q):
    of_relu = pieces.expectation(lambda u: jnp.maximum(u, 0) ** 2, q)
    np.testing.assert_allclose(of_relu, q / 2, rtol=1e-12)
    hard = pieces.expectation(lambda u: jnp.clip(u, -1, 1) ** 2, q, breaks=[-1.0, 1.0])
    np.testing.assert_allclose(hard, mean_field.second_moment("hard_tanh", q), rtol=1e-10)


def test_the_process_has_the_law_of_networks_with_weights():
    units, draws, layers = 40, 4000, 3

    def explicit(key):
        x, squares = jnp.ones(units), []
        for of_layer in jax.random.split(key, layers):
            draw = jax.random.normal(of_layer, (units, units + 1))
            h = (1.5 / units) ** 0.5 * draw[:, :-1] @ x + 0.1**0.5 * draw[:, -1]
            x = jnp.tanh(h)
            squares.append(jnp.mean(x**2))
        return jnp.stack(squares)

    with_weights = jax.lax.map(explicit, jax.random.split(jax.random.key(0), draws), batch_size=200)
    drawn = length_process.networks(
        jax.random.key(1), jnp.tanh, 1.5, 0.1, units=units, layers=layers, draws=draws, together=200
    )
    for layer in range(layers):
        assert scipy.stats.ks_2samp(with_weights[:, layer], drawn.after[:, layer]).pvalue > 1e-3


def test_the_scatter_of_one_relu_layer_is_that_of_its_fourth_moment():
    found = length_process.networks(
        jax.random.key(0), jax.nn.relu, 2.0, 0.0, units=100, layers=1, draws=4000, together=500
    )
    np.testing.assert_allclose(found.after.mean(), 1, atol=0.02)
    np.testing.assert_allclose(found.after.var(), 5 / 100, rtol=0.1)


def test_together_changes_nothing():
    make = lambda together: length_process.networks(  # noqa: E731
        jax.random.key(3), jnp.tanh, 2.0, 0.0, units=30, layers=4, draws=6, together=together
    )
    np.testing.assert_allclose(make(1).before, make(4).before, rtol=1e-12)
