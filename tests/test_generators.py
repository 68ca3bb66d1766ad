"""Generators: numbered, seeded, endless; against slow references, closed forms and the data they are made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from deepphenomena import datasets, generators
from deepphenomena.generators import NoisyLabels, Pool, Relabelled, digests
from deepphenomena.runtime.errors import InputError

KEY = jax.random.key(5)


@jax.jit
def drawn(generator, index, key=KEY):
    return generator(index, key=key)


@pytest.fixture(scope="module")
def garments():
    return datasets.load("fashion_mnist", n=300)


@pytest.fixture(scope="module")
def deformed(garments):
    return generators.deformations(garments.images, garments.labels, pixels=14)


@pytest.fixture(scope="module")
def mixed(garments):
    images = generators.shrunk(garments.images, 14)
    return generators.class_mixture(images, garments.labels, rank=12, gaussians=2, key=jax.random.key(0))


@pytest.fixture(params=["deformed", "mixed", "noisy", "pool"])
def generator(request, deformed, mixed, garments):
    pool = Pool(jnp.asarray(garments.images * 255, jnp.uint8), jnp.asarray(garments.labels))
    kinds = {"deformed": deformed, "mixed": mixed, "noisy": NoisyLabels(mixed, jnp.float32(0.5)), "pool": pool}
    return kinds[request.param]


def test_a_sample_is_the_same_whoever_asks_and_in_whatever_company(generator):
    together = drawn(generator, jnp.arange(20))
    some = drawn(generator, jnp.array([13, 2, 19, 2]))
    np.testing.assert_allclose(some.images, together.images[jnp.array([13, 2, 19, 2])], atol=1e-6)
    np.testing.assert_array_equal(some.labels, together.labels[jnp.array([13, 2, 19, 2])])
    assert together.images.shape[0] == 20
    assert together.images.dtype == jnp.float32
    assert 0 <= together.images.min() <= together.images.max() <= 1
    assert set(np.unique(together.labels)) <= set(range(10))


@pytest.mark.parametrize("kind", ["deformed", "mixed"])
def test_no_two_numbers_and_no_two_keys_give_one_image(kind, request):
    generator = request.getfixturevalue(kind)
    index = jnp.arange(2000)
    images = jnp.concatenate([drawn(generator, index, key).images for key in (KEY, jax.random.key(6))])
    assert len(np.unique(digests(images), axis=0)) == 4000


def test_without_strength_a_deformation_is_its_base_image(garments):
    still = generators.deformations(garments.images[:10], np.arange(10), affine=0, shift=0, elastic=0)
    samples = drawn(still, jnp.arange(200))
    np.testing.assert_allclose(samples.images, garments.images[samples.labels], atol=1e-6)
    assert set(np.unique(samples.labels)) == set(range(10)), "every base image is chosen"


def test_deformed_images_equal_those_of_scipy():
    color = np.random.default_rng(0).random((7, 12, 9, 3)).astype(np.float32)
    generator = generators.deformations(color, np.arange(7), affine=0.5, shift=0.3, elastic=0.1)
    index = jnp.arange(25)
    samples = drawn(generator, index)
    keys = jax.vmap(lambda i: jax.random.fold_in(KEY, i))(index)
    _, rows, columns = jax.jit(jax.vmap(generator._one))(keys)
    for k in range(25):
        base = color[samples.labels[k]]
        expected = [
            scipy.ndimage.map_coordinates(
                np.pad(base[..., c], 30), [np.asarray(rows[k]) + 30, np.asarray(columns[k]) + 30], order=1
            )
            for c in range(3)
        ]
        np.testing.assert_allclose(samples.images[k], np.stack(expected, -1), atol=1e-5)


def test_displacements_have_the_strength_that_was_asked_for(garments):
    bent = generators.deformations(garments.images, garments.labels, affine=0, shift=0, elastic=0.05)
    moved = generators.deformations(garments.images, garments.labels, affine=0, shift=0.1, elastic=0)
    keys = jax.random.split(KEY, 4000)
    rows = np.asarray(jax.jit(jax.vmap(bent._one))(keys)[1]) - np.arange(28)[:, None]
    np.testing.assert_allclose(rows.std(0), 0.05 * 28, rtol=0.08)
    near, far = (np.corrcoef(rows[:, 4, 4], rows[:, 4 + d, 4])[0, 1] for d in (1, 20))
    assert near > 0.95, "the field is smooth"
    assert abs(far) < 0.1, "and not one rigid shift"
    rows = np.asarray(jax.jit(jax.vmap(moved._one))(keys)[1]) - np.arange(28)[:, None]
    assert np.ptp(rows, (1, 2)).max() < 1e-4, "a shift moves all pixels alike"
    assert 2.7 < np.abs(rows).max() <= 2.8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": np.zeros(3, int)}, "labels"),
        ({"images": np.zeros((4, 28, 28))}, "height"),
        ({"images": np.zeros((0, 28, 28, 1)), "labels": np.zeros(0, int)}, "1 or more"),
        ({"elastic": -0.1}, "0 or more"),
    ],
)
def test_deformations_refuse_what_cannot_be(change, words, unchecked_types):
    arguments = {"images": np.zeros((4, 28, 28, 1)), "labels": np.zeros(4, int)} | change
    with pytest.raises(InputError, match=words):
        generators.deformations(arguments.pop("images"), arguments.pop("labels"), **arguments)


def test_shrinking_keeps_the_mean_and_the_channels():
    images = np.random.default_rng(1).random((3, 28, 28, 3)).astype(np.float32)
    small = generators.shrunk(images, 14)
    assert small.shape == (3, 14, 14, 3)
    np.testing.assert_allclose(small.mean((1, 2)), images.mean((1, 2)), atol=0.01)


@given(probability=st.floats(0, 1), seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_noise_replaces_labels_by_others_with_its_probability(deformed, probability, seed):
    index, key = jnp.arange(1500), jax.random.key(seed)
    clean = drawn(deformed, index, key)
    noisy = drawn(NoisyLabels(deformed, jnp.float32(probability)), index, key)
    np.testing.assert_array_equal(clean.images, noisy.images)
    wrong = np.asarray(clean.labels != noisy.labels)
    assert wrong.mean() == pytest.approx(probability, abs=5 * 0.5 / np.sqrt(1500))


def test_noise_of_nine_tenths_leaves_nothing_of_ten_classes(deformed):
    index = jnp.arange(20_000)
    clean = drawn(deformed, index).labels
    noisy = drawn(NoisyLabels(deformed, jnp.float32(0.9)), index).labels
    table = np.zeros((10, 10))
    np.add.at(table, (clean, noisy), 1)
    shares = table / table.sum(1, keepdims=True)
    np.testing.assert_allclose(shares, 0.1, atol=5 * 0.3 / np.sqrt(2000))


def test_a_teacher_labels(mixed):
    teacher = Relabelled(mixed, {"w": jnp.eye(196)[:, :10]}, lambda p, x: x.reshape(len(x), -1) @ p["w"])
    samples = drawn(teacher, jnp.arange(30))
    np.testing.assert_array_equal(samples.labels, samples.images.reshape(30, -1)[:, :10].argmax(-1))
    assert teacher.size is None


def test_one_gaussian_a_class_has_the_class_s_mean_and_covariance():
    rng = np.random.default_rng(0)
    root = 0.05 * rng.normal(size=(2, 4, 4))
    labels = np.arange(4000) % 2
    codes = np.einsum("nij,nj->ni", root[labels], rng.normal(size=(4000, 4))) + np.array([[0.4], [0.6]])[labels]
    fitted = generators.class_mixture(codes.reshape(-1, 2, 2, 1), labels, rank=4, gaussians=1, key=KEY)
    samples = drawn(fitted, jnp.arange(8000))
    for label in (0, 1):
        own = np.asarray(samples.images).reshape(-1, 4)[np.asarray(samples.labels) == label]
        assert len(own) == pytest.approx(4000, abs=250)
        np.testing.assert_allclose(own.mean(0), codes[labels == label].mean(0), atol=0.01)
        np.testing.assert_allclose(np.cov(own.T), np.cov(codes[labels == label].T), atol=0.0015)


def test_expectation_maximisation_finds_separate_clusters():
    rng = np.random.default_rng(2)
    centres = np.array([[0.2, 0.2, 0.5, 0.5], [0.8, 0.2, 0.5, 0.5], [0.2, 0.8, 0.5, 0.5]])
    which = rng.choice(3, 3000, p=[0.5, 0.3, 0.2])
    images = (centres[which] + 0.02 * rng.normal(size=(3000, 4))).reshape(-1, 2, 2, 1)
    fitted = generators.class_mixture(images, np.zeros(3000, int), rank=2, gaussians=3, iterations=60, key=KEY)
    found = np.asarray(fitted.mean + fitted.centres[0] @ fitted.basis)
    nearest = np.linalg.norm(found[:, None] - centres, axis=-1)
    assert set(nearest.argmin(1)) == {0, 1, 2}
    assert nearest.min(1).max() < 0.01
    np.testing.assert_allclose(np.sort(fitted.weights[0]), [0.2, 0.3, 0.5], atol=0.03)


def test_images_of_the_mixture_look_like_their_class(garments, mixed):
    real = generators.shrunk(garments.images, 14).reshape(300, -1)
    means = np.stack([real[garments.labels == k].mean(0) for k in range(10)])

    def accuracy(images, labels):
        distances = np.linalg.norm(np.asarray(images).reshape(len(labels), 1, -1) - means, axis=-1)
        return np.mean(distances.argmin(1) == np.asarray(labels))

    samples = drawn(mixed, jnp.arange(600))
    assert accuracy(samples.images, samples.labels) == pytest.approx(accuracy(real, garments.labels), abs=0.08)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"rank": 0}, "rank"), ({"rank": 500}, "rank"), ({"gaussians": 31}, "gaussians"), ({"gaussians": 0}, "gaussians")],
)
def test_a_mixture_that_cannot_be_fitted_is_refused(garments, change, words):
    with pytest.raises(InputError, match=words):
        generators.class_mixture(generators.shrunk(garments.images, 14), garments.labels, key=KEY, **change)


def test_digests_tell_images_apart_by_a_single_bit():
    images = jnp.asarray(np.random.default_rng(3).integers(0, 256, (5000, 8, 8, 1)) / 255, jnp.float32)
    assert len(np.unique(digests(images), axis=0)) == 5000
    assert len(np.unique(digests(jnp.concatenate([images, images])), axis=0)) == 5000
    other = images.at[7, 3, 3, 0].set(jnp.nextafter(images[7, 3, 3, 0], 2.0))
    assert np.flatnonzero(np.any(digests(images) != digests(other), -1)).tolist() == [7]


def test_a_pool_holds_a_dataset_as_bytes_and_hands_it_out_scaled():
    data = datasets.load("cifar10", "test", n=9, scaled=False)
    pool = Pool(jnp.asarray(data.images), jnp.asarray(data.labels))
    assert (pool.size, pool.images.dtype) == (9, jnp.uint8)
    np.testing.assert_allclose(pool(jnp.array([7]), key=KEY).images[0] * 255, data.images[7], atol=1e-4)
