"""Networks in blocks: the published parameter counts, the parts against their definitions, what may be asked for."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from deepphenomena import nets
from deepphenomena.nets.layers import ConvolutionBlock, max_pool_3x3
from deepphenomena.nets.resnet import Bottleneck
from deepphenomena.runtime.errors import InputError

KEY = jax.random.key(0)


def sizes(name, outputs, **options):
    """{path of every parameter: its shape}, without drawing any."""
    model = nnx.eval_shape(lambda: nets.network(name, (64, 64, 3), outputs, key=KEY, **options))
    return {path: leaf.shape for path, leaf in nnx.to_flat_state(nnx.state(model))}


def count(shapes):
    return sum(math.prod(shape) for shape in shapes)


@pytest.mark.parametrize(
    ("name", "published"),
    [("cbr-large-t", 8_532_480), ("cbr-large-w", 8_432_128), ("cbr-small", 2_108_672), ("cbr-tiny", 1_076_480)],
)
def test_the_paper_s_parameter_counts_are_those_without_conv1_batch_norm_and_the_head_s_bias(name, published):
    # Table 1. As counted there: convolutions from the second on and the weights of a five-class head.
    counted = {
        path: shape for path, shape in sizes(name, 5).items() if path[-1] == "kernel" and path[:2] != ("blocks", 0)
    }
    assert count(counted.values()) == published


def test_resnet_50_has_the_parameters_of_resnet_50():
    shapes = sizes("resnet-50", 1000)
    assert count(shapes.values()) == 25_557_032
    assert count(shape for path, shape in shapes.items() if path[0] != "head") == 23_508_032
    assert sum(len(shape) == 4 for shape in shapes.values()) == 49 + 4  # and four shortcuts


@pytest.mark.parametrize("name", ["cbr-tiny", "resnet-18", "resnet-50"])
def test_every_network_maps_images_to_logits(name):
    network, parameters = nets.functional(nets.network(f"{name}/32", (20, 13, 1), 4, key=KEY))
    logits = jax.jit(network)(parameters, jax.random.normal(KEY, (3, 20, 13, 1)))
    assert logits.shape == (3, 4)
    assert bool(jnp.all(jnp.isfinite(logits)))
    assert float(jnp.std(logits)) > 1e-3


def test_a_resnet_50_halves_five_times_and_a_cbr_once_a_block():
    def sides(name):
        model = nnx.eval_shape(lambda: nets.network(name, (64, 64, 3), 2, key=KEY))
        *images, _ = jax.eval_shape(lambda model, x: model.layers(x), model, jnp.ones((2, 64, 64, 3)))
        return [image.shape[1] for image in images]

    assert sides("cbr-large-t") == [32, 16, 8, 4, 2]
    assert sides("resnet-18") == [64, 64, 32, 16, 8]
    assert sides("resnet-50") == [16, 16, 8, 4, 2]


@pytest.mark.parametrize("shape", [(2, 6, 8, 3), (2, 7, 5, 1), (1, 1, 2, 2)])
def test_pooling_is_max_pooling_over_three_by_three(shape):
    x = jax.nn.relu(jax.random.normal(KEY, shape))
    np.testing.assert_array_equal(max_pool_3x3(x), nnx.max_pool(x, (3, 3), strides=(2, 2), padding="SAME"))


def test_a_block_is_convolution_normalisation_relu_and_pooling():
    x = jax.random.normal(KEY, (5, 8, 6, 2))
    block = ConvolutionBlock(2, 3, kernel=5, pool=True, rngs=nnx.Rngs(params=KEY))
    y = jax.lax.conv_general_dilated(
        x, block.convolution.kernel[...], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    y = (y - y.mean((0, 1, 2))) / jnp.sqrt(y.var((0, 1, 2)) + 1e-5)
    expected = nnx.max_pool(jax.nn.relu(y), (3, 3), strides=(2, 2), padding="SAME")
    np.testing.assert_allclose(block(x), expected, atol=1e-5)


def test_a_bottleneck_with_silent_branches_hands_on_its_input():
    block = Bottleneck(8, 2, stride=1, rngs=nnx.Rngs(params=KEY))
    block.norms[2].scale[...] = jnp.zeros(8)
    x = jax.nn.relu(jax.random.normal(KEY, (2, 4, 4, 8)))
    np.testing.assert_allclose(block(x), x, atol=1e-6)


def test_divided_and_slim_networks_have_the_widths_asked_for():
    kernels = [shape for path, shape in sizes("cbr-tiny/8", 5, halved_above=2).items() if path[-1] == "kernel"]
    assert kernels == [(5, 5, 3, 4), (5, 5, 4, 8), (5, 5, 8, 8), (5, 5, 8, 16), (16, 5)]


@pytest.mark.parametrize(
    ("name", "halved_above", "words"),
    [
        ("cbr-tinny", None, "did you mean 'cbr-tiny'"),
        ("cbr-tiny/3", None, "divided by 2, 4"),
        ("cbr-tiny/", None, "divided by 2, 4"),
        ("cbr-tiny/0", None, "divided by 2, 4"),
        ("cbr-tiny", 5, "it has 4 blocks"),
    ],
)  # fmt: skip
def test_what_there_is_not_is_refused(name, halved_above, words):
    with pytest.raises(InputError, match=words):
        nets.network(name, (32, 32, 3), 2, halved_above=halved_above, key=KEY)
