"""Residual networks, principal components of layers, blocks of layers, pieces of the chapters on block structure."""

import jax
import numpy as np
import pandas as pd
import pytest
from jax import numpy as jnp

from deepphenomena import nets, similarity
from deepphenomena.nets.residual import residual, without_block
from deepphenomena.papers import block_structure as chapter
from deepphenomena.runtime.errors import InputError
from deepphenomena.similarity import blocks, components


def network(architecture="dense", **options):
    build = residual(architecture, **{"shape": (8, 8, 3), "width": 6, "blocks": 3} | options)
    model = build(jax.random.key(0))
    return nets.functional(model), nets.functional(model, method="layers")[0]


def test_resnet_20_has_as_many_parameters_as_in_the_paper():
    (_, parameters), _ = network("convolutional", width=16, blocks=9)
    count = sum(leaf.size for leaf in jax.tree.leaves(parameters))
    assert round(count / 1e6, 2) == 0.27  # Table 6 of He et al. 2016


@pytest.mark.parametrize("skip", [True, False])
def test_a_dense_block_is_the_formula(skip):
    (apply, parameters), layers = network(skip=skip)
    x = jax.random.normal(jax.random.key(1), (20, 8, 8, 3))
    given = layers(parameters, x)[1]
    kernels = next(v for path, v in jax.tree_util.tree_leaves_with_path(parameters) if "kernels" in str(path))

    def normalized(a):
        return (a - a.mean(0)) / np.sqrt(a.var(0) + 1e-5)

    before = np.asarray(given["block 2"])
    inner = np.maximum(normalized(before @ kernels[2, 0]), 0)
    expected = np.maximum(normalized(inner @ kernels[2, 1]) + (before if skip else 0), 0)
    np.testing.assert_allclose(given["block 3"], expected, atol=2e-4)
    np.testing.assert_allclose(apply(parameters, x), layers(parameters, x)[0])


@pytest.mark.parametrize("architecture", ["dense", "convolutional"])
@pytest.mark.parametrize("skip", [True, False])
def test_layers_are_named_in_order_and_differ(architecture, skip):
    (_, parameters), layers = network(architecture, skip=skip)
    outputs, given = layers(parameters, jax.random.normal(jax.random.key(1), (4, 8, 8, 3)))
    assert outputs.shape == (4, 10)
    assert list(given) == ["block 1", "block 2", "block 3"]
    if architecture == "convolutional":
        assert [layer.shape[1:] for layer in given.values()] == [(8, 8, 6), (4, 4, 12), (2, 2, 24)]


def test_a_deleted_block_passes_its_input_on():
    (_, parameters), layers = network()
    x = jax.random.normal(jax.random.key(1), (20, 8, 8, 3))
    whole, cut = layers(parameters, x)[1], layers(without_block(parameters, 1), x)[1]
    np.testing.assert_array_equal(cut["block 2"], cut["block 1"])
    np.testing.assert_array_equal(cut["block 1"], whole["block 1"])
    assert not np.allclose(cut["block 2"], whole["block 2"])


def test_unknown_architectures_and_uneven_stages_are_refused():
    with pytest.raises(InputError, match="dense"):
        residual("sparse", shape=(8, 8, 3), width=4, blocks=3)
    with pytest.raises(InputError, match="3 stages"):
        residual("convolutional", shape=(8, 8, 3), width=4, blocks=4)


@pytest.mark.parametrize("shape", [(60, 9), (9, 60)])
def test_components_are_those_of_the_singular_value_decomposition(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32) + 100
    left, sizes, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    found = components.principal(jnp.asarray(x), 3)
    np.testing.assert_allclose(np.abs(np.sum(found.scores * left[:, :3], 0)), 1, atol=1e-3)
    np.testing.assert_allclose(found.shares, sizes[:3] ** 2 / (sizes**2).sum(), atol=1e-4)
    rest = components.without(jnp.asarray(x), found.scores[:, 0])
    np.testing.assert_allclose(np.linalg.norm(rest), np.sqrt((sizes[1:] ** 2).sum()), rtol=1e-3)


def test_a_constant_layer_has_no_component():
    found = components.principal(jnp.ones((10, 3)), 1)
    assert float(found.shares[0]) == 0
    assert np.all(np.asarray(found.scores) == 0)
    with pytest.raises(InputError, match="at most"):
        components.principal(jnp.ones((10, 3)), 4)


@pytest.mark.parametrize(("draw", "expected"), [("normal", 0.28), ("laplace", 0.42)])
def test_dominance_of_known_distributions(draw, expected):
    scores = getattr(np.random.default_rng(0), draw)(size=200_000)
    assert components.dominance(scores, 0.05) == pytest.approx(expected, abs=0.01)


def test_dominant_samples_are_those_of_largest_size_whatever_their_sign():
    assert components.leading(np.array([0.1, -0.9, 0.5, 0.2]), 2).tolist() == [1, 2]


def layers_of(samples=300, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, 5))
    return {"one": x, "same": x @ np.linalg.qr(rng.normal(size=(5, 5)))[0], "else": rng.normal(size=(samples, 4))}


def test_look_is_unbiased_cka_of_batches():
    layers = layers_of(200)  # one batch
    seen = blocks.look(layers)
    expected = [[similarity.unbiased_cka(a, b) for b in layers.values()] for a in layers.values()]
    np.testing.assert_allclose(seen.cka, np.array(expected, float), atol=1e-4)
    assert list(seen.cka.index) == list(seen.cka.columns) == list(layers)
    assert seen.block == slice(0, 2)
    np.testing.assert_allclose(seen.norms[0], np.linalg.norm(layers["one"], axis=1))


def test_cka_uses_all_samples_in_batches():
    layers = layers_of(700)
    in_batches = blocks.cka(layers, layers).loc["one", "else"]
    assert in_batches == pytest.approx(float(similarity.unbiased_cka(layers["one"], layers["else"])), abs=0.02)


def table(neighbors):
    values = np.eye(len(neighbors) + 1)
    for i, value in enumerate(neighbors):
        values[i, i + 1] = values[i + 1, i] = value
    return pd.DataFrame(values)


@pytest.mark.parametrize(
    ("neighbors", "expected"),
    [
        ([0.99, 0.5, 0.99, 0.99, 0.2], (2, 5)),
        ([0.99, 0.99, 0.5, 0.99, 0.99], (0, 3)),
        ([0.99, 0.99], (0, 3)),
        ([0.1, 0.9, 0.3], (1, 3)),
    ],
)
def test_the_block_is_the_longest_run_or_the_most_similar_pair(neighbors, expected):
    assert blocks.longest_run(table(neighbors), 0.95) == slice(*expected)


def test_pairs_leave_out_the_diagonal():
    values = pd.DataFrame([[1.0, 0.97, 0.2], [0.97, 1.0, 0.4], [0.2, 0.4, 1.0]])
    assert blocks.pairs_above(values, 0.95) == pytest.approx(1 / 3)
    assert blocks.mean_of_pairs(values) == pytest.approx((0.97 + 0.2 + 0.4) / 3)
    assert blocks.mean_of_pairs(values, slice(0, 2)) == pytest.approx(0.97)


def test_a_component_is_shared_within_or_across():
    layers = layers_of()
    one, other = blocks.look(layers), blocks.look(layers_of(seed=1))
    assert blocks.shared_component(one, one) == pytest.approx(0, abs=1e-5)
    assert blocks.shared_component(one, other) > 0.8


def test_plain_colors_are_a_grid_of_three_levels():
    images = np.random.default_rng(0).normal(size=(50, 4, 4, 3)).astype(np.float32)
    made = chapter.plain_colors(images)
    assert made.shape == (27, 4, 4, 3)
    assert len(np.unique(made[:, 0, 0], axis=0)) == 27
    assert np.ptp(made, axis=(1, 2)).max() == 0
    assert made[..., 1].max() == images[..., 1].max()


def test_a_color_is_chosen_on_the_other_seeds():
    values = pd.DataFrame({7: [9.0, 1.0], 8: [0.0, 2.0], 9: [0.0, 3.0]})
    assert chapter.chosen_on_others(values).to_dict() == {7: 1.0, 8: 0.0, 9: 0.0}


def test_spread_and_border_of_images():
    images = np.zeros((4, 3, 3, 1))
    images[2:, 0] = 3  # three of eight border pixels
    images[:, 1, 1] = 50
    border = chapter.border_colors(images)
    assert border.ravel().tolist() == [0, 0, 9 / 8, 9 / 8]
    assert chapter.relative_spread(border, np.array([0, 1])) == 0
    assert chapter.relative_spread(border, np.arange(4)) == 1


def test_a_sheet_has_images_in_rows():
    images = np.arange(5.0)[:, None, None, None] * np.ones((5, 2, 2, 3))
    sheet = chapter.sheet(images, 3)
    assert sheet[0, ::2, 0].tolist() == [0, 1, 2]
    assert sheet[2, ::2, 0].tolist() == [3, 4, 0]
