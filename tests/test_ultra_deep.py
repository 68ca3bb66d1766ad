"""The ultra-deep network: the paper's recursion layer by layer, on both paddings; program and memory against depth."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from deepphenomena import datasets, nets, training
from deepphenomena.kernels import convolution_reference
from deepphenomena.nets.initializers import delta_orthogonal, gaussian_convolution
from deepphenomena.nets.ultra_deep import UltraDeep, propagate
from deepphenomena.runtime.errors import InputError


def draw(depth, size, channels, seed=0):
    keys = jax.random.split(jax.random.key(seed), 3)
    kernels = jax.random.normal(keys[0], (depth, 3, 3, channels, channels)) / (9 * channels) ** 0.5
    biases = 0.1 * jax.random.normal(keys[1], (depth, channels))
    return kernels, biases, jax.random.normal(keys[2], (2, size, size + 1, channels))


def layer_by_layer(kernels, biases, x, padding):
    for kernel, bias in zip(kernels, biases, strict=True):
        x = jnp.tanh(convolution_reference(x, kernel, padding=padding) + bias)
    return x


@pytest.mark.parametrize("padding", ["CIRCULAR", "SAME"])
@pytest.mark.parametrize("size", [3, 4, 8])  # 8 x 9 positions take the other form of the torus
def test_the_network_and_its_derivatives_are_those_of_the_plain_loop(padding, size):
    with jax.enable_x64(True):
        arguments = [a.astype(jnp.float64) for a in draw(7, size, 3)]
        both = [
            lambda *a: jnp.sum(propagate(*a, padding=padding) ** 3),
            lambda *a: jnp.sum(layer_by_layer(*a, padding) ** 3),
        ]
        for ours, plain in zip(*(jax.value_and_grad(f, (0, 1, 2))(*arguments) for f in both), strict=True):
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-10), ours, plain)
        tangents = [jnp.ones_like(a) for a in arguments]
        forward = [jax.jvp(f, arguments, tangents)[1] for f in both]
        np.testing.assert_allclose(forward[0], forward[1], rtol=1e-5)


@pytest.mark.parametrize("block", [1, 3, 7])
def test_blocks_change_nothing_but_memory(block):
    kernels, biases, x = draw(7, 4, 3)
    np.testing.assert_allclose(propagate(kernels, biases, x, block=block), propagate(kernels, biases, x), rtol=1e-6)


def program_of(depth, block=None):
    shapes = [(depth, 3, 3, 4, 4), (depth, 4), (4, 4, 4, 4)]
    gradient = jax.grad(lambda *a: jnp.mean(propagate(*a, block=block) ** 2), (0, 1))
    return jax.jit(gradient).lower(*(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes))


def test_the_program_does_not_grow_with_depth():
    lengths = [len(program_of(depth).as_text().splitlines()) for depth in (100, 10_000)]
    assert lengths[0] == lengths[1]


def test_memory_grows_as_the_root_of_depth_with_blocks_and_in_proportion_without():
    def temporary(depth, block):
        return program_of(depth, block).compile().memory_analysis().temp_size_in_bytes

    assert temporary(10_000, None) < 15 * temporary(100, None)  # the root is 10
    assert temporary(10_000, 10_000) > 60 * temporary(100, 100)


def test_a_translated_image_gives_translated_activations():
    kernels, biases, x = draw(5, 4, 3)
    moved = propagate(kernels, biases, jnp.roll(x, (1, 2), (1, 2)))
    np.testing.assert_allclose(moved, jnp.roll(propagate(kernels, biases, x), (1, 2), (1, 2)), rtol=1e-5, atol=1e-6)


def build(depth, init, seed=0, **options):
    return UltraDeep(
        (28, 28, 1), grid=4, channels=8, depth=depth, outputs=10, kernel_init=init, bias_variance=2.0105e-5,
        input_variance=0.0259, key=jax.random.key(seed), **options,
    )  # fmt: skip


def test_a_hundred_layers_learn_ten_digits_from_a_delta_orthogonal_start_and_not_from_a_gaussian_one():
    digits = datasets.load("mnist", n=10)
    data = {"x": jnp.asarray((digits.images - 0.13) / 0.31), "label": jnp.asarray(digits.labels)}
    last = {}
    for init in (delta_orthogonal, gaussian_convolution):
        network, parameters = nets.functional(build(200, init(1.05**0.5)))

        def loss(parameters, batch, network=network):
            return jnp.mean(
                optax.softmax_cross_entropy_with_integer_labels(network(parameters, batch["x"]), batch["label"])
            )

        trained = training.train(loss, parameters, data, optimizer=optax.sgd(5e-4, momentum=0.9), steps=15)
        last[init] = trained.losses[-1]
    assert last[delta_orthogonal] < 1.2
    assert last[gaussian_convolution] > 1.8


def test_outputs_start_with_unit_variance_at_any_depth():
    images = jax.random.normal(jax.random.key(1), (64, 28, 28, 1))
    for depth in (1, 100):
        outputs = [build(depth, delta_orthogonal(1.05**0.5), seed)(images) for seed in range(5)]
        assert 0.5 < np.mean(np.square(outputs)) < 1.7


def test_impossible_networks_are_refused():
    with pytest.raises(InputError, match="divide both sides"):
        UltraDeep(
            (28, 28, 1), grid=5, channels=8, depth=2, outputs=10, kernel_init=delta_orthogonal(), bias_variance=0.0,
            input_variance=1.0, key=jax.random.key(0),
        )  # fmt: skip
    with pytest.raises(InputError, match="padding"):
        build(2, delta_orthogonal(), padding="VALID")
    with pytest.raises(InputError, match="padding"):
        propagate(*draw(2, 4, 3), padding="circular")
