"""The geometry of curves, against closed forms, finite differences and random networks; its theory, against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from deepphenomena import mean_field
from deepphenomena.mean_field import curvature, curves
from deepphenomena.runtime.errors import InputError


@pytest.fixture(autouse=True)
def in_double_precision():
    with jax.enable_x64(True):
        yield


def helix(t):
    return jnp.stack([2 * jnp.cos(t), 2 * jnp.sin(t), 0.5 * t])


def test_a_helix_has_its_textbook_curvature_length_and_turning():
    curve = curves.along(helix, jnp.linspace(0.0, 5.0, 7))
    speed = np.sqrt(2**2 + 0.5**2)
    np.testing.assert_allclose(curves.curvature(curve), 2 / speed**2, rtol=1e-12)
    np.testing.assert_allclose(curves.length(curve, span=5.0), 5 * speed, rtol=1e-12)
    np.testing.assert_allclose(curves.turning(curve, span=5.0), 5 * 2 / speed, rtol=1e-12)


def test_derivatives_of_a_curve_agree_with_finite_differences():
    def function(t):
        return jnp.tanh(jnp.array([[1.0, -2.0], [0.5, 3.0], [2.0, 1.0]]) @ jnp.stack([jnp.sin(t), t**2]))

    t, step = jnp.array([0.3, 0.9]), 1e-4
    curve = curves.along(function, t)
    before, here, after = (jax.vmap(function)(t + shift) for shift in (-step, 0.0, step))
    np.testing.assert_allclose(curve.velocity, (after - before) / (2 * step), atol=1e-6)
    np.testing.assert_allclose(curve.acceleration, (after - 2 * here + before) / step**2, atol=1e-5)


def test_curvature_does_not_depend_on_the_speed_along_the_curve():
    slow, fast = (curves.along(lambda t, p=p: helix(t**p), jnp.array([0.7]) ** (1 / p)) for p in (1.0, 3.0))
    np.testing.assert_allclose(curves.curvature(slow), curves.curvature(fast), rtol=1e-10)


def test_a_straight_line_is_not_curved_however_it_is_traversed():
    line = curves.along(lambda t: jnp.exp(3 * t) * jnp.array([1e3, -2e3, 1.0]), jnp.array([0.0, 2.0]))
    np.testing.assert_allclose(curves.curvature(line), 0, atol=1e-15)


@pytest.mark.parametrize("q", [0.05, 4.0, 12.6, 50.0])
@pytest.mark.parametrize("order", [1, 2])
def test_tanh_moments_agree_with_scipy_also_at_large_variance(q, order):
    def squared(z):
        t = np.tanh(np.sqrt(q) * z)
        derivative = 1 - t**2 if order == 1 else -2 * t * (1 - t**2)
        return derivative**2 * scipy.stats.norm.pdf(z)

    expected, _ = scipy.integrate.quad(squared, -9, 9, points=[0.0], epsabs=1e-13, epsrel=1e-12, limit=500)
    found = (mean_field.slope_moment if order == 1 else curvature.curvature_moment)("tanh", q)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["relu", "hard_tanh"])
def test_a_broken_slope_has_no_curvature_moment(name):
    with pytest.raises(InputError, match="its slope jumps"):
        curvature.curvature_moment(name, 1.0)


def test_the_linear_network_keeps_the_turning_of_a_circle():
    theory = curvature.circle_theory("identity", 0.5, 0.1, 6)
    np.testing.assert_allclose(theory.turning, 2 * np.pi, rtol=1e-12)
    np.testing.assert_allclose(theory.speed[1:] / theory.speed[:-1], 0.5, rtol=1e-12)


def test_the_turning_has_its_closed_form():
    chi1, chi2 = mean_field.chi("tanh", 6.25, 0.09), curvature.chi_2("tanh", 6.25, 0.09)
    q, layers = mean_field.fixed_variance("tanh", 6.25, 0.09), np.arange(12)
    squared = 1 + 3 * chi2 / chi1 * q * (chi1**layers - 1) / (chi1 - 1)
    theory = curvature.circle_theory("tanh", 6.25, 0.09, 12)
    np.testing.assert_allclose(theory.turning, 2 * np.pi * np.sqrt(squared), rtol=1e-10)


@pytest.mark.parametrize("weight_scale", [1.3, 2.5])
def test_random_networks_follow_the_theory_of_a_circle(weight_scale):
    units, depth, nets = 300, 6, 12
    q = float(mean_field.fixed_variance("tanh", weight_scale**2, 0.09))
    theory = curvature.circle_theory("tanh", weight_scale**2, 0.09, depth)

    def network(key):
        of_circle, *keys = jax.random.split(key, depth)
        start = curves.great_circle(of_circle, jnp.zeros(1), units=units, variance=q)

        def image(t):
            h = start.position[0] * jnp.cos(t) + start.velocity[0] * jnp.sin(t)
            for one in keys:
                weights = jax.random.normal(one, (units, units + 1))
                h = weight_scale / units**0.5 * weights[:, :-1] @ jnp.tanh(h) + 0.3 * weights[:, -1]
            return h

        curve = curves.along(image, jnp.linspace(0, curves.FULL_TURN, 20, endpoint=False))
        return jnp.mean(jnp.sum(curve.velocity**2, 1)) / units, curves.turning(curve)

    speed, turning = jax.lax.map(jax.jit(network), jax.random.split(jax.random.key(0), nets))
    np.testing.assert_allclose(np.exp(np.log(speed).mean()), theory.speed[-1], rtol=0.08)
    np.testing.assert_allclose(turning.mean(), theory.turning[-1], rtol=0.08)
    assert abs(float(speed.mean() / (1.1**depth * theory.speed[-1])) - 1) > 0.2  # a rate that is 10% off is seen
