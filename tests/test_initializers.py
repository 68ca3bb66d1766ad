"""Initializers: orthogonality of kernels and of their convolutions, the Haar law, and input that cannot be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepphenomena.kernels import convolution
from deepphenomena.nets.initializers import (
    delta_orthogonal,
    gaussian_convolution,
    orthogonal,
    orthogonal_convolution,
    stacked,
)
from deepphenomena.runtime.errors import InputError

ORTHOGONAL = [delta_orthogonal, orthogonal_convolution]


@pytest.mark.parametrize("make", ORTHOGONAL)
@pytest.mark.parametrize(("channels_in", "channels_out"), [(6, 6), (3, 8)])
@pytest.mark.parametrize("gain", [1.0, 1.3])
def test_circular_convolution_multiplies_every_norm_by_the_gain(make, channels_in, channels_out, gain):
    for seed in range(3):
        kernel = make(gain)(jax.random.key(seed), (3, 3, channels_in, channels_out))
        x = jax.random.normal(jax.random.key(seed + 10), (5, 6, 7, channels_in))
        y = convolution(x, kernel, padding="CIRCULAR")
        norms = [np.linalg.norm(np.asarray(a).reshape(5, -1), axis=1) for a in (x, y)]
        np.testing.assert_allclose(norms[1], gain * norms[0], rtol=1e-5)


@pytest.mark.parametrize("make", ORTHOGONAL)
def test_the_convolution_is_orthogonal_at_every_frequency(make):
    with jax.enable_x64(True):
        kernel = make()(jax.random.key(0), (3, 3, 4, 6), jnp.float64)
        transfer = np.fft.fft2(np.asarray(kernel), (5, 5), axes=(0, 1))
    np.testing.assert_allclose(
        transfer @ transfer.conj().swapaxes(2, 3), np.broadcast_to(np.eye(4), (5, 5, 4, 4)), atol=1e-12
    )


def test_the_delta_kernel_is_orthonormal_at_its_centre_and_zero_elsewhere():
    kernel = np.array(delta_orthogonal(2.0)(jax.random.key(0), (5, 3, 4, 7)))
    np.testing.assert_allclose(kernel[2, 1] @ kernel[2, 1].T, 4 * np.eye(4), atol=1e-5)
    kernel[2, 1] = 0
    assert not kernel.any()


def test_the_spread_kernel_uses_all_its_taps():
    kernel = np.asarray(orthogonal_convolution()(jax.random.key(0), (3, 3, 8, 8)))
    assert (np.linalg.norm(kernel, axis=(2, 3)) > 0.1).all()


def test_orthogonal_matrices_follow_the_haar_law():
    # Of a Haar matrix O: E[O_11] = 0, E[tr O] = 0, E[(tr O)^2] = 1, E[O_11^2] = 1/n and E[O_11^4] = 3/(n(n+2)).
    # Without the signs of R the trace would be biased: LAPACK's Q alone has a mean of about -1.
    n, draws = 5, 20_000
    matrices = np.asarray(jax.vmap(lambda key: orthogonal()(key, (n, n)))(jax.random.split(jax.random.key(0), draws)))
    traces, corner = np.trace(matrices, axis1=1, axis2=2), matrices[:, 0, 0]
    for values, expected in [
        (traces, 0), (traces**2, 1), (corner, 0), (corner**2, 1 / n), (corner**4, 3 / (n * (n + 2))),
        (matrices[:, 0, 0] * matrices[:, 1, 1] * matrices[:, 0, 1] * matrices[:, 1, 0], -1 / ((n - 1) * n * (n + 2))),
        (np.linalg.det(matrices), 0),
    ]:  # fmt: skip
        assert abs(values.mean() - expected) < 4.5 * values.std() / np.sqrt(draws)


def test_gaussian_kernels_share_the_variance_as_told():
    taps = np.array([[0.0, 0.5, 0.0], [0.1, 0.2, 0.2], [0.0, 0.0, 0.0]])
    kernel = np.asarray(gaussian_convolution(1.5, taps=taps)(jax.random.key(0), (3, 3, 100, 400)))
    np.testing.assert_allclose(kernel.var(axis=(2, 3)), 1.5**2 * taps / 100, rtol=0.05)
    even = np.asarray(gaussian_convolution()(jax.random.key(0), (3, 3, 100, 400)))
    np.testing.assert_allclose(even.var(axis=(2, 3)), np.full((3, 3), 1 / 900), rtol=0.05)


def test_stacked_layers_are_drawn_apart():
    kernels = stacked(delta_orthogonal())(jax.random.key(0), (3, 3, 3, 4, 4))
    assert kernels.shape == (3, 3, 3, 4, 4)
    assert abs(kernels[0] - kernels[1]).max() > 0.1


@pytest.mark.parametrize(
    ("init", "shape", "words"),
    [
        (delta_orthogonal(), (3, 3, 5, 4), "no more channels in than out"),
        (orthogonal_convolution(), (3, 3, 5, 4), "no more channels in than out"),
        (delta_orthogonal(), (2, 3, 4, 4), "center tap"),
        (delta_orthogonal(), (3, 4, 4), "height, width"),
        (orthogonal_convolution(), (3, 2, 4, 4), "square"),
        (gaussian_convolution(taps=np.full((3, 3), 1.0)), (3, 3, 4, 4), "sum to 1"),
        (gaussian_convolution(taps=np.ones((1, 1))), (3, 3, 4, 4), "3 x 3"),
    ],
)
def test_impossible_kernels_are_refused(init, shape, words):
    with pytest.raises(InputError, match=words):
        init(jax.random.key(0), shape)
