"""Kernel CKA and its unbiased estimate against the definitions, and streams of batches against all of the data."""

import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from deepphenomena import similarity
from deepphenomena.runtime.errors import InputError


def hsic_1(k, m):
    """Song et al. (2012), equation 5, as it is written, in double precision."""
    n = len(k)
    k, m = (np.asarray(a, float) - np.diag(np.diag(a)) for a in (k, m))
    ones = np.ones(n)
    total = np.trace(k @ m) + (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
    return (total - 2 / (n - 2) * (ones @ k @ m @ ones)) / (n * (n - 3))


def linear(x):
    return x @ x.T


def rbf(x, bandwidth=0.5):
    distance = np.linalg.norm(x[:, None] - x[None], axis=-1)
    width = bandwidth * np.median(distance[np.triu_indices(len(x), 1)])
    return np.exp(-(distance**2) / (2 * width**2))


KERNELS = {"linear": linear, "rbf": rbf}


def cka_of(hsic, k, m):
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


def biased(k, m):
    n = len(k)
    centre = np.eye(n) - 1 / n
    return np.sum((centre @ k @ centre) * (centre @ m @ centre))


def pair(seed, samples, p=4, q=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, p))
    return x, np.tanh(x @ rng.normal(size=(p, q))) + 0.5 * rng.normal(size=(samples, q)) + 2


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", [(40, 4, 3), (9, 20, 30), (4, 2, 5)])
def test_values_are_those_of_the_definitions(kernel, shape):
    x, y = pair(1, *shape)
    k, m = KERNELS[kernel](x), KERNELS[kernel](y)
    with jax.enable_x64(True):
        if kernel == "rbf":
            np.testing.assert_allclose(similarity.rbf_cka(x, y), cka_of(biased, k, m), atol=1e-9)
        if hsic_1(k, k) > 0 < hsic_1(m, m):
            np.testing.assert_allclose(similarity.unbiased_cka(x, y, kernel=kernel), cka_of(hsic_1, k, m), atol=1e-7)
    np.testing.assert_allclose(similarity.rbf_cka(x, x), 1, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), samples=st.integers(5, 7), kernel=st.sampled_from(["linear"]))
def test_the_mean_over_every_possible_batch_is_the_estimate_from_all_samples(seed, samples, kernel):
    """HSIC₁ is an average over sets of four samples, so that its mean over all batches of one size is exact."""
    x, y = pair(seed, samples)
    batches = [list(chosen) for chosen in itertools.combinations(range(samples), 4)]
    with jax.enable_x64(True):
        table = similarity.minibatch_cka((({"x": x[b]}, {"y": y[b]}) for b in batches), kernel=kernel)
    k, m = linear(x), linear(y)
    if min(hsic_1(k, k), hsic_1(m, m)) > 1e-9:
        np.testing.assert_allclose(table.loc["x", "y"], cka_of(hsic_1, k, m), rtol=1e-8)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    batches=st.integers(1, 5),
    kernel=st.sampled_from(list(KERNELS)),
    size=st.sampled_from([8, 21]),
)
def test_a_stream_averages_the_three_terms_of_its_batches(seed, batches, kernel, size):
    x, y = pair(seed, batches * size)
    parts = np.split(np.arange(len(x)), batches)
    with jax.enable_x64(True):
        ours = similarity.minibatch_cka((({"x": x[i], "z": y[i]}, {"y": y[i]}) for i in parts), kernel=kernel)
    grams = [(KERNELS[kernel](x[i]), KERNELS[kernel](y[i])) for i in parts]
    terms = np.mean([[hsic_1(k, m), hsic_1(k, k), hsic_1(m, m)] for k, m in grams], 0)
    if terms[1] > 1e-9 and terms[2] > 1e-9:
        np.testing.assert_allclose(ours.loc["x", "y"], terms[0] / np.sqrt(terms[1] * terms[2]), atol=1e-7)
        np.testing.assert_allclose(ours.loc["z", "y"], 1, rtol=1e-9)


def test_batches_of_random_samples_come_near_the_exact_value():
    x, y = pair(0, 2000, 30, 20)
    exact = float(similarity.unbiased_cka(x, y))
    errors = {}
    for size in (20, 200):
        order = np.random.default_rng(1).permutation(len(x)).reshape(-1, size)
        table = similarity.minibatch_cka(({"x": x[i]}, {"y": y[i]}) for i in order)
        errors[size] = abs(table.loc["x", "y"] - exact)
    assert max(errors.values()) < 0.03


def test_batches_of_different_sizes_count_by_their_samples():
    x, y = pair(3, 30)
    with jax.enable_x64(True):
        ours = similarity.minibatch_cka([({"x": x[:10]}, {"y": y[:10]}), ({"x": x[10:]}, {"y": y[10:]})])
    terms = [
        (10 * hsic_1(linear(a[:10]), linear(b[:10])) + 20 * hsic_1(linear(a[10:]), linear(b[10:])))
        for a, b in ((x, y), (x, x), (y, y))
    ]
    np.testing.assert_allclose(ours.loc["x", "y"], terms[0] / np.sqrt(terms[1] * terms[2]), rtol=1e-9)


def test_a_stream_holds_one_batch_at_a_time():
    """The stream checks that what it gave before has been let go."""
    import weakref

    class Watched(dict):
        pass

    alive = []

    def stream():
        for seed in range(6):
            x, y = pair(seed, 16)
            one, other = Watched(x=jnp.asarray(x)), Watched(y=jnp.asarray(y))
            alive.append(weakref.ref(one))
            yield one, other
            del one, other

    given_ = stream()
    counts = []

    def counted():
        for batch in given_:
            counts.append(sum(ref() is not None for ref in alive))
            yield batch
            del batch

    similarity.minibatch_cka(counted())
    assert len(counts) == 6
    assert max(counts) <= 2  # the current one, and the one that the loop variable has not left yet


def test_a_huge_mean_in_float32_loses_no_digits_and_scale_does_not_matter():
    rng = np.random.default_rng(0)
    x = rng.integers(-512, 512, size=(300, 5)) / 256  # exact in float32, offset included
    y = rng.integers(-512, 512, size=(300, 5)) / 256 + x
    near = [({"x": x[i]}, {"y": y[i]}) for i in np.split(np.arange(300), 3)]
    far = [
        ({"x": (a["x"] + 4096).astype(np.float32)}, {"y": (1e15 * b["y"]).astype(np.float32)}) for a, b in near
    ]  # squares of 1e15 to the fourth power overflow float32
    for kernel in KERNELS:
        np.testing.assert_allclose(
            similarity.minibatch_cka(far, kernel=kernel), similarity.minibatch_cka(near, kernel=kernel), atol=1e-4
        )


def test_duplicates_and_constant_layers():
    x, y = pair(0, 24)
    x[1:20] = x[0]  # more than half of all pairs have distance 0
    same = (np.abs(x[:, None] - x[None]).max(-1) == 0).astype(float)
    with jax.enable_x64(True):
        np.testing.assert_allclose(similarity.rbf_cka(x, y), cka_of(biased, same, rbf(y)), atol=1e-9)
    constant = np.full((24, 3), 0.1)
    assert similarity.rbf_cka(constant, y) == 0
    table = similarity.minibatch_cka([({"x": x, "constant": constant}, {"y": y})])
    assert np.isnan(table.loc["constant", "y"])
    assert np.isfinite(table.loc["x", "y"])


def test_independent_features_give_zero_on_average():
    rng = np.random.default_rng(0)
    values = [similarity.unbiased_cka(*rng.normal(size=(2, 30, 50))) for _ in range(200)]
    biased_values = [similarity.linear_cka(*rng.normal(size=(2, 30, 50))) for _ in range(20)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(200)
    assert np.mean(biased_values) > 0.3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_entry_that_is_not_finite_is_refused_with_the_names(bad):
    x, y = pair(0, 12)
    broken = y.copy()
    broken[2, 1] = bad
    with pytest.raises(InputError, match="layer 'y' of batch 1"):
        similarity.minibatch_cka([({"x": x}, {"y": y}), ({"x": x}, {"y": broken})])


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "no batch"),
        ([({"x": np.ones((3, 2))}, {"x": np.ones((3, 2))})], "3 samples"),
        ([({"x": np.eye(5)}, {"y": np.eye(6)})], "5 and 6 samples"),
        ([({"x": np.eye(5)}, {"y": np.eye(5)}), ({"z": np.eye(5)}, {"y": np.eye(5)})], "batch 1 has the layers"),
        ([({"x": np.ones((5, 2, 2))}, {"y": np.eye(5)})], "layer 'x' of batch 0.*flatten"),
        ([({}, {})], "no samples"),
    ],
)
def test_what_is_no_stream_is_refused(batches, message, unchecked_types):
    with pytest.raises(InputError, match=message):
        similarity.minibatch_cka(batches)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"kernel": "cubic"}, "unknown kernel"), ({"bandwidth": 0.0}, "bandwidth"), ({"bandwidth": "wide"}, "bandwidth")],
)
def test_unknown_kernels_and_bandwidths_are_refused(options, message, unchecked_types):
    x, y = pair(0, 12)
    with pytest.raises(InputError, match=message):
        similarity.minibatch_cka([({"x": x}, {"y": y})], **options)
    with pytest.raises(InputError, match=message):
        similarity.unbiased_cka(x, y, **options)
    with pytest.raises(InputError, match="4 or more"):
        similarity.unbiased_cka(x[:3], y[:3])
