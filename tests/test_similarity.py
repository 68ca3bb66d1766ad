"""Similarity measures against closed forms, a slow independent reference, and the invariances the papers claim."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from deepphenomena.runtime.errors import InputError
from deepphenomena.similarity import cca, linear_cka, moments, pwcca, svcca

MEASURES = {
    "cca": lambda x, y: cca(x, y).similarity,
    "svcca": lambda x, y: svcca(x, y).similarity,
    "pwcca": lambda x, y: pwcca(x, y).similarity,
    "pwcca of 90% of the variance": lambda x, y: pwcca(x, y, variance=0.9).similarity,
    "linear CKA": linear_cka,
}
# Samples, features of x, features of y: tall, wide, either side the wider, several blocks of rows and columns.
SHAPES = {
    "float32": [(60, 7, 5), (1000, 150, 120), (12, 15, 20)],
    "float64": [(60, 7, 5), (60, 5, 9), (20, 30, 6), (20, 6, 30), (2, 3, 1)],
}
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


def reference(x, y, *, variance=1.0, weighted=False):
    """CCA by singular vectors, as the papers define it, in double precision: correlations, similarity, kept."""
    x, y = (np.asarray(a, float) - np.mean(np.asarray(a, float), axis=0) for a in (x, y))
    bases = []
    for a in (x, y):
        vectors, lengths, _ = np.linalg.svd(a, full_matrices=False)
        share = np.cumsum(lengths**2) / np.sum(lengths**2)
        rank = int(np.sum(lengths > 1e-9 * lengths[0]))
        bases.append(vectors[:, : rank if variance == 1 else int(np.argmax(share >= variance)) + 1])
    left, rho, _ = np.linalg.svd(bases[0].T @ bases[1], full_matrices=False)
    weights = np.abs((bases[0] @ left).T @ x).sum(1) if weighted else np.ones(len(rho))
    return rho, weights @ rho / weights.sum(), [basis.shape[1] for basis in bases]


def reference_cka(x, y):
    """HSIC of the samples' Gram matrices with the centring matrix written out (Kornblith et al. 2019, equation 3)."""
    n = len(x)
    centre = np.eye(n) - np.ones((n, n)) / n
    k, m = (centre @ np.asarray(a, float) @ np.asarray(a, float).T @ centre for a in (x, y))
    return np.sum(k * m) / np.sqrt(np.sum(k * k) * np.sum(m * m))


def related(shape, seed):
    """Two sets of features with something in common, offsets and unequal scales."""
    n, p, q = shape
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 3))
    x = common @ rng.normal(size=(3, p)) + rng.normal(size=(n, p)) * rng.uniform(0.3, 2, p) + rng.normal(size=p)
    y = np.tanh(common @ rng.normal(size=(3, q))) + 0.5 * rng.normal(size=(n, q)) + 3
    return x, y


def orthonormal(rng, samples, count):
    """Columns orthogonal to each other and to the constant vector."""
    columns = np.concatenate([np.ones((samples, 1)), rng.normal(size=(samples, count))], 1)
    return np.linalg.qr(columns)[0][:, 1:]


def mixing(rng, size):
    """An invertible matrix with singular values between 0.5 and 2."""
    left, right = (np.linalg.qr(rng.normal(size=(size, size)))[0] for _ in range(2))
    return left * rng.uniform(0.5, 2, size) @ right


@pytest.mark.parametrize(("dtype", "shape"), [(dtype, shape) for dtype in SHAPES for shape in SHAPES[dtype]])
def test_values_are_those_of_the_definitions(dtype, shape):
    tolerance = TOLERANCE[dtype]
    with jax.enable_x64(dtype == "float64"):
        x, y = related(shape, seed=sum(shape))
        pair = jnp.asarray(x, dtype), jnp.asarray(y, dtype)
        for ours, options in [
            (cca(*pair), {}),
            (svcca(*pair, variance=0.9), {"variance": 0.9}),
            (pwcca(*pair), {"weighted": True}),
            (pwcca(*pair, variance=0.9), {"variance": 0.9, "weighted": True}),
        ]:
            rho, value, kept = reference(*pair, **options)
            assert ours.kept.tolist() == kept
            assert ours.directions == len(rho)
            np.testing.assert_allclose(ours.correlations[: len(rho)], rho, atol=tolerance)
            assert not ours.correlations[len(rho) :].any()
            np.testing.assert_allclose(ours.similarity, value, atol=tolerance)
        np.testing.assert_allclose(linear_cka(*pair), reference_cka(*pair), atol=tolerance)


@settings(max_examples=20, deadline=None)
@given(p=st.integers(1, 6), q=st.integers(1, 6), seed=st.integers(0, 2**31), low=st.floats(0, 1), mixed=st.booleans())
def test_cca_recovers_correlations_put_in_by_construction(p, q, seed, low, mixed):
    rng = np.random.default_rng(seed)
    count = min(p, q)
    rho = np.sort(rng.uniform(low, 1, count))[::-1]
    columns = orthonormal(rng, 40, p + q)
    x, y = columns[:, :p], columns[:, p:].copy()
    y[:, :count] = x[:, :count] * rho + y[:, :count] * np.sqrt(1 - rho**2)
    if mixed:
        x, y = x @ mixing(rng, p) + rng.normal(size=p), y @ mixing(rng, q) - 2
    with jax.enable_x64(True):
        np.testing.assert_allclose(cca(x, y).correlations, rho, atol=1e-7)
        np.testing.assert_allclose(cca(x, y).similarity, rho.mean(), atol=1e-7)


def test_pwcca_weights_orthogonal_features_by_their_length():
    rng = np.random.default_rng(0)
    rho, lengths = np.array([0.9, 0.6, 0.3]), np.array([1.0, 5.0, 2.0])
    columns = orthonormal(rng, 50, 6)
    y = (columns[:, :3] * rho + columns[:, 3:] * np.sqrt(1 - rho**2)) @ mixing(rng, 3)
    with jax.enable_x64(True):
        ours = pwcca(columns[:, :3] * lengths, y)
        np.testing.assert_allclose(ours.weights, lengths / 8, atol=1e-8)
        np.testing.assert_allclose(ours.similarity, rho @ lengths / 8, atol=1e-8)


def test_svcca_keeps_the_fewest_directions_with_the_share_asked_for():
    columns = orthonormal(np.random.default_rng(0), 50, 8)
    x = columns[:, :4] * np.sqrt([70, 20, 9, 1])
    y = columns[:, [0, 1, 4, 5]] * np.sqrt([1, 1, 1, 1])
    for variance, kept in [(0.5, [1, 2]), (0.71, [2, 3]), (0.91, [3, 4]), (0.995, [4, 4]), (1.0, [4, 4])]:
        assert svcca(x, y, variance=variance).kept.tolist() == kept


def test_cka_of_common_orthogonal_features_is_the_alignment_of_their_variances():
    columns = orthonormal(np.random.default_rng(0), 30, 4)
    a, b = np.array([1.0, 2.0, 3.0, 4.0]), np.array([4.0, 1.0, 1.0, 0.5])
    expected = np.sum(a**2 * b**2) / np.sqrt(np.sum(a**4) * np.sum(b**4))
    np.testing.assert_allclose(linear_cka(columns * a, columns * b), expected, rtol=1e-5)


def test_independent_noise_has_the_values_that_chance_gives():
    """E Σρ² = pq/(n−1): the trace of the product of two random projections of n−1 dimensions.

    For CKA the moments of Wishart matrices: E‖XᵀY‖² = (n−1)pq and E‖XᵀX‖² = (n−1)p(n+p) for unit variances.
    """
    n, p, q, draws = 101, 12, 20, 300
    x = jax.random.normal(jax.random.key(0), (draws, n, p))
    y = jax.random.normal(jax.random.key(1), (draws, n, q))
    squares = jax.lax.map(lambda pair: jnp.sum(cca(*pair).correlations ** 2), (x, y))
    alignment = jax.lax.map(lambda pair: linear_cka(*pair), (x, y))
    for values, expected in [(squares, p * q / (n - 1)), (alignment, np.sqrt(p * q / (n + p) / (n + q)))]:
        # Five standard errors; 0.2% for the ratio of expectations that stands for the expectation of a ratio.
        assert abs(values.mean() - expected) < 5 * values.std() / draws**0.5 + 0.002 * expected


@pytest.mark.parametrize("measure", MEASURES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), shape=st.sampled_from([(40, 6, 6), (40, 9, 4), (12, 20, 5)]))
def test_shift_scale_and_order_of_features_and_samples_do_not_matter(measure, seed, shape):
    rng = np.random.default_rng(seed)
    x, y = related(shape, seed)
    rows, columns = rng.permutation(shape[0]), rng.permutation(shape[1])
    of = MEASURES[measure]
    with jax.enable_x64(True):
        expected = of(x, y)
        assert 0 <= expected <= 1
        np.testing.assert_allclose(of(3 * x + 5, -0.01 * y + rng.normal(size=shape[2])), expected, atol=1e-9)
        np.testing.assert_allclose(of(x[:, columns], y), expected, atol=1e-9)
        np.testing.assert_allclose(of(x[rows], y[rows]), expected, atol=1e-9)
        np.testing.assert_allclose(of(x * 1e150, y * 1e-150), expected, atol=1e-9)


@pytest.mark.parametrize("measure", ["cca", "svcca", "linear CKA"])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), shape=st.sampled_from([(40, 6, 6), (40, 9, 4), (12, 20, 5)]))
def test_rotations_of_either_side_and_exchange_of_sides_do_not_matter(measure, seed, shape):
    rng = np.random.default_rng(seed)
    x, y = related(shape, seed)
    turned = [a @ np.linalg.qr(rng.normal(size=(a.shape[1],) * 2))[0] for a in (x, y)]
    with jax.enable_x64(True):
        expected = MEASURES[measure](x, y)
        np.testing.assert_allclose(MEASURES[measure](*turned), expected, atol=1e-9)
        np.testing.assert_allclose(MEASURES[measure](y, x), expected, atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), shape=st.sampled_from([(40, 6, 6), (40, 9, 4)]))
def test_invertible_maps_change_neither_cca_nor_the_unweighted_side_of_pwcca(seed, shape):
    rng = np.random.default_rng(seed)
    x, y = related(shape, seed)
    p, q = shape[1:]
    with jax.enable_x64(True):
        other = y @ mixing(rng, q) * np.logspace(-3, 3, q) @ mixing(rng, q)
        np.testing.assert_allclose(cca(x, other).correlations, cca(x, y).correlations, atol=1e-7)
        np.testing.assert_allclose(cca(x @ mixing(rng, p), y).similarity, cca(x, y).similarity, atol=1e-9)
        np.testing.assert_allclose(pwcca(x, other).similarity, pwcca(x, y).similarity, atol=1e-7)


def test_an_invertible_map_of_itself_gives_one_where_the_measure_says_so():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 10))
    mapped, turned = x @ mixing(rng, 10) + 1, x @ np.linalg.qr(rng.normal(size=(10, 10)))[0]
    assert cca(x, mapped).similarity == pytest.approx(1, abs=1e-5)
    assert pwcca(x, mapped).similarity == pytest.approx(1, abs=1e-5)
    assert svcca(x, turned).similarity == pytest.approx(1, abs=1e-5)
    assert linear_cka(x, turned) == pytest.approx(1, abs=1e-5)
    assert linear_cka(x, mapped) < 0.99


def test_ill_conditioned_features_keep_their_correlations_in_single_precision():
    """Second moments alone would lose a direction 2e-3 as long as the others to rounding in float32."""
    rng = np.random.default_rng(0)
    columns = orthonormal(rng, 400, 16)
    rho = np.linspace(0.9, 0.2, 8)
    y = columns[:, :8] * rho + columns[:, 8:] * np.sqrt(1 - rho**2)
    turned = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    x = columns[:, :8] * np.array([1, 1, 1, 1, 1, 1, 1, 2e-3]) @ turned
    np.testing.assert_allclose(cca(x, y).correlations, rho, atol=5e-5)
    np.testing.assert_allclose(cca(y, x).correlations, rho, atol=5e-5)
    np.testing.assert_allclose(svcca(x, y, variance=1 - 2e-7).correlations, rho, atol=5e-5)


def test_a_large_common_offset_costs_no_accuracy():
    rng = np.random.default_rng(0)
    x, y = (rng.integers(-512, 512, size=(300, 5)) / 256 for _ in range(2))  # exact in float32, offset included
    y[:, :2] += x[:, :2]
    far = jnp.asarray(x + 4096, jnp.float32), jnp.asarray(y - 4096, jnp.float32)
    np.testing.assert_allclose(cca(*far).correlations, reference(x, y)[0], atol=1e-5)
    np.testing.assert_allclose(linear_cka(*far), reference_cka(x, y), atol=1e-5)


# Rank of x, and x made of 30 samples of 5 features.
DEGENERATE = {
    "dead unit": (4, lambda x: x * [1, 1, 0, 1, 1]),
    "constant unit": (4, lambda x: np.where(np.arange(5) == 2, 0.1, x)),
    "repeated unit": (4, lambda x: x[:, [0, 1, 1, 2, 3]]),
    "linearly dependent units": (3, lambda x: x[:, :3] @ np.random.default_rng(1).normal(size=(3, 5))),
    "all constant": (0, lambda x: np.full((30, 5), 0.1)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", DEGENERATE)
def test_what_does_not_vary_is_left_out_and_nothing_exceeds_one(kind, dtype):
    rank, of = DEGENERATE[kind]
    rng = np.random.default_rng(7)
    full, y = rng.normal(size=(30, 5)), rng.normal(size=(30, 5))
    with jax.enable_x64(dtype == "float64"):
        x, y = jnp.asarray(of(full), dtype), jnp.asarray(y, dtype)
        assert cca(x, y).kept.tolist() == [rank, 5]
        assert cca(y, x).kept.tolist() == [5, rank]
        for measure in MEASURES.values():
            for pair in ((x, y), (y, x), (x, x)):
                assert 0 <= measure(*pair) <= 1
        if rank:
            # In double precision the reference sees the rank too.
            np.testing.assert_allclose(cca(x, y).correlations[:rank], reference(of(full), y)[0], atol=1e-5)
            np.testing.assert_allclose(cca(x, x).similarity, 1, atol=1e-5)
        else:
            assert [float(measure(x, y)) for measure in MEASURES.values()] == [0] * len(MEASURES)


def test_with_as_many_features_as_samples_every_correlation_is_one():
    rng = np.random.default_rng(0)
    ours = cca(rng.normal(size=(20, 30)), rng.normal(size=(20, 5)))
    assert ours.kept.tolist() == [19, 5]
    np.testing.assert_allclose(ours.correlations, np.ones(5), atol=1e-5)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_activations_that_are_not_finite_give_nan(measure, bad):
    x, y = related((30, 4, 5), 0)
    y[3, 2] = bad
    assert np.isnan(MEASURES[measure](x, y))
    assert np.isnan(MEASURES[measure](y, x))


@pytest.mark.parametrize("shape", [(256, 3, 4), (255, 200, 57), (600, 257, 300)])
def test_moments_by_chunks_are_the_moments(shape):
    with jax.enable_x64(True):
        x, y = (moments.rescale(jnp.asarray(a)) for a in related(shape, 0))
        chunks, plain = moments.moments_by_chunks(x, y), moments.moments_at_once(x, y)
        np.testing.assert_allclose(chunks, plain, rtol=1e-12, atol=1e-12 * shape[0])


@pytest.mark.parametrize("measure", MEASURES)
def test_jit_vmap_and_low_precision_inputs(measure):
    of = MEASURES[measure]
    x, y = (jnp.stack([jnp.asarray(a, jnp.float32)] * 2) for a in related((30, 4, 5), 0))
    np.testing.assert_allclose(jax.jit(jax.vmap(of))(x, y), [of(x[0], y[0])] * 2, atol=1e-5)
    half = of(x[0].astype(jnp.bfloat16), y[0])
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, of(x[0], y[0]), atol=0.02)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((4, 3, 2)), np.ones((4, 3)), "flatten"),
        (np.ones((4, 3)), np.ones((3, 4)), "same samples"),
        (np.ones((1, 3)), np.ones((1, 4)), "two or more"),
        (np.ones((4, 0)), np.ones((4, 3)), "flatten"),
        (np.ones((4, 3), complex), np.ones((4, 3)), "real numbers"),
    ],
)
@pytest.mark.parametrize("measure", MEASURES)
def test_what_cannot_be_compared_is_refused(measure, x, y, message, unchecked_types):
    with pytest.raises(InputError, match=message):
        MEASURES[measure](x, y)


@pytest.mark.parametrize("variance", [0, 1.01, float("nan"), "most", -1])
def test_a_share_of_variance_outside_its_bounds_is_refused(variance, unchecked_types):
    for measure in (svcca, pwcca):
        with pytest.raises(InputError, match="variance is"):
            measure(np.ones((4, 2)), np.ones((4, 2)), variance=variance)
