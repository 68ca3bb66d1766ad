"""Networks by name: sizes, the parts against their definitions, and the names that cards and the registry accept."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from deepphenomena import nets
from deepphenomena.book import cards
from deepphenomena.nets import layers, registry
from deepphenomena.nets.resnet import ResidualBlock
from deepphenomena.nets.transformer import TransformerBlock
from deepphenomena.runtime.errors import InputError

KEY = jax.random.key(0)


def parameters_of(name, shape, outputs=10):
    model = nets.network(name, shape, outputs, key=KEY)
    return model, sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(model)))


@pytest.mark.parametrize(
    "name", ["mlp-12", "mlp-12-plain", "cnn-3", "cnn-3-plain", "resnet-18/32", "resnet-18-plain/32", "vit-8"]
)
def test_every_family_maps_images_to_logits(name):
    network, parameters = nets.functional(nets.network(name, (14, 10, 3), 7, key=KEY))
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
    assert parameters_of("resnet-18", (32, 32, 3))[1] == pytest.approx(11.17e6, rel=2e-3)


def test_batch_norm_gives_every_channel_mean_zero_and_variance_one():
    x = 3 + 5 * jax.random.normal(KEY, (40, 6, 5, 4))
    y = np.asarray(layers.BatchNorm(4)(x))
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, atol=1e-4)
    norm = layers.BatchNorm(4)
    norm.scale[...], norm.bias[...] = jnp.arange(4.0), jnp.arange(4.0) - 2
    np.testing.assert_allclose(norm(x), y * np.arange(4) + np.arange(4) - 2, atol=1e-4)
    np.testing.assert_allclose(norm(7 * x - 3), norm(x), atol=1e-3)  # what comes in may be scaled and shifted


@pytest.mark.parametrize("shape", [(2, 6, 8, 3), (2, 7, 5, 1)])
def test_halving_is_max_pooling(shape):
    x = jax.random.normal(KEY, shape)
    np.testing.assert_array_equal(layers.max_pool_2x2(x), nnx.max_pool(x, (2, 2), strides=(2, 2)))


def test_convolutional_network_does_not_mind_small_shifts_of_its_features():
    # The last layers take a maximum over all places: an image in a black frame, moved by 8 pixels, means the same.
    model = nets.network("cnn-3-plain", (80, 80, 1), 10, key=KEY)
    images = jnp.zeros((2, 80, 80, 1)).at[:, 36:44, 36:44].set(jax.random.uniform(KEY, (2, 8, 8, 1)))
    logits = jax.jit(model)
    np.testing.assert_allclose(logits(images), logits(jnp.roll(images, (8, -8), (1, 2))), atol=1e-5)


def test_transformer_without_positions_does_not_know_the_order_of_patches():
    model = nets.network("vit-8", (8, 8, 1), 10, key=KEY)
    images = jax.random.normal(KEY, (3, 8, 8, 1))
    swapped = jnp.concatenate([images[:, 4:], images[:, :4]], 1)
    assert float(jnp.abs(model(images) - model(swapped)).max()) > 1e-4
    model.positions[...] = jnp.zeros_like(model.positions[...])
    np.testing.assert_allclose(model(images), model(swapped), atol=1e-5)


def test_attention_is_softmax_of_scaled_products():
    block = TransformerBlock(8, heads=2, rngs=nnx.Rngs(0))
    block.narrow.kernel[...] = jnp.zeros_like(block.narrow.kernel[...])
    x = np.asarray(jax.random.normal(KEY, (3, 5, 8)), np.float64)
    normal = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    parts = (normal @ np.asarray(block.queries_keys_values.kernel[...])).reshape(3, 5, 3, 2, 4)
    scores = np.einsum("bqhd,bkhd->bhqk", parts[:, :, 0], parts[:, :, 1]) / np.sqrt(4)
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    mixed = np.einsum("bhqk,bkhd->bqhd", shares, parts[:, :, 2]).reshape(3, 5, 8) @ np.asarray(block.mix.kernel[...])
    np.testing.assert_allclose(block(jnp.asarray(x, jnp.float32)), x + mixed, atol=1e-4)


def test_a_plain_residual_block_is_its_formula():
    block = ResidualBlock(2, 2, stride=1, batch_norm=False, rngs=nnx.Rngs(0))
    x = jax.random.normal(KEY, (2, 5, 5, 2))

    def convolved(x, convolution):
        kernel = jax.lax.conv_general_dilated(
            x, convolution.kernel[...], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return kernel + convolution.bias[...]

    expected = x + convolved(jax.nn.relu(convolved(jax.nn.relu(x), block.first)), block.second)
    np.testing.assert_allclose(block(x), expected, atol=1e-4)


def test_weights_keep_the_variance_that_their_fan_in_asks_for():
    model = nets.network("cnn-32", (8, 8, 3), 10, key=KEY)
    kernel = np.asarray(model.layers[3].kernel[...])
    assert kernel.shape == (3, 3, 32, 64)
    assert kernel.var() == pytest.approx(2 / (9 * 32), rel=0.05)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mpl-8", "did you mean 'mlp'"),
        ("mlp", "mlp-WIDTH"),
        ("mlp-0", "mlp-WIDTH"),
        ("cnn-8-bald", "mlp-WIDTH"),
        ("cnn-8/2", "mlp-WIDTH"),
        ("vit-8-plain", "the first two also with -plain"),
        ("resnet-4", "did you mean 'resnet-"),
        ("resnet-50-plain", "unknown network"),
    ],
)
def test_a_name_that_means_nothing_is_refused(name, words):
    with pytest.raises(InputError, match=words):
        nets.network(name, (8, 8, 1), 10, key=KEY)


@pytest.mark.parametrize("name", ["mlp-3", "mlp-3-plain", "cnn-1", "cnn-1-plain", "vit-4"])
def test_every_family_of_the_pattern_is_built(name):
    assert re.fullmatch(registry.PATTERN, name)
    assert not re.fullmatch(registry.STAGED_PATTERN, name)
    nnx.eval_shape(lambda: nets.network(name, (8, 8, 1), 2, key=KEY))


@pytest.mark.parametrize("architecture", registry.ARCHITECTURES)
def test_every_architecture_and_divisor_of_the_pattern_is_built(architecture):
    full = registry.ARCHITECTURES[architecture].widths
    assert all(width % divisor == 0 for width in full for divisor in registry.DIVISORS)
    for name in (architecture, f"{architecture}/{max(registry.DIVISORS)}"):
        assert re.fullmatch(registry.PATTERN, name)
        assert re.fullmatch(registry.STAGED_PATTERN, name)
        model = nnx.eval_shape(lambda name=name: nets.network(name, (32, 32, 3), 2, key=KEY))
        assert len(model.blocks) == len(full)


@pytest.mark.parametrize(
    ("slug", "names", "pattern"),
    [
        ("deep_bootstrap", ["fully_connected", "convolutional", "others"], f"({registry.PATTERN})@[0-9]*[.]?[0-9]+"),
        ("transfusion", ["networks"], registry.STAGED_PATTERN),
    ],
)
def test_a_card_accepts_exactly_the_networks_of_the_registry(slug, names, pattern):
    card = cards.load(slug)
    assert [card.parameters[name].pattern for name in names] == [pattern] * len(names)


def test_only_networks_of_blocks_are_slim():
    with pytest.raises(InputError, match="networks of blocks"):
        nets.network("mlp-8", (8, 8, 1), 2, halved_above=1, key=KEY)
