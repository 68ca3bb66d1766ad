"""Spectra of circular convolutions against the dense matrix of the operator."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from deepphenomena.kernels import convolution
from deepphenomena.runtime.errors import InputError
from deepphenomena.spectra import (
    project_to_operator_norm_ball,
    singular_values_of_convolution,
    top_singular_value_of_convolution,
)


def weights(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def dense(w, input_shape):
    """The operator's matrix, column by column."""
    shape = (*input_shape, w.shape[2])
    basis = jnp.eye(int(np.prod(shape)), dtype=w.dtype).reshape(-1, *shape)
    return convolution(basis, w, padding="CIRCULAR").reshape(basis.shape[0], -1).T


@settings(max_examples=12, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    image=st.tuples(st.integers(1, 6), st.integers(1, 5)),
    seed=st.integers(0, 1000),
)
def test_the_values_are_those_of_the_dense_matrix(kernel, channels, image, seed):
    with jax.enable_x64(True):
        w = weights(seed, *kernel, *channels)
        expected = jnp.linalg.svd(dense(w, image), compute_uv=False)
        np.testing.assert_allclose(singular_values_of_convolution(w, image), expected, atol=1e-10 * expected[0])
        np.testing.assert_allclose(top_singular_value_of_convolution(w, image), expected[0], rtol=1e-10)


def test_float32_is_accurate_to_float32_also_for_small_values():
    w = weights(3, 3, 3, 8, 8)
    with jax.enable_x64(True):
        exact = singular_values_of_convolution(jnp.asarray(w, jnp.float64), (8, 6))
    values = singular_values_of_convolution(jnp.asarray(w, jnp.float32), (8, 6))
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, exact, atol=2e-6 * float(exact[0]))


def test_the_derivative_of_the_norm_is_that_of_the_dense_matrix():
    with jax.enable_x64(True):
        w = weights(1, 3, 2, 3, 2)
        ours = jax.grad(lambda w: top_singular_value_of_convolution(w, (4, 5)))(w)
        theirs = jax.grad(lambda w: jnp.linalg.norm(dense(w, (4, 5)), 2))(w)
        np.testing.assert_allclose(ours, theirs, atol=1e-9)
        ours = jax.grad(lambda w: jnp.sum(jnp.log(singular_values_of_convolution(w, (4, 5)))))(w)
        theirs = jax.grad(lambda w: jnp.sum(jnp.log(jnp.linalg.svd(dense(w, (4, 5)), compute_uv=False))))(w)
        np.testing.assert_allclose(ours, theirs, atol=1e-8)


def test_projection_keeps_what_is_inside_the_ball():
    w = weights(0, 3, 3, 2, 3)
    np.testing.assert_array_equal(project_to_operator_norm_ball(w, (5, 5), 1e3), w)


def test_projection_of_a_single_tap_clips_its_singular_values():
    with jax.enable_x64(True):
        w = weights(0, 1, 1, 4, 3)
        u, s, vh = jnp.linalg.svd(w[0, 0], full_matrices=False)
        expected = (u * jnp.minimum(s, 1.0)) @ vh
        np.testing.assert_allclose(project_to_operator_norm_ball(w, (4, 4), 1.0)[0, 0], expected, atol=1e-12)


def test_projection_is_the_nearest_point_of_the_ball():
    """Of a convex set's nearest point p to w: ⟨w − p, z − p⟩ ≤ 0 for every z in the set."""
    with jax.enable_x64(True):
        w, image = weights(5, 3, 3, 2, 2), (5, 4)
        bound = 0.5 * top_singular_value_of_convolution(w, image)
        projected = project_to_operator_norm_ball(w, image, bound, iterations=300)
        assert top_singular_value_of_convolution(projected, image) <= bound * (1 + 1e-12)
        away = w - projected
        inside = [weights(100 + seed, *w.shape) for seed in range(50)]
        # also points around the projection itself, where the inequality is tightest
        inside += [projected + 0.01 * weights(200 + seed, *w.shape) for seed in range(50)]
        for z in inside:
            z = z * jnp.minimum(1.0, bound / top_singular_value_of_convolution(z, image))
            assert jnp.sum(away * (z - projected)) <= 1e-3 * jnp.sum(away**2)
        once = project_to_operator_norm_ball(w, image, bound, iterations=1)
        assert jnp.linalg.norm(away) <= jnp.linalg.norm(w - once)


@pytest.mark.parametrize("bound", [0.3, 2.0])
def test_the_bound_holds_after_few_iterations_too(bound):
    w = jnp.asarray(weights(7, 3, 3, 4, 5), jnp.float32)
    projected = project_to_operator_norm_ball(w, (6, 6), bound, iterations=2)
    assert top_singular_value_of_convolution(projected, (6, 6)) <= bound * (1 + 1e-5)


def test_bad_input_is_refused(unchecked_types):
    w = jnp.ones((3, 3, 2, 2))
    for call in (
        lambda: singular_values_of_convolution(w[0], (4, 4)),
        lambda: singular_values_of_convolution(w, (4,)),
        lambda: singular_values_of_convolution(w, (0, 4)),
        lambda: top_singular_value_of_convolution(w.astype(int), (4, 4)),
        lambda: project_to_operator_norm_ball(w, (2, 4), 1.0),
        lambda: project_to_operator_norm_ball(w, (4, 4), 0.0),
    ):
        with pytest.raises(InputError):
            call()
