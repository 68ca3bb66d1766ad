"""Singular values of convolutions against a dense matrix written down entry by entry, and against what images do."""

import itertools
from functools import partial

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from deepphenomena.kernels import convolution
from deepphenomena.spectra import (
    project_to_operator_norm_ball,
    singular_values_of_convolution,
    top_singular_value_of_convolution,
)

# Images, kernel, channels, features: odd and even, not square, as large as the image, more channels and fewer.
CASES = [
    ((4, 5), (3, 3), 2, 3),
    ((6, 4), (2, 3), 3, 2),
    ((5, 5), (5, 5), 2, 2),
    ((4, 6), (4, 1), 1, 3),
    ((1, 7), (1, 2), 3, 1),
    ((3, 3), (1, 1), 4, 4),
]


def weights(case, seed=0):
    shape, kernel, channels, features = case
    return np.random.default_rng(seed).normal(size=(*kernel, channels, features)), shape


def dense(w, shape):
    """The matrix of the circular convolution, entry by entry from its definition; rows are outputs."""
    (height, width), (*kernel, channels, features) = shape, w.shape
    matrix = np.zeros((height, width, features, height, width, channels))
    for i, j, a, b in itertools.product(*map(range, (height, width, *kernel))):
        row, column = (i + a - (kernel[0] - 1) // 2) % height, (j + b - (kernel[1] - 1) // 2) % width
        matrix[i, j, :, row, column] += w[a, b].T
    return matrix.reshape(height * width * features, -1)


def matrix_of(w, shape):
    """The matrix of `convolution`, from what it does to each unit image."""
    x = jnp.eye(shape[0] * shape[1] * w.shape[2]).reshape(-1, *shape, w.shape[2])
    return convolution(x, w, padding="CIRCULAR").reshape(len(x), -1).T


@pytest.mark.parametrize("case", CASES)
def test_they_are_those_of_the_dense_matrix(case):
    w, shape = weights(case)
    with jax.enable_x64(True):
        expected = np.linalg.svd(dense(w, shape), compute_uv=False)
        ours = singular_values_of_convolution(w, shape)
        np.testing.assert_allclose(ours, expected, atol=1e-12)
        np.testing.assert_allclose(top_singular_value_of_convolution(w, shape), expected[0], rtol=1e-12)
        np.testing.assert_allclose(jnp.sum(ours**2), shape[0] * shape[1] * np.sum(w**2), rtol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_the_dense_matrix_is_what_convolution_does(case):
    w, shape = weights(case)
    with jax.enable_x64(True):
        np.testing.assert_allclose(matrix_of(jnp.asarray(w), shape), dense(w, shape), atol=1e-12)


def test_a_kernel_of_one_tap_has_those_of_its_matrix_at_every_pixel():
    w = jax.random.normal(jax.random.key(0), (1, 1, 3, 5))
    expected = np.repeat(np.linalg.svd(w[0, 0], compute_uv=False), 12)
    np.testing.assert_allclose(singular_values_of_convolution(w, (3, 4)), expected, rtol=1e-5)


def test_single_precision_is_as_good_as_it_says():
    w, shape = weights(((16, 16), (3, 3), 16, 16))
    with jax.enable_x64(True):
        exact = np.asarray(singular_values_of_convolution(w, shape))
    ours = np.asarray(singular_values_of_convolution(jnp.asarray(w, jnp.float32), shape))
    assert ours.dtype == np.float32
    large = exact > 0.1 * exact[0]
    assert large.mean() > 0.5
    np.testing.assert_allclose(ours[large], exact[large], rtol=1e-5)
    np.testing.assert_allclose(ours, exact, atol=2e-6 * exact[0])


def test_no_input_is_stretched_by_more_than_the_top_value_and_one_by_just_that():
    w, shape = weights(((8, 7), (3, 3), 4, 5))
    with jax.enable_x64(True):
        top = top_singular_value_of_convolution(w, shape)
        apply = partial(convolution, w=jnp.asarray(w), padding="CIRCULAR")
        x = jax.random.normal(jax.random.key(0), (1, *shape, 4))
        back = jax.linear_transpose(apply, x)
        for _ in range(300):
            assert jnp.linalg.norm(apply(x)) <= top * jnp.linalg.norm(x) * (1 + 1e-12)
            (x,) = back(apply(x))
            x /= jnp.linalg.norm(x)
        np.testing.assert_allclose(jnp.linalg.norm(apply(x)), top, rtol=1e-3)


@pytest.mark.parametrize("case", CASES[:4])
def test_gradient_of_the_top_value_matches_finite_differences(case):
    w, shape = weights(case, seed=1)
    with jax.enable_x64(True):
        of = partial(top_singular_value_of_convolution, input_shape=shape)
        gradient = np.asarray(jax.grad(of)(jnp.asarray(w)))
        step = 1e-6
        for index in list(np.ndindex(w.shape))[:: max(1, w.size // 6)]:
            moved = np.zeros_like(w)
            moved[index] = step
            slope = (of(w + moved) - of(w - moved)) / (2 * step)
            np.testing.assert_allclose(gradient[index], slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("case", [case for case in CASES if case[0] == case[1]] + [((4, 5), (4, 5), 2, 3)])
def test_projection_of_a_kernel_as_large_as_the_image_clips_the_dense_matrix(case):
    w, shape = weights(case)
    with jax.enable_x64(True):
        left, values, right = np.linalg.svd(dense(w, shape), full_matrices=False)
        bound = float(np.median(values))
        ours = project_to_operator_norm_ball(jnp.asarray(w), shape, bound)
        np.testing.assert_allclose(dense(np.asarray(ours), shape), left * np.minimum(values, bound) @ right, atol=1e-11)


def test_the_bound_is_a_value_not_a_new_program():
    w, shape = weights(CASES[0])
    w = jnp.asarray(w, jnp.float32)
    project = jax.jit(lambda w, bound: project_to_operator_norm_ball(w, shape, bound))
    for bound in (0.5, 1.0):
        np.testing.assert_allclose(project(w, bound), project_to_operator_norm_ball(w, shape, bound), atol=1e-6)
    assert project._cache_size() == 1
