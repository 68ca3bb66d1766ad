"""The two worlds: each is the training it claims to be, on the samples it claims; a leak is noticed."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from deepphenomena import datasets, generators, nets, training
from deepphenomena.book import cards
from deepphenomena.book.claims import Sample, judge
from deepphenomena.generators import NoisyLabels, Pool
from deepphenomena.papers import deep_bootstrap
from deepphenomena.papers.deep_bootstrap import Errors, Worlds
from deepphenomena.runtime.errors import InputError
from deepphenomena.runtime.statistics import estimate
from deepphenomena.training import augmentation

CHAPTER = "deep_bootstrap"
SIZES = {"samples": 100, "steps": 12, "batch_size": 20, "test_samples": 200}
KEY = jax.random.key(3)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["generator"], meta_fields=["period"])
@dataclasses.dataclass(frozen=True, eq=False)
class Leaking:
    """A generator with only `period` samples, which it gives again and again."""

    generator: object
    period: int = 130
    size = None

    def __call__(self, index, *, key):
        return self.generator(index % self.period, key=key)


@pytest.fixture(scope="module")
def garments():
    data = datasets.load("fashion_mnist", n=500)
    return generators.deformations(data.images, data.labels, pixels=7)


@pytest.fixture(scope="module")
def classifier():
    return nets.functional(nets.network("mlp-16", (7, 7, 1), 10, key=jax.random.key(1)))


@pytest.fixture(scope="module")
def both(classifier, garments):
    return deep_bootstrap.train_worlds(*classifier, garments, **SIZES, learning_rate=0.1, key=KEY, record_every=4)


def distinct(*digests):
    return len(np.unique(np.concatenate(digests), axis=0))


def repeats(images):
    kept = [images["test"], images["real"]]
    return len(images["ideal"]) + distinct(*kept) - distinct(images["ideal"], *kept)


def test_the_ideal_world_never_shows_a_sample_twice_and_the_real_world_uses_exactly_n(garments):
    sizes = {"samples": 700, "steps": 400, "batch_size": 50, "test_samples": 600}
    images = deep_bootstrap.shown(garments, **sizes, key=KEY)
    assert {name: len(digests) for name, digests in images.items()} == {"real": 700, "ideal": 20_000, "test": 600}
    assert distinct(images["real"]) == 700
    assert distinct(images["ideal"]) == 20_000
    assert repeats(images) == 0


def test_a_leaking_generator_fails_the_claim(garments):
    check = cards.load(CHAPTER).find("ideal_never_repeats")
    for generator, holds in ((garments, True), (Leaking(garments), False)):
        counted = [repeats(deep_bootstrap.shown(generator, **SIZES, key=jax.random.key(seed))) for seed in range(3)]
        assert judge(check, Sample(values=[max(counted)]), check.expectation("quick")).holds is holds


def test_training_is_given_the_very_stream_that_is_counted(classifier, garments):
    # A loss that is a checksum of its batch shows, step by step, what the training loop hands out.
    program = deep_bootstrap.worlds._program(classifier[0], SIZES["steps"], SIZES["batch_size"])
    draw_key, order_key = jax.random.split(KEY)
    numbers = deep_bootstrap.stream(**SIZES)
    real = garments(jnp.asarray(numbers.real), key=draw_key)
    weights = jax.random.normal(jax.random.key(9), (7, 7, 1))
    data = {
        "real": real, "generator": garments, "key": jax.random.key_data(draw_key),
        "first": jnp.int32(numbers.ideal.start), "augmented": jnp.bool_(False),
    }  # fmt: skip

    def checksums(world):
        return training.train(
            lambda p, batches: jnp.sum(batches.images[world] * weights) + 0 * p["w"], {"w": jnp.zeros(())}, data,
            optimizer=optax.sgd(0.0), steps=12, key=order_key, batch_fn=program.batch_fn,
        ).losses  # fmt: skip

    expected = [
        jnp.sum(deep_bootstrap.ideal_batch(garments, numbers.ideal.start, step, 20, key=draw_key).images * weights)
        for step in range(12)
    ]
    np.testing.assert_allclose(checksums(1), expected, rtol=1e-4, atol=1e-3)
    per_epoch = checksums(0)[:10].reshape(2, 5).sum(1)  # whole epochs of the same hundred samples
    np.testing.assert_allclose(per_epoch, jnp.sum(real.images * weights), rtol=1e-4, atol=1e-3)


def cross_entropy(network):
    def loss(parameters, batch):
        logits = network(parameters, 2 * batch.images - 1)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), batch.labels[:, None], 1))

    return loss


def cosine(step):
    return 0.1 * 0.5 * (1 + np.cos(np.pi * step / SIZES["steps"]))


def test_the_real_world_is_plain_training_on_n_samples(classifier, garments, both):
    network, parameters = classifier
    draw_key, order_key = jax.random.split(KEY)
    real = garments(jnp.asarray(deep_bootstrap.stream(**SIZES).real), key=draw_key)
    alone = training.train(
        cross_entropy(network), parameters, real, optimizer=optax.sgd(optax.cosine_decay_schedule(0.1, 12)),
        steps=12, key=order_key, batch_fn=training.Epochs(20),
    )  # fmt: skip
    close(alone.parameters, both.parameters["real"])


def test_the_ideal_world_is_plain_descent_along_the_stream(classifier, garments, both):
    network, parameters = classifier
    draw_key, _ = jax.random.split(KEY)
    numbers = deep_bootstrap.stream(**SIZES).ideal
    for step in range(12):
        batch = garments(jnp.asarray(numbers[20 * step : 20 * (step + 1)]), key=draw_key)
        gradient = jax.grad(cross_entropy(network))(parameters, batch)
        parameters = jax.tree.map(lambda p, g: p - cosine(step) * g, parameters, gradient)  # noqa: B023
    close(parameters, both.parameters["ideal"])


def close(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)


def test_errors_are_those_of_the_networks_left(classifier, garments, both):
    network, _ = classifier
    draw_key, _ = jax.random.split(KEY)
    numbers = deep_bootstrap.stream(**SIZES)
    for errors, world, part in (
        (both.real, "real", "test"),
        (both.ideal, "ideal", "test"),
        (both.train, "real", "real"),
    ):
        samples = garments(jnp.asarray(getattr(numbers, part)), key=draw_key)
        soft, hard = [], []
        for batch in range(0, len(samples.labels), 100):
            images, labels = samples.images[batch : batch + 100], np.asarray(samples.labels[batch : batch + 100])
            logits = np.asarray(network(both.parameters[world], 2 * images - 1), np.float64)
            share = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            soft.append(1 - share[np.arange(100), labels].mean())
            hard.append((logits.argmax(1) != labels).mean())
        assert errors.soft[-1] == pytest.approx(np.mean(soft), abs=1e-4)
        assert errors.hard[-1] == pytest.approx(np.mean(hard), abs=0.011)
    assert both.steps.tolist() == [0, 4, 8, 12]


def test_the_ideal_world_does_not_know_n(classifier, garments, both):
    fewer = deep_bootstrap.train_worlds(
        *classifier, garments, **(SIZES | {"samples": 200}), learning_rate=0.1, key=KEY, record_every=4
    )
    np.testing.assert_allclose(fewer.ideal.soft, both.ideal.soft, atol=1e-5)
    assert np.abs(fewer.real.soft - both.real.soft).max() > 1e-3


def test_random_labels_leave_both_worlds_at_chance(classifier, garments):
    # Whatever a network answers, its soft-error on labels that know nothing of the image is 1 - 1/10.
    sizes = {"samples": 100, "steps": 200, "batch_size": 50, "test_samples": 4000}
    worlds = deep_bootstrap.train_worlds(
        *classifier, NoisyLabels(garments, jnp.float32(0.9)), **sizes, learning_rate=0.5, key=KEY
    )
    assert worlds.real.soft[-1] == pytest.approx(0.9, abs=0.02)
    assert worlds.ideal.soft[-1] == pytest.approx(0.9, abs=0.02)
    assert worlds.train.soft[-1] < 0.5


def test_augmentation_reaches_training_and_leaves_the_test_alone(classifier, garments, both):
    augmented = deep_bootstrap.train_worlds(
        *classifier, garments, **SIZES, learning_rate=0.1, key=KEY, record_every=4, augmented=True
    )
    for world in ("real", "ideal"):
        assert getattr(augmented, world).soft[0] == getattr(both, world).soft[0]
        assert abs(getattr(augmented, world).soft[-1] - getattr(both, world).soft[-1]) > 1e-4


def test_the_stopping_time_is_the_first_record_with_one_per_cent_of_training_error():
    steps, soft = np.array([0, 10, 20, 30]), np.array([0.9, 0.5, 0.3, 0.2])
    errors = Errors(soft, soft)
    worlds = Worlds(steps, errors, Errors(soft - 0.1, soft), Errors(soft, np.array([0.5, 0.02, 0.01, 0.0])), {})
    assert (worlds.fitted, worlds.stopping_record, worlds.stopping_time) == (True, 2, 20)
    np.testing.assert_allclose(worlds.bootstrap_error, 0.1)
    never = worlds._replace(train=Errors(soft, np.array([0.5, 0.4, 0.3, 0.02])))
    assert (never.fitted, never.stopping_time) == (False, 30)


def test_a_finite_population_gives_every_seed_its_own_order_and_no_image_twice():
    images = np.random.default_rng(0).integers(0, 255, (60, 4, 4, 3), np.uint8)
    images[59] = images[0]
    part = dataclasses.replace(
        datasets.load("cifar10", n=60, scaled=False), images=images, labels=np.arange(60, dtype=np.int32) % 10
    )
    population = deep_bootstrap.drawn_from([part], pixels=4)
    one, other = (population(seed)(jnp.arange(59), key=KEY) for seed in (1, 2))
    assert population(1).size == 59
    assert len(np.unique(np.asarray(one.images).reshape(59, -1), axis=0)) == 59
    assert np.any(np.asarray(one.labels) != np.asarray(other.labels))
    np.testing.assert_array_equal(np.sort(one.labels), np.sort(other.labels))
    halves = [deep_bootstrap.drawn_from([part], pixels=4, classes=c)(0) for c in (range(5), range(5, 10))]
    assert [half.size for half in halves] == [30, 29]
    assert set(np.asarray(halves[1](jnp.arange(29), key=KEY).labels)) == set(range(5, 10))


def test_a_deformed_population_is_made_once_and_shared_by_all_seeds():
    parts = deep_bootstrap.collection("cifar10", 40)
    one, other = (deep_bootstrap.drawn_from(parts, pixels=8, deformed=300)(seed) for seed in (1, 2))
    assert one.size == other.size == 300
    np.testing.assert_array_equal(one.generator.images, other.generator.images)
    assert np.any(np.asarray(one.order) != np.asarray(other.order))


def test_a_collection_goes_on_from_the_training_to_the_test_split(monkeypatch, unchecked_types):
    monkeypatch.setattr(deep_bootstrap.populations.datasets, "load", lambda name, split, n, scaled: (split, n))
    assert deep_bootstrap.collection("cifar10", 60_000) == [("train", 50_000), ("test", 10_000)]
    assert deep_bootstrap.collection("cifar5m", 60_000) == [("train", 60_000)]


def test_the_jackknife_is_the_mean_of_what_is_linear_and_covers_what_is_not():
    values = np.random.default_rng(0).normal(size=(8, 3)) + np.array([0.0, -9.0, 3.0])
    np.testing.assert_allclose(deep_bootstrap.jackknife(lambda m: m[1], values), values[:, 1])
    np.testing.assert_allclose(deep_bootstrap.jackknife(deep_bootstrap.largest, values), -values[:, 1])
    means = lambda m: m[0] / m[1]  # noqa: E731
    assert np.mean(deep_bootstrap.jackknife(means, values)) == pytest.approx(means(values.mean(0)))
    assert deep_bootstrap.jackknife(np.max, values[:1]).shape == (1,)
    covered = 0
    for seed in range(300):
        drawn = np.random.default_rng(seed).normal(size=(8, 2)) * 0.5 + np.array([2.0, 4.0])
        found = estimate(deep_bootstrap.jackknife(means, drawn))
        covered += found.low <= 0.5 <= found.high
    assert 0.9 <= covered / 300 <= 0.99


def test_pretraining_is_plain_descent_along_its_own_stream(classifier, garments):
    network, parameters = classifier
    found = deep_bootstrap.train_online(
        network, parameters, garments, steps=12, batch_size=20, learning_rate=0.1, key=KEY
    )
    for step in range(12):
        batch = garments(20 * step + jnp.arange(20), key=KEY)
        gradient = jax.grad(cross_entropy(network))(parameters, batch)
        parameters = jax.tree.map(lambda p, g: p - cosine(step) * g, parameters, gradient)  # noqa: B023
    close(found, parameters)


def test_sizes_that_cannot_be_are_refused(classifier, garments):
    pool = Pool(jnp.zeros((539, 7, 7, 1), jnp.uint8), jnp.zeros(539, int))
    with pytest.raises(InputError, match="need 540 samples"):
        deep_bootstrap.train_worlds(*classifier, pool, **SIZES, learning_rate=0.1, key=KEY)
    with pytest.raises(InputError, match="multiple of it"):
        deep_bootstrap.train_worlds(*classifier, garments, **(SIZES | {"samples": 101}), learning_rate=0.1, key=KEY)


def test_a_crop_is_a_window_of_the_padded_image_or_of_its_mirror_image():
    images = np.random.default_rng(0).random((1000, 5, 6, 2)).astype(np.float32)
    cropped = np.asarray(augmentation.crop_and_flip(jnp.asarray(images), padding=2, key=KEY))
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    chosen = np.zeros((5, 5, 2), int)
    for image, result in zip(padded, cropped, strict=True):
        for down, right in np.ndindex(5, 5):
            window = image[down : down + 5, right : right + 6]
            for mirrored, candidate in enumerate((window, window[:, ::-1])):
                chosen[down, right, mirrored] += np.array_equal(candidate, result)
    assert chosen.sum() == 1000, "each result is exactly one of the fifty"
    assert chosen.min() >= 1
    assert chosen.sum((0, 1)) == pytest.approx([500, 500], abs=80)
