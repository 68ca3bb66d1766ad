"""Layers taken apart once: matrices of all pairs, cuts, canonical directions, Fourier blocks and baselines."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from deepphenomena import similarity
from deepphenomena.kernels import convolution
from deepphenomena.runtime.errors import InputError

PAIRWISE = {
    "cca": lambda x, y: similarity.cca(x, y).similarity,
    "svcca": lambda x, y: similarity.svcca(x, y).similarity,
    "pwcca": lambda x, y: similarity.pwcca(x, y).similarity,
    "linear_cka": similarity.linear_cka,
    "rbf_cka": similarity.rbf_cka,
}


def layers(seed, samples=120, widths=(5, 9)):
    """Layers with something in common, offsets and unequal scales."""
    rng, common = np.random.default_rng(seed), np.random.default_rng(0).normal(size=(samples, 4))
    return {
        f"layer {k}": np.tanh(common @ rng.normal(size=(4, p)) + 0.5 * rng.normal(size=(samples, p))) * 3.0**k + k
        for k, p in enumerate(widths)
    }


@pytest.mark.parametrize(
    ("measure", "dtype"), [*((measure, "float32") for measure in PAIRWISE), ("svcca", "float64"), ("pwcca", "float64")]
)
def test_the_matrix_holds_the_similarity_of_every_pair(measure, dtype):
    with jax.enable_x64(dtype == "float64"):
        one, other = ({n: jnp.asarray(a, dtype) for n, a in layers(s).items()} for s in (1, 2))
        table = similarity.matrix(one, other, measure=measure)
        assert list(table.index) == list(one)
        assert list(table.columns) == list(other)
        expected = [[float(PAIRWISE[measure](x, y)) for y in other.values()] for x in one.values()]
        np.testing.assert_allclose(table, expected, atol=2e-4 if dtype == "float32" else 1e-7)


def test_more_features_than_samples():
    one, other = layers(1, samples=20, widths=(30, 6)), layers(2, samples=20, widths=(30, 6))
    for measure, of in PAIRWISE.items():
        expected = [[float(of(x, y)) for y in other.values()] for x in one.values()]
        np.testing.assert_allclose(similarity.matrix(one, other, measure=measure), expected, atol=2e-4)
    assert similarity.matrix(one, other, measure="cca").loc["layer 0", "layer 0"] == pytest.approx(1, abs=1e-5)


def test_a_layer_is_taken_apart_once(monkeypatch):
    from deepphenomena.similarity import matrices

    seen = []
    of = similarity.decompose
    monkeypatch.setattr(matrices, "decompose", lambda x, **options: seen.append(x.shape) or of(x, **options))
    one = layers(1)
    similarity.matrix(one, one)
    assert len(seen) == len(one)
    seen.clear()
    similarity.matrix(one, layers(2))
    assert len(seen) == 2 * len(one)


@pytest.mark.parametrize("measure", PAIRWISE)
def test_dead_constant_and_repeated_units_and_a_dead_layer(measure):
    x = layers(1)["layer 1"]
    odd = {
        "dead": np.concatenate([x, np.zeros((len(x), 2))], 1),
        "constant": np.concatenate([x, np.full((len(x), 1), 0.1)], 1),
        "nothing": np.full((len(x), 3), 0.1),
    }
    table = similarity.matrix({"x": x} | odd, {"x": x}, measure=measure)["x"]
    np.testing.assert_allclose(table[["dead", "constant", "x"]], [1, 1, 1], atol=1e-4)
    assert table["nothing"] == 0
    twice = similarity.matrix({"twice": np.concatenate([x, x], 1)}, {"x": x}, measure=measure)
    np.testing.assert_allclose(twice, 1, atol=1e-4)


@pytest.mark.parametrize("measure", PAIRWISE)
def test_a_huge_mean_in_float32_loses_no_digits(measure):
    rng = np.random.default_rng(0)
    x, y = (rng.integers(-512, 512, size=(300, 5)) / 256 for _ in range(2))  # exact in float32, offset included
    y[:, :2] += x[:, :2]
    near, far = ([{"a": (a + b).astype(np.float32)} for a, b in ((x, c), (y, -c))] for c in (0, 4096))
    np.testing.assert_allclose(
        similarity.matrix(*far, measure=measure), similarity.matrix(*near, measure=measure), atol=1e-4
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_entry_that_is_not_finite_is_refused_with_the_name_of_its_layer(bad):
    one, other = layers(1), layers(2)
    other["layer 1"][7, 0] = bad
    with pytest.raises(InputError, match=r"layer 'layer 1': 1 of 120 .* sample 7"):
        similarity.matrix(one, other)


@pytest.mark.parametrize(
    ("one", "options", "message"),
    [
        ({"a": np.ones((4, 2, 2))}, {}, "layer 'a': .*flatten"),
        ({"a": np.eye(4), "b": np.eye(5)}, {}, "4 and 5 samples"),
        ({}, {}, "no samples"),
        ({"a": np.eye(4)}, {"measure": "ccka"}, "unknown measure"),
        ({"a": np.eye(4)}, {"measure": "linear_cka", "keep": 0.9}, "unknown option of linear_cka 'keep'"),
        ({"a": np.eye(4)}, {"keep": 0.0}, "keep is"),
        ({"a": np.eye(4)}, {"cut": "most"}, "unknown cut"),
        ({"a": np.eye(4)}, {"measure": "rbf_cka", "bandwidth": 0.0}, "bandwidth"),
    ],
)
def test_what_cannot_be_compared_is_refused(one, options, message, unchecked_types):
    with pytest.raises(InputError, match=message):
        similarity.matrix(one, one, **options)


@pytest.mark.parametrize("samples", [100, 12])
@pytest.mark.parametrize(("keep", "cut"), [(1.0, "variance"), (0.9, "variance"), (0.9, "singular values")])
def test_a_layer_is_its_directions_times_its_loadings(samples, keep, cut):
    x = np.random.default_rng(0).normal(size=(samples, 20)) * np.linspace(0.1, 3, 20) + 5
    with jax.enable_x64(True):
        layer = jax.tree.map(np.asarray, similarity.decompose(jnp.asarray(x), keep=keep, cut=cut))
    left, lengths, right = np.linalg.svd(x - x.mean(0), full_matrices=False)
    size = lengths**2 if cut == "variance" else lengths
    count = int((lengths > 1e-9).sum()) if keep == 1 else int(np.argmax(np.cumsum(size) >= keep * size.sum())) + 1
    assert layer.kept == count
    used = np.asarray(layer.directions[:, :count])
    np.testing.assert_allclose(used.T @ used, np.eye(count), atol=1e-9)
    np.testing.assert_allclose(layer.directions[:, count:], 0, atol=1e-12)
    np.testing.assert_allclose(layer.mean, x.mean(0), atol=1e-12)
    np.testing.assert_allclose((x - x.mean(0)) @ layer.weights, layer.directions, atol=1e-9)
    part = left[:, :count] * lengths[:count] @ right[:count]
    np.testing.assert_allclose(layer.directions @ layer.loadings.T, part, atol=1e-9)


def test_the_cut_by_singular_values_keeps_more_than_the_cut_by_variance():
    x = np.random.default_rng(0).normal(size=(300, 40)) * np.r_[np.full(10, 1.0), np.full(30, 0.1)]
    by = {cut: int(similarity.decompose(x, keep=0.9, cut=cut).kept) for cut in ("variance", "singular values")}
    assert by["variance"] < by["singular values"]


def test_the_variates_of_two_layers_are_uncorrelated_but_for_their_partners():
    x, y = layers(1)["layer 0"], layers(2)["layer 1"]
    with jax.enable_x64(True):
        one, other = (similarity.canonical_directions(*(map(jnp.asarray, pair))) for pair in ((x, y), (y, x)))
        one, other = jax.tree.map(np.asarray, (one, other))
    left, right = ((a - a.mean(0)) @ found.weights for a, found in ((x, one), (y, other)))
    assert one.found == other.found == 5
    np.testing.assert_allclose(left.T @ left, np.eye(5), atol=1e-9)
    np.testing.assert_allclose(np.abs(left.T @ right[:, :5]), np.diag(one.correlations), atol=1e-7)
    np.testing.assert_allclose(one.correlations, other.correlations[:5], atol=1e-9)


def test_projections_on_the_directions():
    x, y = layers(1)["layer 1"], layers(2)["layer 1"]
    fresh = np.random.default_rng(5).normal(size=(30, 9))
    with jax.enable_x64(True):
        x, y, fresh = map(jnp.asarray, (x, y, fresh))
        found = similarity.canonical_directions(x, y)
        for count in (0, 3, 9):
            # Orthogonal: the nearest point of the span of the weights, for any sample.
            basis = np.linalg.qr(np.asarray(found.weights[:, :count]))[0]
            expected = found.mean + (fresh - found.mean) @ basis @ basis.T
            np.testing.assert_allclose(similarity.project(fresh, found, count), expected, atol=1e-9)
            # Oblique: the regression of the units on the variates of the samples that the directions come from.
            variates = np.asarray((x - x.mean(0)) @ found.weights[:, :count])
            expected = x.mean(0) + variates @ np.linalg.lstsq(variates, np.asarray(x - x.mean(0)), rcond=None)[0]
            np.testing.assert_allclose(similarity.project(x, found, count, kind="oblique"), expected, atol=1e-8)
    with pytest.raises(InputError, match="count 10"):
        similarity.project(fresh, found, 10)
    with pytest.raises(InputError, match="unknown kind"):
        similarity.project(fresh, found, 1, kind="skew")


def all_shifts(images):
    """Every cyclic shift of every image, (images · pixels, height, width, channels)."""
    _, height, width, _ = images.shape
    return jnp.concatenate([jnp.roll(images, (i, j), (1, 2)) for i in range(height) for j in range(width)])


@pytest.mark.parametrize("size", [(3, 4), (5, 3)])
def test_fourier_blocks_give_the_cca_of_the_flattened_layers_if_all_shifts_are_there(size):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        images = all_shifts(jnp.asarray(rng.normal(size=(30, *size, 2))))
        x, y = (
            jnp.tanh(convolution(images, jnp.asarray(rng.normal(size=(3, 3, 2, c))), padding="CIRCULAR"))
            for c in (3, 2)
        )
        ours = similarity.dft_cca(x, y)
        full = similarity.cca(x.reshape(len(x), -1), y.reshape(len(y), -1))
        np.testing.assert_allclose(ours.similarity, full.similarity, atol=1e-9)
        np.testing.assert_allclose(
            np.sort(ours.correlations.ravel())[::-1], full.correlations[: full.directions], atol=1e-6
        )
        np.testing.assert_allclose(ours.by_frequency, ours.correlations.mean(-1), atol=1e-12)


def test_fourier_blocks_ignore_mixtures_of_channels_dead_channels_and_a_huge_mean():
    rng = np.random.default_rng(0)
    x = rng.integers(-512, 512, size=(80, 4, 4, 3)) / 256
    mixed = (np.roll(x, 2, 1) @ rng.normal(size=(3, 3))).astype(np.float32)
    far = np.concatenate([x + 4096, np.full((80, 4, 4, 2), 0.1)], -1).astype(np.float32)
    ours = similarity.dft_cca(far, mixed)
    np.testing.assert_allclose(ours.similarity, 1, atol=1e-4)
    assert (ours.correlations <= 1).all()
    assert similarity.dft_cca(np.zeros((8, 4, 4, 2), np.float32), x[:8].astype(np.float32)).similarity == 0


def test_fourier_refuses_layers_of_different_sizes(unchecked_types):
    with pytest.raises(InputError, match="resize"):
        similarity.dft_cca(np.ones((4, 3, 3, 2)), np.ones((4, 2, 2, 2)))


def test_baselines_are_the_values_without_a_relation():
    # Independent features have a mean ρ² of about max(p, q)/(n − 1): here 10/199.
    x = jax.random.normal(jax.random.key(0), (200, 10))
    squared = lambda x, y: jnp.mean(similarity.cca(x, y).correlations ** 2)  # noqa: E731
    permuted = similarity.permutation_baseline(squared, x, x, key=jax.random.key(1), permutations=40)
    assert float(squared(x, x)) == pytest.approx(1, abs=1e-5)
    assert permuted.mean() == pytest.approx(10 / 199, rel=0.1)
    drawn = similarity.unrelated_networks(
        squared, lambda key: jax.random.normal(key, (200, 10)), jax.random.split(jax.random.key(2), 9)
    )
    assert drawn.shape == (36,)
    assert drawn.mean() == pytest.approx(10 / 199, rel=0.1)
    with pytest.raises(InputError, match="permutations"):
        similarity.permutation_baseline(squared, x, x, key=jax.random.key(1), permutations=0)
    with pytest.raises(InputError, match="two or more"):
        similarity.unrelated_networks(squared, lambda key: x, jax.random.split(jax.random.key(2), 1))
