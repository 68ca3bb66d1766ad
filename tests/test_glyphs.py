"""The embedded glyphs: what the book says of them, and nothing shared between training and testing."""

import functools

import numpy as np
import pytest

from deepphenomena import datasets
from deepphenomena.runtime import paths

SPLITS = ("train", "validation", "test")
PINNED = {  # records of runs carry these
    "train": "52f35b55af8cde94cc21ce2bacba3ef95a955e86b8bdaff5956c0108a2856254",
    "validation": "b06346038fc9fac8e96453c7db10f79ae23f9810b301ff6c5d5f85e427239eae",
    "test": "af1bfc2a29703d4dab2b9e24f5650635541396833012c759406e7ee3c56cbd34",
}


@functools.cache
def glyphs(split):
    return datasets.load("glyphs", split)


def scripts(split):
    return {name.partition("/")[0] for name in glyphs(split).class_names}


def by_class(split):
    loaded = glyphs(split)
    return loaded.images.reshape(20, len(loaded.class_names), 28, 28).swapaxes(0, 1)


@pytest.mark.parametrize("split", SPLITS)
def test_they_are_embedded_with_twenty_renderings_of_every_letter(split):
    loaded = glyphs(split)
    assert (loaded.provenance, loaded.canonical, loaded.sha256) == ("embedded", True, PINNED[split])
    assert loaded.images.shape == (20 * len(loaded.class_names), 28, 28, 1)
    assert np.all(np.bincount(loaded.labels) == 20)
    assert len(set(loaded.class_names)) == len(loaded.class_names)
    assert np.unique(loaded.images).size <= 8
    assert np.all(loaded.images.max((1, 2, 3)) > 0.4), "every image shows something"


def test_there_are_enough_and_they_are_small():
    assert sum(len(glyphs(split).class_names) for split in SPLITS) >= 1200
    assert sum(file.stat().st_size for file in (paths.data() / "embedded").glob("glyphs_*")) <= 6_000_000


def test_no_script_and_no_shape_is_in_two_splits():
    for one, other in (("train", "test"), ("train", "validation"), ("validation", "test")):
        assert not scripts(one) & scripts(other)
    assert len(set.union(*map(scripts, SPLITS))) >= 30
    # The mean image of a letter, against every letter of training: a copy would correlate almost perfectly.
    means = {split: by_class(split).mean(1).reshape(-1, 784) for split in SPLITS}
    centred = {split: mean - mean.mean(1, keepdims=True) for split, mean in means.items()}
    unit = {split: mean / np.linalg.norm(mean, axis=1, keepdims=True) for split, mean in centred.items()}
    assert np.max(unit["test"] @ unit["train"].T) < 0.98


def test_renderings_differ_and_letters_differ_more():
    images = by_class("test").reshape(-1, 20, 784)
    within = np.mean((images[:, 0] - images[:, 1]) ** 2)
    between = np.mean((images[:-1, 0] - images[1:, 1]) ** 2)
    assert 0.005 < within < 0.8 * between
    assert all(len(np.unique(letter, axis=0)) == 20 for letter in images)
