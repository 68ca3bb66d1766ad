"""Networks as values: kernels against finite networks, tiles, shapes, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from architectures import CASES, inputs
from test_neural_tangents import network

from deepphenomena import infinite_width as wide
from deepphenomena.runtime.errors import InputError

RELU = wide.activation("relu")
BLOCK = wide.serial(
    RELU, wide.conv(256, weight_variance=1.5, bias_variance=0.1), wide.layer_norm(), RELU, wide.conv(256)
)
MIXED = wide.serial(
    wide.conv(256, weight_variance=2.0, bias_variance=0.1),
    wide.activation("gelu"),
    wide.pool(2),
    wide.conv(256),
    wide.residual(wide.identity(), BLOCK),
    wide.pool(),
    wide.dense(256),
    wide.activation("tanh"),
    wide.dense(256),
)


def images(n, seed=0):
    return np.random.default_rng(seed).standard_normal((n, 6, 6, 3)).astype(np.float32)


def relative(found, expected):
    return float(jnp.linalg.norm(found - expected) / jnp.linalg.norm(expected))


def test_the_nngp_is_the_covariance_of_wide_random_networks():
    x, exact = images(4), MIXED.kernel(images(4))

    @jax.jit
    def moments(key):
        _, parameters = MIXED.init(key, x.shape[1:])
        y = MIXED.apply(parameters, x)
        return y @ y.T / y.shape[1]

    found = jax.lax.map(moments, jax.random.split(jax.random.key(0), 40)).mean(0)
    assert relative(found, exact.nngp) < 0.05


@pytest.mark.parametrize("parameterization", ["ntk", "standard"])
def test_the_ntk_is_that_of_wide_networks(parameterization):
    options = {"weight_variance": 1.8, "bias_variance": 0.3, "parameterization": parameterization}
    network = wide.serial(
        wide.conv(100, **options), RELU, wide.flatten(), wide.dense(200, **options), RELU, wide.dense(4, **options)
    )
    x = images(3)[:, :3, :3]
    found = wide.monte_carlo_kernel(network, jax.random.key(1), x, samples=6)
    exact = network.kernel(x)
    assert relative(found.ntk, exact.ntk) < 0.08
    assert relative(found.nngp, exact.nngp) < 0.6  # four outputs of six networks


@pytest.mark.parametrize("name", ["four hidden layers, relu", "local pooling", "layer norm"])
def test_tiles_change_nothing(name):
    layers, kind = CASES[name]
    x1, x2 = inputs(kind)
    with jax.enable_x64(True):
        whole, symmetric = network(layers).kernel(x1, x2), network(layers).kernel(x1)
        for tile in (1, 2):
            for found, expected in (
                (network(layers).kernel(x1, x2, tile=tile), whole),
                (network(layers).kernel(x1, tile=tile), symmetric),
            ):
                np.testing.assert_allclose(found.ntk, expected.ntk, rtol=1e-6)
                np.testing.assert_allclose(found.nngp, expected.nngp, rtol=1e-6)


def test_a_kernel_of_inputs_with_themselves_is_symmetric_and_positive():
    with jax.enable_x64(True):
        kernels = MIXED.kernel(np.concatenate([images(4), images(1)]).astype(np.float64))  # one image twice
        for kernel in kernels:
            np.testing.assert_allclose(kernel, kernel.T, rtol=1e-12)
            values = np.linalg.eigvalsh(kernel)
            assert values[0] > -1e-9 * values[-1]


def test_kernels_are_differentiable_in_inputs_and_variances():
    def total(x, variance):
        return (
            wide.serial(wide.dense(8, weight_variance=variance), wide.activation("erf"), wide.dense(1))
            .kernel(x)
            .ntk.sum()
        )

    with jax.enable_x64(True):
        x, variance, step = jnp.asarray(np.random.default_rng(0).standard_normal((3, 4))), 1.5, 1e-6
        of_x, of_variance = jax.grad(total, argnums=(0, 1))(x, variance)
        direction = jnp.ones_like(x)
        np.testing.assert_allclose(
            (total(x + step * direction, variance) - total(x - step * direction, variance)) / (2 * step),
            jnp.vdot(of_x, direction),
            rtol=1e-5,
        )
        slope = (total(x, variance + step) - total(x, variance - step)) / (2 * step)
        np.testing.assert_allclose(slope, of_variance, rtol=1e-5)


def test_shapes_are_those_of_the_outputs():
    shape, parameters = MIXED.init(jax.random.key(0), (6, 6, 3))
    assert MIXED.apply(parameters, images(2)).shape == (2, *shape)
    strided = wide.conv(4, 3, stride=2, padding="VALID")
    shape, parameters = strided.init(jax.random.key(0), (6, 7, 3))
    assert strided.apply(parameters, np.ones((1, 6, 7, 3))).shape == (1, *shape) == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: wide.dense(0), "width"),
        (lambda: wide.dense(4, weight_variance=-1.0), "weight_variance"),
        (lambda: wide.dense(4, parameterization="nkt"), "did you mean 'ntk'"),
        (lambda: wide.conv(4, padding="SMAE"), "did you mean 'SAME'"),
        (lambda: wide.residual(wide.identity()), "1 branch"),
        (lambda: wide.residual(wide.identity(), RELU), "correlated"),
        (lambda: wide.serial(wide.dense(4), RELU, RELU, wide.dense(1)).kernel(np.eye(3)), "before each activation"),
        (lambda: wide.serial(wide.layer_norm(), wide.dense(1)).kernel(np.eye(3)), "before it"),
        (lambda: wide.conv(4).kernel(np.eye(3)), "without pixels"),
        (lambda: wide.pool().kernel(np.eye(3)), "without pixels"),
        (lambda: wide.conv(4).kernel(images(2)), "add flatten() or pool()"),
        (
            lambda: wide.serial(wide.conv(4, 9, padding="VALID"), wide.flatten()).kernel(images(2)),
            "larger than the image",
        ),
        (lambda: wide.dense(1).kernel(np.ones((2, 3)), np.ones((2, 4))), "equal shapes"),
        (lambda: wide.dense(1).kernel(np.ones((2, 3, 4))), "(2, 3, 4)"),
        (lambda: wide.dense(1).kernel(np.eye(3), tile=0), "tile"),
        (lambda: wide.conv(4).init(jax.random.key(0), (5,)), "must be an image"),
        (
            lambda: wide.serial(wide.residual(wide.conv(4), wide.conv(4, stride=2)), wide.flatten()).kernel(images(2)),
            "branches of different shapes",
        ),
    ],
)
def test_what_has_no_kernel_is_refused(made, words, unchecked_types):
    with pytest.raises(InputError) as refused:
        made()
    assert words in str(refused.value)
