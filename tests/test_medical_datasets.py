"""Medical sets: every image, patient and slide in one split, classes in proportion; packed files and real ones."""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deepphenomena import datasets
from deepphenomena.datasets import _arrays, _medical
from deepphenomena.datasets._catalogue import Entry
from deepphenomena.runtime.errors import InputError

MIRROR = os.environ.get("DEEPPHENOMENA_MIRROR")
NAMES = ("chest_xray_64", "brain_mri_64", "malaria_cells_50")


def hashes(images):
    return {hashlib.sha256(np.ascontiguousarray(image)).hexdigest() for image in images}


def grid_of(images):
    """Image tiles in grids of 40 columns, as PNG files one after another, blank tiles at the end."""
    side, files = images.shape[1], []
    for start in range(0, len(images), 80):
        part = images[start : start + 80]
        tiles = np.zeros((80, side, side), np.uint8)
        tiles[: len(part)] = part
        picture = tiles.reshape(2, 40, side, side).swapaxes(1, 2).reshape(2 * side, 40 * side)
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "PNG")
        files.append(np.frombuffer(stream.getvalue(), np.uint8))
    return {"all_bytes": np.concatenate(files), "all_offsets": np.cumsum([0, *map(len, files)])}


def read(tmp_path, collection, contents, shape, sizes):
    """The three splits of a packed file, read as the library reads it."""
    file = tmp_path / "packed.npz"
    np.savez(file, **contents)
    checksum = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    entry = Entry(
        title="small", licence="ours", citation="nobody", homepage="nowhere", shape=shape, classes=["a", "b"],
        splits={name: {"size": size} for name, size in zip(_medical.SPLITS, sizes, strict=True)},
        sources=[{"form": collection, "archives": {file.name: checksum}}],
    )  # fmt: skip
    return _arrays.read(entry, entry.sources[0], tmp_path)


def disjoint(splits):
    found = [hashes(arrays.images) for arrays in splits.values()]
    return len(set().union(*found)) == sum(map(len, found))


def test_chest_keeps_the_file_s_split_by_patient(tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (100, 8, 8), np.uint8)
    split = np.repeat([0, 1, 2], [70, 14, 16]).astype(np.uint8)
    subtype = random.integers(0, 3, 100).astype(np.uint8)
    contents = grid_of(images) | {
        "all_labels": (subtype > 0).astype(np.uint8), "subtype": subtype, "split": split,
        "subtype_names": np.array(["normal", "bacterial", "viral"]),
    }  # fmt: skip
    made = read(tmp_path, "chest", contents, (8, 8, 1), (70, 14, 16))
    np.testing.assert_array_equal(made["validation"].images[..., 0], images[70:84])
    np.testing.assert_array_equal(made["test"].labels, subtype[84:])
    assert made["train"].class_names == ("normal", "bacterial", "viral")
    assert disjoint(made)


def test_mri_drops_every_duplicate_and_cuts_each_class_in_the_file_s_order(tmp_path):
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (100, 8, 8), np.uint8)
    first = np.full(100, -1, np.int32)
    for copy, original in ((90, 5), (95, 5), (99, 40)):
        images[copy], first[copy], first[original] = images[original], original, original
    labels = np.repeat([0, 1], 50).astype(np.uint8)  # 50 of one class; 47 of the other without the copies
    contents = grid_of(images) | {
        "all_labels": labels, "duplicate_of": first, "class_names": np.array(["a", "b"]),
    }  # fmt: skip
    made = read(tmp_path, "mri", contents, (8, 8, 1), (35 + 33, 7 + 7, 8 + 7))
    assert disjoint(made)
    assert sum(len(arrays.images) for arrays in made.values()) == 97
    np.testing.assert_array_equal(made["train"].images[:35, ..., 0], images[:35])
    np.testing.assert_array_equal(np.bincount(made["test"].labels), [8, 7])


def test_a_duplicate_that_is_not_marked_is_seen_by_the_hashes(tmp_path):
    # The check above must be able to fail.
    images = np.random.default_rng(2).integers(0, 256, (100, 8, 8), np.uint8)
    images[49] = images[0]
    contents = grid_of(images) | {
        "all_labels": np.repeat([0, 1], 50).astype(np.uint8), "duplicate_of": np.full(100, -1, np.int32),
        "class_names": np.array(["a", "b"]),
    }  # fmt: skip
    assert not disjoint(read(tmp_path, "mri", contents, (8, 8, 1), (70, 14, 16)))


def test_malaria_is_split_by_slide(tmp_path):
    random = np.random.default_rng(3)
    group = random.integers(0, 20, 400)
    labels = (random.random(400) < 0.5).astype(np.uint8)
    images = np.zeros((400, 5, 5), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = group, np.arange(400) % 250
    names = np.array([f"slide {k}" for k in range(20)])
    sizes = np.bincount(_medical.by_group(labels, names[group]))
    contents = {"images": images, "labels": labels, "group": group, "group_names": names, "class_names": names[:2]}
    made = read(tmp_path, "malaria", contents, (5, 5, 1), tuple(sizes))
    slides = [set(arrays.images[:, 0, 0, 0].tolist()) for arrays in made.values()]
    assert sum(map(len, slides)) == 20


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_groups_stay_whole_and_classes_near_their_shares(seed):
    random = np.random.default_rng(seed)
    groups = random.integers(0, 150, 2000).astype(str)
    labels = random.integers(0, 3, 2000)
    splits = _medical.by_group(labels, groups)
    for name in np.unique(groups):
        assert len(set(splits[groups == name])) == 1
    for label in range(3):
        shares = np.bincount(splits[labels == label], minlength=3) / np.sum(labels == label)
        np.testing.assert_allclose(shares, _medical.SHARES, atol=0.05)
    order = random.permutation(2000)
    np.testing.assert_array_equal(_medical.by_group(labels[order], groups[order]), splits[order])


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    if not MIRROR:
        pytest.skip("DEEPPHENOMENA_MIRROR is not set: no folder of medical images")
    monkeypatch.setenv("DEEPPHENOMENA_CACHE", str(tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_no_image_of_a_real_set_is_in_two_splits_and_classes_are_in_proportion(mirror, name):
    loaded = {split: datasets.load(name, split) for split in _medical.SPLITS}
    assert disjoint(loaded)
    assert {dataset.canonical for dataset in loaded.values()} == {False}
    counts = np.stack([np.bincount(dataset.labels) for dataset in loaded.values()])
    shares = counts / counts.sum(0)
    np.testing.assert_allclose(shares, np.tile(np.array(_medical.SHARES)[:, None], counts.shape[1]), atol=0.06)
    if name == "brain_mri_64":
        assert sum(len(hashes(dataset.images)) for dataset in loaded.values()) == 2870


@pytest.mark.parametrize("collection", ["chest", "malaria"])
def test_no_patient_or_slide_of_a_real_set_is_in_two_splits(mirror, collection):
    (file,) = Path(MIRROR).resolve().glob(f"med_{collection}_*.npz")
    with np.load(file, allow_pickle=False) as archive:
        packed, groups = _medical.READERS[collection](archive), archive["group"]
    held = [set(groups[packed.splits == split].tolist()) for split in range(3)]
    assert sum(map(len, held)) == len(set(groups.tolist()))


def test_without_a_mirror_the_refusal_names_the_file(tmp_path, monkeypatch):
    monkeypatch.delenv("DEEPPHENOMENA_MIRROR", raising=False)
    monkeypatch.setenv("DEEPPHENOMENA_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"med_chest_xray_64\.npz"):
        datasets.load("chest_xray_64", "test")
