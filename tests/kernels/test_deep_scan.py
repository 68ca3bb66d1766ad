"""`deep_scan` against the unrolled network, and its memory and program size against depth."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from deepphenomena.kernels import convolution, deep_scan
from deepphenomena.runtime.errors import InputError


def layer(parameters, x):
    return jnp.tanh(x @ parameters["w"] + parameters["b"])


def network(layers, width=3, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "w": jnp.asarray(rng.normal(size=(layers, width, width)) / width**0.5),
        "b": jnp.asarray(rng.normal(size=(layers, width)) / 3),
    }


def unrolled(parameters, x):
    for index in range(parameters["b"].shape[0]):
        x = layer(jax.tree.map(lambda leaf, index=index: leaf[index], parameters), x)
    return x


@settings(max_examples=10, deadline=None)
@given(data=st.data(), layers=st.integers(1, 23))
def test_values_and_derivatives_are_those_of_the_unrolled_network(data, layers):
    block = data.draw(st.one_of(st.none(), st.integers(1, layers)))
    with jax.enable_x64(True):
        parameters, x = network(layers), jnp.asarray(np.random.default_rng(1).normal(size=(2, 3)))

        def derivatives(run):
            loss = lambda parameters, x: jnp.sum(run(parameters, x) ** 2)  # noqa: E731
            slope = jax.grad(loss, (0, 1))
            return loss(parameters, x), slope(parameters, x), jax.jvp(slope, (parameters, x), (parameters, x))[1]

        ours = jax.jit(lambda: derivatives(lambda p, x: deep_scan(layer, p, x, block=block)))()
        theirs = derivatives(unrolled)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), ours, theirs)


def compiled(layers, *, pixels=8, channels=4):
    """The gradient step's program for a deep convolutional network."""
    shapes = [(layers, 3, 3, channels, channels), (16, pixels, pixels, channels)]
    loss = lambda w, x: jnp.sum(deep_scan(lambda w, x: jnp.tanh(convolution(x, w)), w, x) ** 2)  # noqa: E731
    return jax.jit(jax.grad(loss)).lower(*(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)).compile()


def test_memory_grows_like_the_root_of_depth():
    one = 16 * 8 * 8 * 4 * 4  # bytes of an activation
    memory = {layers: compiled(layers).memory_analysis().temp_size_in_bytes for layers in (64, 256, 1024)}
    # √L blocks and √L layers inside one, each keeping what goes in and what comes out
    for layers, size in memory.items():
        assert size <= 4 * one * layers**0.5 + 16 * one
    assert memory[1024] - memory[256] <= 2.5 * (memory[256] - memory[64])


def test_the_program_does_not_grow_with_depth():
    sizes = [len(compiled(layers).as_text()) for layers in (16, 400)]
    assert sizes[1] <= 1.05 * sizes[0]
    prime = [len(compiled(layers).as_text()) for layers in (17, 401)]
    assert prime[1] <= 1.05 * prime[0]


def test_bad_input_is_refused(unchecked_types):
    x = jnp.ones(3)
    with pytest.raises(InputError, match="leading axes"):
        deep_scan(layer, network(4) | {"b": jnp.ones((5, 3))}, x)
    with pytest.raises(InputError, match="leading axes"):
        deep_scan(layer, {}, x)
    for block in (0, 5):
        with pytest.raises(InputError, match="between 1 and 4"):
            deep_scan(layer, network(4), x, block=block)
