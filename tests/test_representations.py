"""Pieces of the chapters on representations and on convolutions: averages, projections, blocks, dense spectra."""

import jax
import numpy as np
import pytest

from deepphenomena import datasets, similarity
from deepphenomena.datasets.averaging import averaged
from deepphenomena.nets.perceptron import perceptron
from deepphenomena.papers import convolution_singular_values as convolutions
from deepphenomena.papers import svcca
from deepphenomena.runtime.errors import InputError


def test_images_are_averaged_over_boxes_and_standardized():
    original = datasets.load("cifar10", n=20)
    x = np.asarray(averaged(original, 8)["x"])
    np.testing.assert_allclose(x.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(x.std((0, 1, 2)), 1, rtol=1e-4)
    box = original.images[3, 4:8, 8:12].mean((0, 1))  # of pixel (1, 2) of image 3
    other = original.images[0, :4, :4].mean((0, 1))
    scale = (x[3, 1, 2] - x[0, 0, 0]) / (box - other)
    means = original.images.reshape(20, 8, 4, 8, 4, 3).mean((2, 4))
    np.testing.assert_allclose(scale, 1 / means.std((0, 1, 2)), rtol=1e-3)
    with pytest.raises(InputError, match="does not divide"):
        averaged(original, 12)


def test_training_and_validation_images_of_a_seed_do_not_overlap():
    pool = {"x": np.arange(100.0), "y": np.arange(100)}
    sets = convolutions.drawn(pool, pool, train=60, validation=40, seed=3)
    assert sorted([*sets.train["y"], *sets.validation["y"]]) == list(range(100))
    assert list(sets.train["x"]) == list(sets.train["y"])
    assert list(sets.train["y"]) != list(convolutions.drawn(pool, pool, train=60, validation=40, seed=4).train["y"])


def test_the_dense_spectrum_is_that_of_the_matrix():
    matrix = np.random.default_rng(0).normal(size=(12, 12)).astype(np.float32)
    apply = lambda x: x.reshape(len(x), -1) @ matrix  # noqa: E731
    expected = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(convolutions.dense_spectrum(apply, (2, 2, 3)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_network_has_as_many_kernels_as_convolutions(batch_norm):
    build = convolutions.network(channels=5, convolutions=3, batch_norm=batch_norm)
    model = build(jax.random.key(0))
    assert model(np.ones((2, 4, 4, 3), np.float32)).shape == (2, 10)
    from flax import nnx

    shapes = [kernel.shape for kernel in convolutions.kernels(nnx.state(model, nnx.Param))]
    assert shapes == [(3, 3, 3, 5), (3, 3, 5, 5), (3, 3, 5, 5)]


def test_a_perceptron_has_the_layers_that_it_says():
    model = perceptron(inputs=6, width=4, hidden=3, outputs=2)(jax.random.key(0))
    assert [layer.kernel.shape for layer in model.layers[1::2]] == [(6, 4), (4, 4), (4, 4), (4, 2)]


def test_projections_keep_what_they_say():
    rng = np.random.default_rng(0)
    layer = (rng.normal(size=(200, 6)) * [3, 1, 1, 1, 1, 0.1] + 2).astype(np.float32)
    found = similarity.canonical_directions(layer, layer + rng.normal(size=layer.shape).astype(np.float32))
    ways = svcca.projections(layer, found, seed=0)
    for kind, way in ways.items():
        matrix, _ = way(6)
        np.testing.assert_allclose(matrix, np.eye(6), atol=1e-3, err_msg=kind)
        matrix, mean = way(2)
        assert np.linalg.matrix_rank(matrix, tol=1e-4) == 2
        if kind != "SVCCA, oblique":
            np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
        np.testing.assert_allclose(matrix @ matrix, matrix, atol=1e-3, err_msg=kind)
        assert (mean == 0).all() == ("neurons" in kind)
    assert np.diag(ways["most active neurons"](1)[0]).argmax() == np.abs(layer).mean(0).argmax()
    assert abs(ways["principal components"](1)[0][0, 0]) > 0.9  # the unit of the largest variance
    # The library's own projection is the same map.
    matrix, mean = ways["SVCCA"](2)
    np.testing.assert_allclose(similarity.project(layer, found, 2), (layer - mean) @ matrix + mean, atol=1e-4)
    matrix, mean = ways["SVCCA, oblique"](2)
    ours = similarity.project(layer, found, 2, kind="oblique")
    np.testing.assert_allclose(ours, (layer - mean) @ matrix + mean, atol=1e-4)


def test_the_share_outside_the_blocks():
    rng = np.random.default_rng(0)
    separate = np.zeros((4000, 3, 2))
    for block in range(3):
        separate[:, block] = rng.normal(size=(4000, 2)) @ rng.normal(size=(2, 2))
    assert svcca.off_block_share(separate) < 0.01
    same = np.repeat(rng.normal(size=(100, 1, 1)), 4, 1)
    assert svcca.off_block_share(same) == pytest.approx(12 / 16)
    assert svcca.off_block_share(same * np.exp(1j * np.arange(4))[:, None]) == pytest.approx(12 / 16)
