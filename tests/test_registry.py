"""Image classifiers by name: sizes, the parts against their definitions, and what may be asked for."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from deepphenomena import nets
from deepphenomena.nets import image_classifiers
from deepphenomena.runtime.errors import InputError

KEY = jax.random.key(0)


def parameters_of(name, shape, outputs=10):
    model = nets.image_classifier(name, shape, outputs=outputs, key=KEY)
    return model, sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(model)))


@pytest.mark.parametrize(
    "name", ["mlp-12", "mlp-12-plain", "cnn-3", "cnn-3-plain", "resnet-2", "resnet-2-plain", "vit-8"]
)
def test_every_family_maps_images_to_logits(name):
    network, parameters = nets.functional(nets.image_classifier(name, (14, 10, 3), outputs=7, key=KEY))
    logits = jax.jit(network)(parameters, jax.random.normal(KEY, (6, 14, 10, 3)))
    assert logits.shape == (6, 7)
    assert bool(jnp.all(jnp.isfinite(logits)))
    assert float(jnp.std(logits)) > 1e-3


def test_sizes_are_those_of_the_published_networks():
    # mlp[2048 x 3]: weights, biases, and two numbers a channel for batch norm.
    assert parameters_of("mlp-2048", (32, 32, 3))[1] == 3072 * 2048 + 2 * 2048**2 + 2048 * 10 + 3 * 3 * 2048 + 10
    # Myrtle-5 with c = 64: four convolutions without bias, their batch norms, and the readout.
    convolutions = 9 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    assert parameters_of("cnn-64", (32, 32, 3))[1] == convolutions + 2 * (64 + 128 + 256 + 512) + 5130
    # Pre-activation ResNet-18 for 32 x 32 images has 11.17 million parameters.
    assert parameters_of("resnet-64", (32, 32, 3))[1] == pytest.approx(11.17e6, rel=2e-3)


def test_batch_norm_gives_every_channel_mean_zero_and_variance_one():
    x = 3 + 5 * jax.random.normal(KEY, (40, 6, 5, 4))
    y = np.asarray(image_classifiers.BatchNorm(4)(x))
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, atol=1e-4)
    norm = image_classifiers.BatchNorm(4)
    norm.scale[...], norm.bias[...] = jnp.arange(4.0), jnp.arange(4.0) - 2
    np.testing.assert_allclose(norm(x), y * np.arange(4) + np.arange(4) - 2, atol=1e-4)
    np.testing.assert_allclose(norm(7 * x - 3), norm(x), atol=1e-3)  # what comes in may be scaled and shifted


@pytest.mark.parametrize("shape", [(2, 6, 8, 3), (2, 7, 5, 1)])
def test_halving_is_max_pooling(shape):
    x = jax.random.normal(KEY, shape)
    np.testing.assert_array_equal(image_classifiers.halved(x), nnx.max_pool(x, (2, 2), strides=(2, 2)))


def test_convolutional_network_does_not_mind_small_shifts_of_its_features():
    # The last layers take a maximum over all places: an image in a black frame, moved by 8 pixels, means the same.
    model = nets.image_classifier("cnn-3-plain", (80, 80, 1), key=KEY)
    images = jnp.zeros((2, 80, 80, 1)).at[:, 36:44, 36:44].set(jax.random.uniform(KEY, (2, 8, 8, 1)))
    logits = jax.jit(model)
    np.testing.assert_allclose(logits(images), logits(jnp.roll(images, (8, -8), (1, 2))), atol=1e-5)


def test_transformer_without_positions_does_not_know_the_order_of_patches():
    model = nets.image_classifier("vit-8", (8, 8, 1), key=KEY)
    images = jax.random.normal(KEY, (3, 8, 8, 1))
    swapped = jnp.concatenate([images[:, 4:], images[:, :4]], 1)
    assert float(jnp.abs(model(images) - model(swapped)).max()) > 1e-4
    model.positions[...] = jnp.zeros_like(model.positions[...])
    np.testing.assert_allclose(model(images), model(swapped), atol=1e-5)


def test_attention_is_softmax_of_scaled_products():
    block = image_classifiers.TransformerBlock(8, heads=2, rngs=nnx.Rngs(0))
    block.narrow.kernel[...] = jnp.zeros_like(block.narrow.kernel[...])
    x = np.asarray(jax.random.normal(KEY, (3, 5, 8)), np.float64)
    normal = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    parts = (normal @ np.asarray(block.queries_keys_values.kernel[...])).reshape(3, 5, 3, 2, 4)
    scores = np.einsum("bqhd,bkhd->bhqk", parts[:, :, 0], parts[:, :, 1]) / np.sqrt(4)
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    mixed = np.einsum("bhqk,bkhd->bqhd", shares, parts[:, :, 2]).reshape(3, 5, 8) @ np.asarray(block.mix.kernel[...])
    np.testing.assert_allclose(block(jnp.asarray(x, jnp.float32)), x + mixed, atol=1e-4)


def test_a_plain_residual_block_is_its_formula():
    block = image_classifiers.ResidualBlock(2, 2, stride=1, batch_norm=False, rngs=nnx.Rngs(0))
    x = jax.random.normal(KEY, (2, 5, 5, 2))

    def convolved(x, convolution):
        kernel = jax.lax.conv_general_dilated(
            x, convolution.kernel[...], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return kernel + convolution.bias[...]

    expected = x + convolved(jax.nn.relu(convolved(jax.nn.relu(x), block.first)), block.second)
    np.testing.assert_allclose(block(x), expected, atol=1e-4)


def test_weights_keep_the_variance_that_their_fan_in_asks_for():
    model = nets.image_classifier("cnn-32", (8, 8, 3), key=KEY)
    kernel = np.asarray(model.layers[3].kernel[...])
    assert kernel.shape == (3, 3, 32, 64)
    assert kernel.var() == pytest.approx(2 / (9 * 32), rel=0.05)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mpl-8", "did you mean 'mlp'"),
        ("mlp", "family-width"),
        ("mlp-0", "family-width"),
        ("cnn-8-bald", "family-width"),
        ("vit-8-plain", "batch norm"),
    ],
)
def test_a_name_that_means_nothing_is_refused(name, words):
    with pytest.raises(InputError, match=words):
        nets.image_classifier(name, (8, 8, 1), key=KEY)
