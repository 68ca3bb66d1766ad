"""Simulated eyes: the grade is what the image shows, signs are where they belong, nothing else gives the grade away."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepphenomena import generators
from deepphenomena.generators.fundus import REFERABLE
from deepphenomena.generators.fundus.anatomy import anatomy_of
from deepphenomena.generators.fundus.randomness import draw_parts
from deepphenomena.generators.fundus.signs import bleeding, exudates, new_vessels
from deepphenomena.metrics import roc_auc
from deepphenomena.runtime.errors import InputError

KEY = jax.random.key(0)
EYES = generators.fundus(32)
drawn = jax.jit(lambda index, eyes, key: eyes(index, key=key))
graded = jax.jit(lambda index, grades, eyes, key: eyes.graded(index, grades, key=key).images)


@functools.cache
def same_eyes():
    """(grades, eyes, rows, columns, channels): twenty-four eyes at every grade."""
    return np.stack([graded(jnp.arange(24), jnp.full(24, grade), EYES, KEY) for grade in range(5)])


def test_a_sample_is_the_same_whoever_asks_and_another_number_is_another_eye():
    all_of_them, few = drawn(jnp.arange(8), EYES, KEY), drawn(jnp.array([5, 2]), EYES, KEY)
    np.testing.assert_allclose(few.images, all_of_them.images[jnp.array([5, 2])], atol=1e-6)
    np.testing.assert_array_equal(few.labels, all_of_them.labels[jnp.array([5, 2])])
    assert len(np.unique(generators.digests(all_of_them.images), axis=0)) == 8
    assert all_of_them.images.shape == (8, 32, 32, 3)
    assert float(all_of_them.images.min()) >= 0
    assert float(all_of_them.images.max()) <= 1
    assert not np.allclose(drawn(jnp.arange(8), EYES, jax.random.key(1)).images, all_of_them.images)


def test_grades_are_as_frequent_as_asked_for():
    def counts(prevalence, n):
        eyes = generators.fundus(8, prevalence=prevalence)
        return np.bincount(drawn(jnp.arange(n), eyes, KEY).labels, minlength=5)

    shares = np.array([0.3, 0.2, 0.2, 0.15, 0.15])
    np.testing.assert_allclose(counts(shares, 1000) / 1000, shares, atol=4 * np.sqrt(0.21 / 1000))
    np.testing.assert_array_equal(counts([0, 0, 1, 0, 0], 50), [0, 0, 50, 0, 0])


def test_the_label_is_the_grade_that_is_drawn():
    samples = drawn(jnp.arange(24), EYES, KEY)
    np.testing.assert_allclose(samples.images, same_eyes()[samples.labels, np.arange(24)], atol=1e-6)


def signs(grade, kind):
    """What is drawn of a kind of sign in each of 200 eyes of a grade: the numbers of spots with any depth."""

    def one(key):
        u = draw_parts(key)
        depth = kind(u, anatomy_of(u), grade).depth
        return jnp.stack([jnp.sum(part > 0) for part in jnp.split(depth, [12, 26])]) if kind is bleeding else (
            jnp.sum(depth > 0)
        )  # fmt: skip

    return np.asarray(jax.vmap(one)(jax.random.split(KEY, 200)))


def test_each_grade_has_the_signs_of_its_definition():
    for grade in range(5):
        small, blots, pool = signs(grade, bleeding).T
        pale, tuft = signs(grade, exudates), signs(grade, new_vessels)
        assert (small > 0).all() if grade else (small == 0).all()
        assert (blots > 0).all() if grade >= 2 else (blots == 0).all()
        assert (pale > 0).any() if grade >= 2 else (pale == 0).all()
        assert (pool == (grade == 4)).all()
        assert (tuft == 6 * (grade == 4)).all()
        if grade == 1:
            assert set(small) == set(range(1, 6))
        if grade == 3:
            assert blots.min() == 8


def test_mild_signs_are_dark_and_small_and_every_sign_stays_inside_the_eye():
    healthy, mild, moderate, _, proliferative = same_eyes()
    change = mild - healthy
    assert change.max() < 1e-5  # microaneurysms darken
    assert np.all(np.mean(np.abs(change).max(-1) > 0.02, (1, 2)) < 0.08)
    assert np.any(moderate - healthy > 0.05)  # exudates brighten
    axis = (np.arange(32) + 0.5) / 16 - 1
    outside = axis[:, None] ** 2 + axis**2 > 1.1
    assert np.abs(proliferative - healthy)[:, outside].max() < 0.01


def test_signs_take_more_of_the_eye_from_grade_to_grade():
    change = np.abs(same_eyes() - same_eyes()[0]).sum((2, 3, 4)).mean(1)
    assert np.all(np.diff(change) > 0)


def test_new_vessels_grow_at_the_disc():

    def distance(key):
        u = draw_parts(key)
        eye = anatomy_of(u)
        tuft = new_vessels(u, eye, 4)
        return jnp.max(jnp.hypot(tuft.x - eye.disc_x, tuft.y - eye.disc_y))

    assert float(jnp.max(jax.vmap(distance)(jax.random.split(KEY, 50)))) < 0.4


def test_brightness_colour_and_eye_side_do_not_give_the_grade_away():
    samples = drawn(jnp.arange(600), EYES, KEY)
    referable = samples.labels >= REFERABLE
    colour = samples.images.mean((1, 2))
    side = samples.images[:, :, :8].mean((1, 2, 3)) - samples.images[:, :, 8:].mean((1, 2, 3))
    features = jnp.concatenate([colour, side[:, None], (colour[:, :1] - colour[:, 2:])], 1)
    areas = roc_auc(features, jnp.tile(referable[:, None], (1, 5)))
    assert np.all(np.abs(np.asarray(areas) - 0.5) < 0.12)


def test_noise_is_what_was_asked_for():
    images = [
        graded(jnp.arange(4), jnp.zeros(4, int), generators.fundus(32, noise=noise), KEY) for noise in (0, 0.03, 0.06)
    ]
    centre = slice(8, 24)
    change = [float(jnp.std((image - images[0])[:, centre, centre])) for image in images[1:]]
    assert 0.015 < change[0] < 0.03
    assert change[1] == pytest.approx(2 * change[0], rel=0.05)


def test_enlarged_signs_are_larger_and_nothing_else_is_changed():
    large = generators.fundus(32, enlargement=2.0)
    healthy, moderate = (graded(jnp.arange(24), jnp.full(24, grade), large, KEY) for grade in (0, 2))
    np.testing.assert_allclose(healthy, same_eyes()[0], atol=1e-6)
    natural = np.abs(same_eyes()[2] - same_eyes()[0]).sum()
    assert 2 < float(jnp.abs(moderate - healthy).sum()) / natural < 4.5  # four times the area, less where spots overlap


def test_an_eye_is_the_same_at_every_resolution():
    fine = graded(jnp.arange(4), jnp.full(4, 3), generators.fundus(64, noise=0), KEY)
    coarse = graded(jnp.arange(4), jnp.full(4, 3), generators.fundus(32, noise=0), KEY)
    averaged = fine.reshape(4, 32, 2, 32, 2, 3).mean((2, 4))
    assert float(jnp.sqrt(jnp.mean((averaged - coarse) ** 2))) < 0.03


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pixels": 4}, "8 or more"),
        ({"noise": -0.1}, "8 or more"),
        ({"enlargement": 0.0}, "above 0"),
        ({"prevalence": (0.5, 0.5)}, "five nonnegative numbers"),
        ({"prevalence": (0.5, 0.5, 0.5, -0.5, 0.0)}, "five nonnegative numbers"),
        ({"prevalence": (0.5, 0.5, 0.5, 0.5, 0.0)}, "five nonnegative numbers"),
    ],
)
def test_impossible_eyes_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        generators.fundus(**options)
