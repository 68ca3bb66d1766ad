"""Moments of pairs of Gaussians against dense quadrature, and at the ends of correlation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepphenomena import infinite_width
from deepphenomena.infinite_width.duals import NAMES, dual
from deepphenomena.runtime.errors import InputError

SMOOTH = {name: NAMES[name] for name in ("erf", "gelu", "sin", "cos", "tanh", "identity")} | {
    "softplus": dual(jax.nn.softplus),
    "swish": dual(jax.nn.swish),
}
KINKED = {"relu": NAMES["relu"], "leaky_relu": infinite_width.leaky_relu(0.3), "abs": infinite_width.leaky_relu(-1.0)}
PAIRS = [(0.3, 1.0, 1.0), (-0.5, 0.7, 2.0), (0.9, 1.0, 1.0), (1.9, 2.0, 2.0), (0.0, 2.0, 0.5)]


def moments(phi, k, q1, q2):
    pair = phi.pair.of(jnp.asarray(k), phi.pair.side(jnp.asarray(q1)), phi.pair.side(jnp.asarray(q2)))
    return [float(moment) for moment in pair]


def by_quadrature(phi, k, q1, q2, *, nodes=150, reach=9.0):
    """Both moments over u = √q₁ x, v = √q₂ (c x + s y), with Gauss-Legendre rules between the kinks at 0."""
    rule, weights = np.polynomial.legendre.leggauss(nodes)

    def between(breaks):
        """Nodes and weights of the normal density on both sides of each break, (breaks, 2 · nodes)."""
        ends = np.stack([np.full_like(breaks, -reach), breaks, np.full_like(breaks, reach)], axis=1)
        middle, half = (ends[:, 1:] + ends[:, :-1]) / 2, np.diff(ends) / 2
        z = (middle[..., None] + half[..., None] * rule).reshape(len(breaks), -1)
        return z, (half[..., None] * weights).reshape(z.shape) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

    c = k / np.sqrt(q1 * q2)
    s = np.sqrt(1 - c**2)
    x, of_x = (of[0] for of in between(np.zeros(1)))
    y, of_y = between(np.clip(-c * x / s, -reach, reach))
    u, v = np.sqrt(q1) * x[:, None], np.sqrt(q2) * (c * x[:, None] + s * y)
    slope = jax.vmap(jax.vmap(jax.grad(phi.function)))
    weight = of_x[:, None] * of_y
    return [np.sum(weight * of(u) * of(v)) for of in (phi.function, slope)]


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
def test_closed_forms_and_series_agree_with_quadrature(name):
    phi = (SMOOTH | KINKED)[name]
    with jax.enable_x64(True):
        for pair in PAIRS[:2] if name in KINKED else PAIRS:
            np.testing.assert_allclose(moments(phi, *pair), by_quadrature(phi, *pair), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
@pytest.mark.parametrize("q", [0.05, 1.0, 2.5])
def test_moments_of_one_gaussian_are_those_of_a_pair_of_equals(name, q):
    phi = (SMOOTH | KINKED)[name]
    with jax.enable_x64(True):
        one = [float(moment) for moment in phi.moments(jnp.asarray(q))]
        np.testing.assert_allclose(one, moments(phi, q, q, q), rtol=3e-5)


def test_a_series_of_a_kinked_function_is_near_its_closed_form():
    series, exact = dual(jnp.abs), infinite_width.leaky_relu(-1.0)
    with jax.enable_x64(True):
        for k in np.linspace(-0.9, 0.9, 7):
            np.testing.assert_allclose(moments(series, k, 1.0, 1.0)[0], moments(exact, k, 1.0, 1.0)[0], atol=1e-4)


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
def test_inputs_without_variance_give_finite_moments_and_derivatives(name):
    phi = (SMOOTH | KINKED)[name]

    def product(k, q):
        return phi.pair.of(k, phi.pair.side(q), phi.pair.side(jnp.float32(1.0)))[0]

    value, slopes = jax.value_and_grad(product, argnums=(0, 1))(jnp.float32(0.0), jnp.float32(0.0))
    assert np.isfinite([value, *slopes]).all()


def test_unknown_names_and_slopes_are_refused(unchecked_types):
    with pytest.raises(InputError, match="did you mean 'gelu'"):
        infinite_width.activation("gelo")
    with pytest.raises(InputError, match="slope"):
        infinite_width.leaky_relu("steep")
