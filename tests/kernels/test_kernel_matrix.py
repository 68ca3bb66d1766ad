"""Kernel matrices against the plain recursion, closed forms and networks of finite width."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from deepphenomena.infinite_width import (
    convolutional_kernel_matrix,
    convolutional_kernel_matrix_reference,
    kernel_matrix,
    kernel_matrix_reference,
)
from deepphenomena.kernels import convolution
from deepphenomena.mean_field.arcsine import arcsine
from deepphenomena.runtime.errors import InputError


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def close(ours, theirs, tolerance):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(np.asarray(b)).max())


NETWORKS = st.fixed_dictionaries(
    {
        "depth": st.integers(0, 10),
        "activation": st.sampled_from(["relu", "erf", "identity"]),
        "weight_variance": st.floats(0.5, 3),
        "bias_variance": st.sampled_from([0.0, 0.1, 1.0]),
    }
)


@settings(max_examples=12, deadline=None)
@given(
    network=NETWORKS,
    samples=st.tuples(st.integers(1, 9), st.one_of(st.none(), st.integers(1, 7))),
    tile=st.one_of(st.none(), st.integers(1, 6)),
    seed=st.integers(0, 99),
)
def test_the_tiled_kernels_are_the_plain_recursion(network, samples, tile, seed):
    with jax.enable_x64(True):
        x1, x2 = (None if n is None else normal(seed + i, n, 5) for i, n in enumerate(samples))
        close(kernel_matrix(x1, x2, tile=tile, **network), kernel_matrix_reference(x1, x2, **network), 1e-7)


@settings(max_examples=8, deadline=None)
@given(
    network=NETWORKS.filter(lambda network: network["depth"] <= 3),
    shape=st.tuples(st.integers(3, 5), st.integers(3, 4), st.integers(1, 3)),
    samples=st.tuples(st.integers(1, 4), st.one_of(st.none(), st.integers(1, 3))),
    options=st.fixed_dictionaries(
        {
            "readout": st.sampled_from(["flatten", "pool"]),
            "padding": st.sampled_from(["SAME", "CIRCULAR"]),
            "kernel_size": st.sampled_from([1, 3]),
        }
    ),
    tile=st.one_of(st.none(), st.integers(1, 3)),
)
def test_the_convolutional_kernels_are_the_plain_recursion(network, shape, samples, options, tile):
    with jax.enable_x64(True):
        x1, x2 = (None if n is None else normal(i, n, *shape) for i, n in enumerate(samples))
        ours = convolutional_kernel_matrix(x1, x2, tile=tile, **network, **options)
        theirs = jax.jit(lambda x1, x2: convolutional_kernel_matrix_reference(x1, x2, **network, **options))(x1, x2)
        close(ours, theirs, 1e-7)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_float32_is_as_accurate_as_float32_can_be(activation):
    x = normal(0, 60, 20)
    with jax.enable_x64(True):
        exact = kernel_matrix_reference(jnp.asarray(x, jnp.float64), depth=6, activation=activation)
    ours = kernel_matrix(jnp.asarray(x, jnp.float32), depth=6, activation=activation)
    assert ours.nngp.dtype == jnp.float32
    close(ours, exact, 2e-6)


@settings(max_examples=200, deadline=None)
@given(x=st.floats(-1, 1, width=32, allow_subnormal=False))
def test_the_polynomial_for_arcsine_has_the_accuracy_of_float32(x):
    exact = np.arcsin(np.float64(x))
    assert abs(float(arcsine(jnp.float32(x))) - exact) <= 3e-7 * abs(exact)  # relative, near 0 too


def test_arcsine_of_all_sizes_at_once():
    x = np.linspace(-1, 1, 200_001, dtype=np.float32)
    exact = np.arcsin(x.astype(np.float64))
    assert np.max(np.abs(np.asarray(arcsine(jnp.asarray(x))) - exact)) <= 2.5e-7


def test_a_relu_network_keeps_the_norm_at_variance_two():
    """K(x, x) stays |x|² σ_w²/d and Θ(x, x) is (depth + 1) K(x, x) (Jacot et al. 2018; He et al. 2015)."""
    x = jnp.asarray(normal(0, 6, 4), jnp.float32)
    kernels = kernel_matrix(x, depth=5)
    norms = 2 * np.sum(np.asarray(x) ** 2, axis=1) / 4
    np.testing.assert_allclose(np.diag(kernels.nngp), norms, rtol=1e-5)
    np.testing.assert_allclose(np.diag(kernels.ntk), 6 * norms, rtol=1e-5)


def test_one_relu_layer_at_known_angles():
    """Orthogonal inputs: E[φφ] = √(qq')/2π, E[φ'φ'] = 1/4; opposite ones: both 0."""
    x = jnp.asarray([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])
    nngp, ntk = kernel_matrix(x, depth=1, weight_variance=2.0)
    np.testing.assert_allclose(nngp[0, 1], 2 * 2 / (2 * np.pi), rtol=1e-6)
    np.testing.assert_allclose(ntk[0, 1], nngp[0, 1], rtol=1e-6)  # K⁰ = 0, so nothing comes from the layer before
    np.testing.assert_allclose(nngp[0, 2], 0, atol=1e-6)
    np.testing.assert_allclose(ntk[0, 2], 0, atol=2e-6)


@pytest.mark.parametrize("convolutional", [False, True])
def test_a_wide_network_has_these_kernels(convolutional):
    """Empirical kernels of networks of width m, averaged over s draws, deviate by about depth/√(s·m)."""
    depth, width, draws, w_variance, b_variance = 2, 128, 64, 1.8, 0.2
    x = jnp.asarray(normal(1, 3, 4, 4, 2) if convolutional else normal(1, 3, 6), jnp.float32)
    form = (lambda x, w: convolution(x, w, padding="CIRCULAR")) if convolutional else (lambda x, w: x @ w)

    def network(parameters, x):
        for w, b in parameters[:-1]:
            fan_in = np.prod(w.shape[:-1])
            x = jax.nn.relu((w_variance / fan_in) ** 0.5 * form(x, w) + b_variance**0.5 * b)
        w, b = parameters[-1]
        x = x.reshape(x.shape[0], -1)
        return (w_variance / w.shape[0]) ** 0.5 * (x @ w)[:, 0] + b_variance**0.5 * b[0]

    def draw(key):
        taps, pixels = ((3, 3), 16) if convolutional else ((), 1)
        shapes = [(*taps, x.shape[-1], width), *[(*taps, width, width)] * (depth - 1), (pixels * width, 1)]
        keys = jax.random.split(key, 2 * len(shapes))
        return [
            (jax.random.normal(k, shape), jax.random.normal(b, shape[-1:]))
            for k, b, shape in zip(keys[::2], keys[1::2], shapes, strict=True)
        ]

    def empirical(key):
        parameters = draw(key)
        jacobian = jax.jacrev(network)(parameters, x)
        flat = jnp.concatenate([leaf.reshape(x.shape[0], -1) for leaf in jax.tree.leaves(jacobian)], axis=1)
        readout = flat[:, -parameters[-1][0].shape[0] - 1 :]  # the readout's own derivatives: features and bias
        return readout @ readout.T, flat @ flat.T

    keys = jax.random.split(jax.random.key(0), draws)
    sampled = jax.tree.map(lambda kernel: kernel.mean(0), jax.jit(lambda k: jax.lax.map(empirical, k))(keys))
    exact = (convolutional_kernel_matrix if convolutional else kernel_matrix)(
        x, depth=depth, weight_variance=w_variance, bias_variance=b_variance
    )
    close(sampled, exact, 4 * depth / (draws * width) ** 0.5)


def test_derivatives_are_those_of_the_plain_recursion():
    with jax.enable_x64(True):
        x1, x2 = normal(0, 4, 3), normal(1, 5, 3)

        def slopes(form, **options):
            def loss(x1, x2, variance):
                nngp, ntk = form(x1, x2, depth=3, weight_variance=variance, bias_variance=0.1, **options)
                return jnp.sum(jnp.sin(nngp)) + jnp.sum(jnp.cos(ntk))

            return jax.jit(jax.grad(loss, (0, 1, 2)))(x1, x2, 1.5)

        close(slopes(kernel_matrix, tile=2), slopes(kernel_matrix_reference), 1e-10)


def test_the_derivative_at_equal_inputs_is_finite():
    x = jnp.asarray(normal(0, 5, 3), jnp.float32)
    gradient = jax.grad(lambda x: sum(jnp.sum(kernel) for kernel in kernel_matrix(x, depth=2)))(x)
    assert jnp.all(jnp.isfinite(gradient))
    apart = jax.grad(lambda x: sum(jnp.sum(kernel) for kernel in kernel_matrix(x, x, depth=2)))(x)
    assert jnp.all(jnp.isfinite(apart))


def test_a_zero_input_has_only_its_bias():
    nngp, ntk = kernel_matrix(jnp.zeros((1, 3)), jnp.ones((2, 3)), depth=2, bias_variance=0.0)
    np.testing.assert_array_equal(nngp, np.zeros((1, 2)))
    assert jnp.all(jnp.isfinite(ntk))


def test_memory_beyond_the_result_does_not_depend_on_depth_or_samples():
    def temporaries(n, depth):
        x = jax.ShapeDtypeStruct((n, 8), jnp.float32)
        program = jax.jit(lambda x: kernel_matrix(x, depth=depth, tile=64)).lower(x).compile()
        analysis = program.memory_analysis()
        assert analysis.output_size_in_bytes >= 2 * 4 * n * n
        return analysis.temp_size_in_bytes

    vectors = 4 * 4096 * 100  # what grows with n alone
    assert temporaries(4096, 3) <= temporaries(256, 3) + vectors
    assert temporaries(4096, 8) <= temporaries(256, 8) + 3 * vectors


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (((3,),), {}, "samples, features"),
        (((3, 4), (3, 5)), {}, "samples, features"),
        (((3, 4),), {"activation": "rleu"}, "did you mean 'relu'"),
        (((3, 4),), {"depth": -1}, "depth -1"),
        (((3, 4),), {"tile": 0}, "tile 0"),
    ],
)
def test_bad_input_is_refused(arguments, options, message, unchecked_types):
    with pytest.raises(InputError, match=message):
        kernel_matrix(*map(jnp.ones, arguments), **({"depth": 2} | options))


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((3, 4, 4), {}, "height, width"),
        ((3, 4, 4, 1), {"readout": "mean"}, "readout"),
        ((3, 4, 4, 1), {"padding": "VALID"}, "padding"),
        ((3, 4, 4, 1), {"kernel_size": 2}, "kernel_size 2"),
        ((3, 4, 4, 1), {"kernel_size": 5}, "kernel_size 5"),
    ],
)
def test_bad_images_are_refused(shape, options, message, unchecked_types):
    with pytest.raises(InputError, match=message):
        convolutional_kernel_matrix(jnp.ones(shape), depth=2, **options)
