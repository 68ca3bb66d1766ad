"""Mean-field theory: against closed forms, Monte Carlo, finite differences and random networks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deepphenomena import mean_field
from deepphenomena.runtime.errors import InputError

NAMES = sorted(mean_field.ACTIVATIONS)


@pytest.fixture(autouse=True)
def in_double_precision():
    with jax.enable_x64(True):
        yield


def monte_carlo(function, q1, q2, c, draws=4_000_000):
    """(mean, standard error) of function(u1, u2), antithetic."""
    z = np.random.default_rng(0).standard_normal((2, draws))
    u1, u2 = np.sqrt(q1) * z[0], np.sqrt(q2) * (c * z[0] + np.sqrt(1 - c**2) * z[1])
    values = (function(u1, u2) + function(-u1, -u2)) / 2
    return values.mean(), values.std() / np.sqrt(draws)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("q1", "q2", "c"), [(0.5, 0.5, 0.3), (1.5, 0.7, -0.6), (3.0, 3.0, 0.95)])
def test_moments_agree_with_monte_carlo(name, q1, q2, c):
    def phi(x):
        return np.asarray(mean_field.ACTIVATIONS[name].function(jnp.asarray(x)))

    for found, (expected, error) in [
        (mean_field.cross_moment(name, q1, q2, c), monte_carlo(lambda u, v: phi(u) * phi(v), q1, q2, c)),
        (mean_field.second_moment(name, q1), monte_carlo(lambda u, v: phi(u) ** 2, q1, q1, 0.0)),
    ]:
        assert abs(float(found) - expected) < 5 * error + 1e-5


@pytest.mark.parametrize("name", ["erf", "relu", "identity", "hard_tanh"])
@pytest.mark.parametrize(("q", "c"), [(0.05, 0.2), (1.0, -0.5), (4.0, 0.9)])
def test_closed_forms_agree_with_quadrature_of_the_same_function(name, q, c):
    function = mean_field.ACTIVATIONS[name].function

    def callable_form(x):  # another object, so that no closed form is known
        return function(x)

    smooth = name in ("erf", "identity")
    tolerance = 1e-10 if smooth else 1e-3 * max(q, 1)
    np.testing.assert_allclose(
        mean_field.cross_moment(name, q, q, c), mean_field.cross_moment(callable_form, q, q, c), atol=tolerance
    )
    np.testing.assert_allclose(
        mean_field.second_moment(name, q), mean_field.second_moment(callable_form, q), atol=1e-10 if smooth else 1e-4
    )
    np.testing.assert_allclose(
        mean_field.slope_moment(name, q), mean_field.slope_moment(callable_form, q), atol=1e-10 if smooth else 5e-3
    )


def test_erf_and_relu_against_their_textbook_formulas():
    q, c = 0.7, 0.4
    np.testing.assert_allclose(
        mean_field.cross_moment("erf", q, q, c), 2 / np.pi * np.arcsin(2 * q * c / (1 + 2 * q)), rtol=1e-12
    )
    theta = np.arccos(c)
    np.testing.assert_allclose(
        mean_field.cross_moment("relu", q, q, c), q / (2 * np.pi) * (np.sin(theta) + (np.pi - theta) * c), rtol=1e-12
    )


@pytest.mark.parametrize("name", ["tanh", "erf", "hard_tanh"])
@pytest.mark.parametrize("weight_variance", [0.7, 1.3, 2.5, 4.0])
def test_fixed_points_are_fixed_and_stable(name, weight_variance):
    q, c = mean_field.fixed_point(name, weight_variance, 0.05)
    np.testing.assert_allclose(mean_field.variance_map(name, weight_variance, 0.05, q), q, rtol=1e-10)
    chi = mean_field.chi(name, weight_variance, 0.05)
    assert (c < 1) == (chi > 1)
    if c < 1:
        np.testing.assert_allclose(mean_field.correlation_map(name, weight_variance, 0.05, c), c, atol=1e-9)
    again = functools.partial(mean_field.correlation_map, name, weight_variance, 0.05, q=q)
    reached = jax.lax.fori_loop(0, 500, lambda _, c: again(c), 0.5)  # iterating the map must end at the same place
    np.testing.assert_allclose(reached, c, atol=2e-3)


def test_relu_has_the_variances_of_its_geometric_series_and_none_above_two():
    np.testing.assert_allclose(mean_field.fixed_variance("relu", 1.5, 0.1), 0.1 / (1 - 0.75), rtol=1e-10)
    assert mean_field.fixed_variance("relu", 2.5, 0.1) == np.inf
    assert mean_field.fixed_variance("tanh", 0.5, 0.0) == 0


@given(st.floats(0.001, 5.0), st.sampled_from(["tanh", "erf", "hard_tanh"]))
@example(q=0.015625, name="hard_tanh")
@settings(max_examples=25, deadline=None)
def test_the_critical_line_has_chi_one_at_its_variance(q, name):
    weight_variance, bias_variance = mean_field.critical_line(name, q)
    np.testing.assert_allclose(mean_field.chi(name, weight_variance, bias_variance), 1, atol=1e-6)
    np.testing.assert_allclose(mean_field.variance_map(name, weight_variance, bias_variance, q), q, rtol=1e-14)
    # Hard-tanh of a small variance is the identity to rounding: every variance is then nearly fixed, and the fixed
    # point is known no better than rounding times its depth scale.
    slack = 1e-14 * mean_field.depth_scale(name, weight_variance, bias_variance).variance
    np.testing.assert_allclose(mean_field.fixed_variance(name, weight_variance, bias_variance), q, rtol=1e-5 + slack)


def test_the_authors_own_critical_point():
    bias_variance, q = mean_field.critical_point("tanh", 1.05)
    assert 2.00e-5 < bias_variance < 2.02e-5
    np.testing.assert_allclose(q, 0.0259, atol=1e-4)
    np.testing.assert_allclose(mean_field.chi("tanh", 1.05, bias_variance), 1, atol=1e-9)
    np.testing.assert_allclose(mean_field.critical_line("relu", 1.0), (2.0, 0.0), atol=1e-12)
    assert abs(mean_field.chi("tanh", 0.9 * 1.05, bias_variance) - 1) > 0.05, "off the line is off the line"


def test_depth_scales_are_the_published_ones_and_measured_by_iterating_the_map():
    scales = [mean_field.depth_scale("tanh", w, 0.05).correlation for w in (1.3, 2.5, 4.0)]
    np.testing.assert_allclose(scales, [7.83, 11.80, 6.98], atol=0.01)
    q, c = mean_field.fixed_point("tanh", 2.5, 0.05)
    one = c + 1e-4
    ten = one
    for _ in range(10):
        ten = mean_field.correlation_map("tanh", 2.5, 0.05, ten, q=q)
    np.testing.assert_allclose(-10 / np.log((ten - c) / (one - c)), scales[1], rtol=1e-3)
    first = mean_field.variance_map("tanh", 2.5, 0.05, q + 1e-6) - q
    np.testing.assert_allclose(-1 / np.log(first / 1e-6), mean_field.depth_scale("tanh", 2.5, 0.05).variance, rtol=1e-4)


@pytest.mark.parametrize("quantity", ["variance", "correlation", "scale"])
def test_derivatives_are_those_of_finite_differences(quantity):
    def value(w):
        if quantity == "scale":
            return mean_field.depth_scale("tanh", w, 0.05).correlation
        return getattr(mean_field.fixed_point("tanh", w, 0.05), quantity)

    np.testing.assert_allclose(jax.grad(value)(2.5), (value(2.5 + 1e-5) - value(2.5 - 1e-5)) / 2e-5, rtol=1e-5)


def test_a_phase_diagram_holds_the_single_answers():
    weights, biases = [0.8, 2.5], [0.0, 0.05, 0.1]
    diagram = mean_field.phase_diagram("erf", weights, biases)
    assert diagram.chi.shape == (2, 3)
    np.testing.assert_allclose(diagram.chi[1, 2], mean_field.chi("erf", 2.5, 0.1), rtol=1e-12)
    np.testing.assert_allclose(diagram.correlation[1, 1], mean_field.fixed_point("erf", 2.5, 0.05).correlation)
    np.testing.assert_allclose(diagram.depth_scale[0, 1], mean_field.depth_scale("erf", 0.8, 0.05).correlation)


def test_float32_serves_where_no_great_depth_multiplies_its_rounding():
    with jax.enable_x64(False):
        assert abs(mean_field.chi("tanh", *mean_field.critical_line("tanh", jnp.float32(0.3))) - 1) < 1e-5


# Space.

EQUAL = np.full(3, 1 / 3)


def test_averaging_eigenvalues_are_those_of_the_averaging_matrix():
    taps = np.array([0.2, 0.5, 0.3])
    matrix = sum(share * np.roll(np.eye(7), step, axis=1) for step, share in zip((-1, 0, 1), taps, strict=True))
    found = np.asarray(mean_field.averaging_eigenvalues(taps, (7,)))
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(np.linalg.eigvals(matrix)), atol=1e-12)
    np.testing.assert_allclose(
        mean_field.averaging_eigenvalues(EQUAL, (8,)), (1 + 2 * np.cos(2 * np.pi * np.arange(8) / 8)) / 3, atol=1e-12
    )
    both = mean_field.averaging_eigenvalues(np.outer(EQUAL, EQUAL), (8, 5))
    one = [np.asarray(mean_field.averaging_eigenvalues(EQUAL, (n,))) for n in (8, 5)]
    np.testing.assert_allclose(both, np.outer(*one), atol=1e-12)
    np.testing.assert_allclose(mean_field.averaging_eigenvalues(np.diag([0.0, 1.0, 0.0]), (4, 4)), 1.0)


def test_the_fixed_point_in_space_is_the_one_of_a_fully_connected_network():
    q, c = mean_field.fixed_point("erf", 2.5, 0.05)
    fixed = q * (c + (1 - c) * np.eye(5))
    np.testing.assert_allclose(mean_field.covariance_map("erf", 2.5, 0.05, fixed, taps=EQUAL), fixed, atol=1e-8)


def test_perturbed_modes_shrink_by_the_predicted_factors():
    bias_variance, q = mean_field.critical_point("erf", 1.2)
    n, layers = 8, 4
    scales = mean_field.mode_depth_scales("erf", 1.2, bias_variance, taps=EQUAL, size=(n,))
    for k in (1, 2):
        wave = np.cos(2 * np.pi * k * np.arange(n) / n)
        # Two inputs that differ little: their cross-covariance at equal positions carries the mode.
        covariance = jnp.asarray(np.full((n, n), q * 0.999) - np.diag(q * 1e-4 * wave))
        amplitudes = []
        for _ in range(layers):
            amplitudes.append(np.diag(covariance) @ wave)
            covariance = mean_field.cross_covariance_map(
                "erf", 1.2, bias_variance, covariance, variances=(jnp.full(n, q), jnp.full(n, q)), taps=EQUAL
            )
        np.testing.assert_allclose(
            -1 / np.log(amplitudes[2] / amplitudes[1]), scales[k], rtol=0.02, err_msg=f"mode {k}"
        )


def test_the_covariance_map_predicts_a_wide_random_network():
    n, width, draws = 6, 256, 60
    rng = np.random.default_rng(0)
    covariance = jnp.asarray(0.5 * (0.3 + 0.7 * np.eye(n)) + 0.2 * np.diag(np.arange(n) / n))
    half = np.linalg.cholesky(np.asarray(covariance))
    measured = np.zeros((3, n, n))
    for _ in range(draws):
        h = half @ rng.standard_normal((n, width))
        for layer in range(3):
            x = np.tanh(h)
            weights = rng.standard_normal((3, width, width)) * np.sqrt(1.5 / 3 / width)
            h = sum(np.roll(x, -step, 0) @ w for step, w in zip((-1, 0, 1), weights, strict=True))
            h = h + np.sqrt(0.05) * rng.standard_normal(width)
            measured[layer] += h @ h.T / width / draws
    for layer in range(3):
        covariance = mean_field.covariance_map("tanh", 1.5, 0.05, covariance, taps=EQUAL)
        np.testing.assert_allclose(measured[layer], covariance, atol=0.03)


def test_two_spatial_axes_reduce_to_one_where_the_kernel_does():
    covariance = jnp.asarray(0.4 * (0.5 + 0.5 * np.eye(5)) + 0.1 * np.diag(np.arange(5.0)))
    one = mean_field.covariance_map("relu", 1.5, 0.1, covariance, taps=EQUAL)
    two = mean_field.covariance_map("relu", 1.5, 0.1, covariance.reshape(1, 5, 1, 5), taps=EQUAL[None])
    np.testing.assert_allclose(two.reshape(5, 5), one, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mean_field.chi("tanhh", 1.0, 0.0), "did you mean 'tanh'"),
        (lambda: mean_field.chi("tanh", -1.0, 0.0), "weight_variance"),
        (lambda: mean_field.fixed_point("tanh", 1.0, float("nan")), "bias_variance"),
        (lambda: mean_field.critical_line("tanh", -0.5), "critical point"),
        (lambda: mean_field.critical_point("tanh", 0.9), "above 1"),
        (lambda: mean_field.averaging_eigenvalues([0.5, 0.5], (8,)), "odd"),
        (lambda: mean_field.averaging_eigenvalues([0.5, 0.2, 0.5], (8,)), "sum to 1"),
        (lambda: mean_field.averaging_eigenvalues(EQUAL, (8, 8)), "spatial axis"),
    ],
)
def test_impossible_theory_is_refused(call, words, unchecked_types):
    with pytest.raises(InputError, match=words):
        call()
