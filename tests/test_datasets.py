"""Datasets: what is embedded, what a complete set must be before it is served, and every refusal."""

import concurrent.futures
import functools
import gzip
import hashlib
import http.server
import importlib.util
import io
import itertools
import os
import shutil
import socket
import struct
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from deepphenomena import datasets
from deepphenomena.runtime import paths
from deepphenomena.runtime.errors import InputError

MIRROR = os.environ.get("DEEPPHENOMENA_MIRROR")
PINNED = {  # records of runs carry these
    ("mnist", "train"): "601245c39211e9099eb8e0be309321557e9a4e23393b4e3883ddae89187bda2f",
    ("mnist", "test"): "711a6aa7aca62f6843aaae4d8bbac5a73efc1ea6b558653b07148cb1d34f3a08",
    ("fashion_mnist", "train"): "5664a2845ac8d0beda2b36eea5eeef5d6e7d43fb4a372133b33e07e0c14c0f5d",
    ("fashion_mnist", "test"): "6e6ec18ba5b6b31e49cfa70b240a189328ac85f133984cc5176b5c417bd174db",
    ("cifar10", "train"): "2a12f9d1fd1f6ca6bc4687ade549df0167a19a9f93cf8b95878b9affb641e145",
    ("cifar10", "test"): "8dc6a65f6224a4de2d9302c1e7a111de93e6188074028d87568b553e6c183d38",
}
SIZES = {"mnist": (10_000, 2_000), "fashion_mnist": (10_000, 2_000), "cifar10": (5_000, 1_000)}
COMPLETE = {"mnist": (60_000, 10_000), "fashion_mnist": (60_000, 10_000), "cifar10": (50_000, 10_000)}


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No network but this machine, no mirror, and an empty cache."""
    monkeypatch.setenv("DEEPPHENOMENA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DEEPPHENOMENA_MIRROR", raising=False)
    resolve = socket.getaddrinfo

    def only_here(host, *arguments, **options):
        if host != "127.0.0.1":
            raise socket.gaierror(f"a test asked for {host}")
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", only_here)


@pytest.fixture
def real_mirror(monkeypatch):
    if not MIRROR:
        pytest.skip("DEEPPHENOMENA_MIRROR is not set: no folder of real archives to compare with")
    monkeypatch.setenv("DEEPPHENOMENA_MIRROR", str(Path(MIRROR).resolve()))
    return Path(MIRROR).resolve()


# A small dataset of each layout, with its canonical files, declared in a catalogue of its own.

GENERATOR = np.random.default_rng(0)
GREY = {
    "train": GENERATOR.integers(0, 256, (12, 4, 4, 1), np.uint8),
    "test": GENERATOR.integers(0, 256, (6, 4, 4, 1), np.uint8),
}
COLOUR = {
    "train": GENERATOR.integers(0, 256, (10, 32, 32, 3), np.uint8),
    "test": GENERATOR.integers(0, 256, (2, 32, 32, 3), np.uint8),
}
LABELS = {12: np.arange(12) * 5 % 3, 6: np.arange(6) % 3, 10: np.arange(10) * 7 % 10, 2: np.array([9, 4])}


def idx(array):
    return struct.pack(f">HBB{array.ndim}i", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def records(images, *labels):
    """Images in CIFAR's binary layout, written out one value after another."""
    content = bytearray()
    for image, *own in zip(images, *labels, strict=True):
        content.extend(own)
        for channel in range(3):
            content.extend(int(image[row, column, channel]) for row in range(32) for column in range(32))
    return bytes(content)


IDX_FILES = {
    "train-images": idx(GREY["train"][..., 0]),
    "train-labels": idx(LABELS[12]),
    "test-images": idx(GREY["test"][..., 0]),
    "test-labels": idx(LABELS[6]),
}
CIFAR_FILES = {
    f"data_batch_{k + 1}.bin": records(COLOUR["train"][2 * k : 2 * k + 2], LABELS[10][2 * k : 2 * k + 2])
    for k in range(5)
} | {"test_batch.bin": records(COLOUR["test"], LABELS[2])}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def declared(files, layout, shape, train, test, **more):
    return {
        "title": "a small dataset",
        "licence": "ours",
        "citation": "nobody",
        "homepage": "nowhere",
        "shape": list(shape),
        "layout": layout,
        "classes": [str(label) for label in range(10)],
        "splits": {
            "train": {"size": train, "files": [name for name in files if not name.startswith("test")]},
            "test": {"size": test, "files": [name for name in files if name.startswith("test")]},
        },
        "files": {name: {"bytes": len(content), "sha256": sha256(content)} for name, content in files.items()},
        **more,
    }


def tar_of(files, folder="package"):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}" if folder else name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(stream.getvalue(), mtime=0)  # without the time, so that two calls give the same bytes


def tar_source(content, folder="package", **more):
    return {"form": "tar", "folder": folder, "archives": {"small.tgz": f"sha256:{sha256(content)}"}, **more}


@pytest.fixture
def declare(tmp_path, monkeypatch):
    """Make a catalogue the only one there is."""

    def write(**entries):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / "datasets.yaml").write_text(yaml.safe_dump({"datasets": entries}, sort_keys=False))
        monkeypatch.setattr(paths, "data", lambda: tmp_path / "data")

    return write


@pytest.fixture
def grey(declare):
    """Declare `grey` with given sources; by default a tar archive that only a mirror can have."""

    def write(*sources):
        sources = list(sources) or [tar_source(tar_of(IDX_FILES))]
        declare(grey=declared(IDX_FILES, "idx", (4, 4, 1), 12, 6, sources=sources))

    return write


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A mirror folder to put files in."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("DEEPPHENOMENA_MIRROR", str(folder))
    return folder


def put(folder, files):
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def is_grey(dataset, split="train"):
    labels = LABELS[len(GREY[split])]
    return np.array_equal(np.rint(dataset.images * 255), GREY[split]) and np.array_equal(dataset.labels, labels)


# Embedded


@pytest.mark.parametrize(("name", "split"), PINNED)
def test_embedded_images_are_the_canonical_ones_by_checksum_and_need_no_network(name, split):
    dataset = datasets.load(name, split)
    size = SIZES[name][split == "test"]
    side, channels = (32, 3) if name == "cifar10" else (28, 1)
    assert dataset.images.shape == (size, side, side, channels)
    assert dataset.images.dtype == np.float32
    assert dataset.labels.dtype == np.int32
    assert dataset.images.min() == 0
    assert dataset.images.max() == 1
    pixels = np.rint(dataset.images * 255).astype(np.uint8)
    assert np.array_equal(pixels.astype(np.float32) / np.float32(255), dataset.images)
    assert dataset.sha256 == sha256(pixels.tobytes() + dataset.labels.astype("<i4").tobytes()) == PINNED[name, split]
    assert (dataset.name, dataset.split, dataset.provenance, dataset.canonical) == (name, split, "embedded", True)
    assert len(dataset.class_names) == 10
    assert dataset.licence == datasets.catalogue()[name].licence


@pytest.mark.parametrize(("name", "least"), [("mnist", 0.7), ("fashion_mnist", 0.6), ("cifar10", 0.2)])
def test_labels_belong_to_their_images(name, least):
    train, test = datasets.load(name), datasets.load(name, "test")
    means = np.stack([train.images[train.labels == label].mean(axis=0).ravel() for label in range(10)])
    distances = ((test.images.reshape(len(test.labels), 1, -1) - means) ** 2).sum(axis=-1)
    assert (distances.argmin(axis=1) == test.labels).mean() > least


@pytest.mark.parametrize("name", SIZES)
def test_every_prefix_is_as_balanced_as_it_can_be(name):
    labels = datasets.load(name, "test").labels
    counts = np.cumsum(labels[:, None] == np.arange(10), axis=0)
    assert (counts.max(axis=1) - counts.min(axis=1) <= 1).all()
    assert (counts[9::10] == np.arange(1, len(labels) // 10 + 1)[:, None]).all()


@pytest.mark.parametrize("n", [1, 10, 2_500, 2_501, 5_000])
def test_n_takes_the_first_images_across_embedded_files(n):
    dataset, whole = datasets.load("cifar10", n=n), datasets.load("cifar10")
    assert np.array_equal(dataset.images, whole.images[:n])
    assert np.array_equal(dataset.labels, whole.labels[:n])


def test_arrays_are_read_only_and_never_shared():
    first, second = datasets.load("mnist", "test", n=10), datasets.load("mnist", "test", n=10)
    assert not np.shares_memory(first.images, second.images)
    with pytest.raises(ValueError, match="read-only"):
        first.images[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        first.labels[0] = 0


def test_embedded_cifar10_equals_a_lossless_copy_made_by_others(real_mirror):
    with np.load(real_mirror / "cifar10_lossless_12k.npz") as archive:
        for split in ("train", "test"):
            content, cuts = archive[f"{split}_bytes"].tobytes(), archive[f"{split}_offsets"]
            labels = archive[f"{split}_labels"]
            rows = [np.asarray(Image.open(io.BytesIO(content[i:j]))) for i, j in itertools.pairwise(cuts)]
            images = np.concatenate(
                [
                    row[y : y + 32, x : x + 32][None]
                    for row in rows
                    for y in range(0, row.shape[0], 32)
                    for x in range(0, row.shape[1], 32)
                ]
            )[: len(labels)]
            ours = datasets.load("cifar10", split)
            for label in range(10):
                mine = ours.images[ours.labels == label]
                assert np.array_equal(np.rint(mine * 255), images[labels == label][: len(mine)])


def test_a_damaged_or_missing_embedded_file_is_named(tmp_path, monkeypatch):
    real = paths.data()
    shutil.copytree(real / "embedded", tmp_path / "data" / "embedded")
    shutil.copy(real / "datasets.yaml", tmp_path / "data")
    monkeypatch.setattr(paths, "data", lambda: tmp_path / "data")
    file = tmp_path / "data" / "embedded" / "mnist_test.webp"
    shutil.copy(file.with_name("fashion_mnist_test.webp"), file)
    with pytest.raises(InputError, match=r"mnist_test.webp: damaged .*expected c69c.*found a9a3.*restore this file"):
        datasets.load("mnist", "test")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"mnist_test.webp: .*restore this file"):
        datasets.load("mnist", "test")
    file.unlink()
    with pytest.raises(InputError, match=r"mnist_test.webp: cannot be read \(No such file.*restore this file"):
        datasets.load("mnist", "test")


# What a person may ask for


@pytest.mark.parametrize("n", [0, -1, True, False, 2.0, "100", 60_001, np.bool_(True), [3]])
def test_an_impossible_n_is_refused_with_what_is_allowed(n, unchecked_types):
    with pytest.raises(InputError) as error:
        datasets.load("mnist", n=n)
    assert str(error.value) == (
        f"dataset mnist, split train: n cannot be {n!r}; give a whole number from 1 to 60000, for example n=1000"
    )


def test_unscaled_images_are_the_bytes():
    unscaled, scaled = datasets.load("mnist", n=20, scaled=False), datasets.load("mnist", n=20)
    assert unscaled.images.dtype == np.uint8
    assert np.array_equal(unscaled.images / np.float32(255), scaled.images)
    assert unscaled.sha256 == scaled.sha256
    with pytest.raises(ValueError, match="read-only"):
        unscaled.images[0] = 0


def test_any_whole_number_type_will_do_for_n():
    assert len(datasets.load("mnist", "test", n=np.int64(3)).labels) == 3


@pytest.mark.parametrize("name", ["minst", "", 3, None, ["mnist"]])
def test_an_unknown_dataset_is_refused_with_those_there_are(name, unchecked_types):
    with pytest.raises(InputError, match=r"unknown dataset '.*cifar10, cifar100, .*omniglot"):
        datasets.load(name)


def test_a_misspelt_dataset_gets_a_suggestion():
    with pytest.raises(InputError, match="did you mean 'mnist'"):
        datasets.load("minst")


def test_an_unknown_split_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="unknown split of dataset mnist 'valid': there are test, train"):
        datasets.load("mnist", "valid")


# The catalogue


def test_the_catalogue_names_a_licence_and_a_way_to_each_dataset():
    entries = datasets.catalogue()
    medical = {"chest_xray_64", "brain_mri_64", "malaria_cells_50"}
    others = {"mnist", "fashion_mnist", "cifar10", "cifar10_jpeg92", "cifar100", "cifar5m", "omniglot", "glyphs"}
    assert set(entries) == others | medical
    for name, sizes in COMPLETE.items():
        assert tuple(split.size for split in entries[name].splits.values()) == sizes
        assert tuple(subset.size for subset in entries[name].embedded.values()) == SIZES[name]
    for entry in entries.values():
        assert entry.licence
        assert entry.citation
        assert not entry.canonical or not entry.sources or entry.sources[0].url
    assert len(entries["cifar100"].classes) == len(set(entries["cifar100"].classes)) == 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entry: entry.update(license="ours"), "unknown key under datasets.grey 'license': there are .*licence"),
        (lambda entry: entry.pop("title"), "'datasets.grey.title' is missing"),
        (lambda entry: entry["splits"]["train"].update(size=0), "greater than 0.*found 0"),
        (lambda entry: entry["splits"]["train"].update(sha256="12"), "datasets.grey.splits.train.sha256.*found '12'"),
        (lambda entry: entry["splits"]["train"]["files"].append("more"), "file 'more' of a split is not declared"),
        (lambda entry: entry.pop("layout"), "layout and files go together"),
        (lambda entry: entry["sources"][0].update(form="rar"), "form.*found 'rar'"),
        (lambda entry: entry["sources"][0].update(npm="small"), "unknown key .* 'npm'"),
        (lambda entry: entry["sources"][0].update(archives={"small.tgz": None}), "an archive has no checksum"),
        (lambda entry: entry["sources"][0].update(form="parts"), "a dataset in parts needs an address"),
        (lambda entry: entry["sources"][0].update(form="parts", url="http://nobody.invalid/"), "one source and one"),
        (
            lambda entry: entry.update(classes=[], embedded={"test": {"size": 1, "files": {}}}),
            "list them under classes",
        ),
    ],
)
def test_a_fault_in_the_catalogue_is_named_with_its_key(change, message, grey, tmp_path):
    grey()
    file = tmp_path / "data" / "datasets.yaml"
    content = yaml.safe_load(file.read_text())
    change(content["datasets"]["grey"])
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(InputError, match=rf"catalogue .*datasets.yaml: .*{message}"):
        datasets.load("grey")


def test_a_catalogue_that_is_no_yaml_is_named(grey, tmp_path):
    grey()
    (tmp_path / "data" / "datasets.yaml").write_text("datasets: [")
    with pytest.raises(InputError, match=r"datasets.yaml: not valid YAML"):
        datasets.catalogue()


# The mirror


@pytest.mark.parametrize("place", [".", "grey"])
@pytest.mark.parametrize("form", ["plain", "gzipped", "tar"])
def test_the_mirror_serves_canonical_files_and_archives(grey, mirror, place, form):
    grey()
    files = {
        "plain": IDX_FILES,
        "gzipped": {f"{name}.gz": gzip.compress(content) for name, content in IDX_FILES.items()},
        "tar": {"small.tgz": tar_of(IDX_FILES)},
    }[form]
    put(mirror / place, files)
    dataset = datasets.load("grey")
    assert is_grey(dataset)
    assert dataset.provenance == "mirror"
    assert ("small.tgz" if form == "tar" else "train-images") in dataset.source
    assert is_grey(datasets.load("grey", "test"), "test")
    assert dataset.sha256 == sha256(GREY["train"].tobytes() + LABELS[12].astype("<i4").tobytes())


def test_n_takes_the_first_of_the_complete_set_in_canonical_order(grey, mirror):
    grey()
    put(mirror, IDX_FILES)
    dataset = datasets.load("grey", n=5)
    assert np.array_equal(np.rint(dataset.images * 255), GREY["train"][:5])
    assert dataset.sha256 == sha256(GREY["train"][:5].tobytes() + LABELS[12][:5].astype("<i4").tobytes())


@pytest.mark.parametrize("changed", ["a pixel", "a label", "the end", "more"])
def test_files_with_other_pixels_are_never_served_as_the_canonical_ones(grey, mirror, changed):
    grey()
    name = "train-labels" if changed == "a label" else "train-images"
    content = bytearray(IDX_FILES[name])
    content[-1] ^= 1
    content = {"the end": content[:-1], "more": content + b"0"}.get(changed, content)
    put(mirror, IDX_FILES | {name: bytes(content)})
    reason = {"the end": "fewer than", "more": "more than"}.get(changed, f"its {name} is not the canonical file")
    with pytest.raises(InputError, match=rf"nowhere to be had.*{reason}"):
        datasets.load("grey")


@pytest.mark.parametrize(
    ("key", "value", "reason"), [("sha256", "0" * 64, "not the canonical ones"), ("size", 11, "shape")]
)
def test_arrays_that_differ_from_what_the_catalogue_says_are_refused(key, value, reason, declare, mirror):
    entry = declared(CIFAR_FILES, "cifar", (32, 32, 3), 10, 2, sources=[tar_source(b"")])
    put(mirror, CIFAR_FILES)
    declare(colour=entry)
    assert datasets.load("colour", "test").provenance == "mirror"
    entry["splits"]["train"][key] = value
    declare(other=entry)
    with pytest.raises(
        InputError, match=rf"nowhere to be had.*(its train images .*{reason}|cannot be read: .*{reason})"
    ):
        datasets.load("other")


def test_a_lossy_copy_is_served_only_under_its_own_name(mirror):
    put(mirror, {"cifar10_jpeg92.npz": b"anything"})
    with pytest.raises(InputError, match=r"nowhere to be had.*none of its files in") as error:
        datasets.load("cifar10", n=50_000)
    assert "jpeg" not in str(error.value)
    with pytest.raises(InputError, match=r"cifar10_jpeg92.npz is not the expected file: its checksum is"):
        datasets.load("cifar10_jpeg92")


def test_a_stand_in_says_that_it_is_one(declare, mirror):
    picture = io.BytesIO()
    blank = np.zeros((32, 32, 3), np.uint8)
    Image.fromarray(np.vstack([np.hstack([*COLOUR["train"][:2]]), np.hstack([COLOUR["train"][2], blank])])).save(
        picture, "PNG"
    )
    grids = {}
    for split in ("train", "test"):
        grids[f"{split}_bytes"] = np.frombuffer(picture.getvalue() * 2, np.uint8)
        grids[f"{split}_offsets"] = np.arange(3) * len(picture.getvalue())
        grids[f"{split}_labels"] = np.arange(7, dtype=np.uint8)
    file = io.BytesIO()
    np.savez(file, **grids)
    entry = declared({}, None, (32, 32, 3), 7, 7, canonical=False)
    entry["sources"] = [{"form": "grid-npz", "archives": {"lossy.npz": f"sha256:{sha256(file.getvalue())}"}}]
    declare(lossy=entry)
    put(mirror, {"lossy.npz": file.getvalue()})
    for provenance in ("mirror", "cache"):
        dataset = datasets.load("lossy")
        assert (dataset.canonical, dataset.provenance) == (False, provenance)
        expected = [*COLOUR["train"][:3], blank, *COLOUR["train"][:3]]
        assert np.array_equal(np.rint(dataset.images * 255), expected)


def test_two_datasets_with_files_of_the_same_names_share_a_mirror(declare, mirror):
    others = {name: content[:-1] + bytes([content[-1] ^ 1]) for name, content in IDX_FILES.items()}
    sources = [tar_source(b"")]
    declare(
        grey=declared(IDX_FILES, "idx", (4, 4, 1), 12, 6, sources=sources),
        other=declared(others, "idx", (4, 4, 1), 12, 6, sources=sources),
    )
    put(mirror, others)
    with pytest.raises(InputError, match="not the canonical file"):
        datasets.load("grey")
    put(mirror / "grey", IDX_FILES)
    assert is_grey(datasets.load("grey"))
    assert datasets.load("other", n=3).labels.shape == (3,)


def test_a_mirror_that_is_no_folder_is_named(grey, monkeypatch):
    grey()
    monkeypatch.setenv("DEEPPHENOMENA_MIRROR", "no/such/folder")
    with pytest.raises(InputError, match=r"DEEPPHENOMENA_MIRROR is 'no/such/folder', which is not a folder; give the"):
        datasets.load("grey")


@pytest.mark.parametrize("evil", ["../evil", "package/../../evil", "/etc/evil"])
def test_an_archive_with_a_member_that_points_out_of_it_is_refused(grey, mirror, evil):
    members = {f"package/{name}": content for name, content in IDX_FILES.items()} | {evil: b"evil"}
    content = tar_of(members, folder="")
    grey(tar_source(content))
    put(mirror, {"small.tgz": content})
    with pytest.raises(InputError, match=rf"refused: its member '{evil}' points out of the archive"):
        datasets.load("grey")
    assert not list(mirror.parent.rglob("evil"))


def test_no_more_is_unpacked_than_a_canonical_file_holds(grey, mirror):
    grey()
    bomb = gzip.compress(bytes(50_000_000))
    put(mirror, {f"{name}.gz": bomb for name in IDX_FILES})
    with pytest.raises(InputError, match=r"its train-images holds more than \d+ bytes"):
        datasets.load("grey")


@pytest.mark.parametrize(
    "broken", [b"", b"\x1f\x8b rubbish", gzip.compress(b"no tar")[:20]], ids=["empty", "rubbish", "cut"]
)
def test_an_archive_that_cannot_be_read_is_a_reason_and_no_traceback(grey, mirror, broken):
    grey(tar_source(broken))
    put(mirror, {"small.tgz": broken, **{f"{name}.gz": b"\x1f\x8b rubbish" for name in IDX_FILES}})
    with pytest.raises(InputError, match=r"nowhere to be had.*cannot be read: .*; cannot be read: "):
        datasets.load("grey")


def test_a_member_that_is_missing_from_an_archive_is_named(grey, mirror):
    content = tar_of({name: content for name, content in IDX_FILES.items() if name != "test-labels"})
    grey(tar_source(content))
    put(mirror, {"small.tgz": content})
    with pytest.raises(InputError, match="no test-labels in it"):
        datasets.load("grey")


# The other forms


def test_cifar_batches_are_read_channel_by_channel(declare, mirror):
    declare(colour=declared(CIFAR_FILES, "cifar", (32, 32, 3), 10, 2, sources=[tar_source(b"")]))
    put(mirror, CIFAR_FILES)
    for split in ("train", "test"):
        dataset = datasets.load("colour", split)
        assert np.array_equal(np.rint(dataset.images * 255), COLOUR[split])
        assert np.array_equal(dataset.labels, LABELS[len(COLOUR[split])])


def test_of_two_label_bytes_the_finer_one_is_served(declare, mirror):
    files = {
        "train.bin": records(COLOUR["train"], LABELS[10] // 5, LABELS[10]),
        "test.bin": records(COLOUR["test"], [1, 0], [9, 4]),
    }
    declare(colour=declared(files, "cifar", (32, 32, 3), 10, 2, sources=[tar_source(b"")]))
    put(mirror, files)
    assert np.array_equal(datasets.load("colour").labels, LABELS[10])
    assert np.array_equal(np.rint(datasets.load("colour").images * 255), COLOUR["train"])


def test_omniglot_is_ordered_by_name_and_reduced_by_exact_area(declare, mirror):
    ink = np.random.default_rng(1).random((2, 3, 20, 105, 105)) < 0.2
    names = ["B_alphabet/character02", "A_alphabet/character01", "B_alphabet/character01"]
    order = [1, 2, 0]
    files = {}
    for stem, drawings in zip(("images_background", "images_evaluation"), ink, strict=True):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, twenty in zip(names, drawings, strict=True):
                for drawer, drawing in enumerate(twenty):
                    picture = io.BytesIO()
                    Image.fromarray(~drawing).save(picture, "PNG")
                    archive.writestr(f"{stem}/{name}/0001_{drawer + 1:02}.png", picture.getvalue())
        files[f"{stem}.zip"] = stream.getvalue()
    archives = {name: f"sha256:{hashlib.sha256(content).hexdigest()}" for name, content in files.items()}
    entry = declared({}, None, (28, 28, 1), 60, 60, sources=[{"form": "omniglot-zip", "archives": archives}])
    declare(letters=entry | {"classes": []})
    put(mirror, files)
    for split, drawings in zip(("train", "test"), ink, strict=True):
        dataset = datasets.load("letters", split)
        fine = drawings[order].reshape(60, 105, 105).repeat(4, axis=1).repeat(4, axis=2)
        share = fine.reshape(60, 28, 15, 28, 15).mean(axis=(2, 4))
        assert np.array_equal(np.rint(dataset.images[..., 0] * 255), np.rint(share * 255))
        assert np.array_equal(dataset.labels, np.repeat([0, 1, 2], 20))
        assert dataset.class_names == tuple(sorted(names))


def test_omniglot_comes_whole_from_the_mirror(real_mirror):
    for split, characters, provenance in (("train", 964, "mirror"), ("test", 659, "cache")):
        dataset = datasets.load("omniglot", split)
        assert dataset.images.shape == (20 * characters, 28, 28, 1)
        assert np.array_equal(dataset.labels, np.repeat(np.arange(characters), 20))
        assert (dataset.provenance, dataset.canonical) == (provenance, True)
        assert dataset.sha256 == datasets.catalogue()["omniglot"].splits[split].sha256
        assert len(dataset.class_names) == characters
        assert 0.02 < dataset.images.mean() < 0.15  # ink is 1, and there is little of it


# Downloads, from this machine to itself


@pytest.fixture
def server(tmp_path):
    """A folder that is served over HTTP, and its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    folder = tmp_path / "served"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


def test_a_download_is_checked_cached_and_silent(grey, server, capfd):
    folder, address = server
    zipped = {f"{name}.gz": gzip.compress(content) for name, content in IDX_FILES.items()}
    archives = {name: f"sha256:{sha256(content)}" for name, content in zipped.items()}
    grey({"form": "loose", "url": address, "archives": archives})
    put(folder, zipped)
    dataset = datasets.load("grey")
    assert is_grey(dataset)
    assert (dataset.provenance, dataset.source) == ("download", address)
    shutil.rmtree(folder)
    again = datasets.load("grey")
    assert (again.provenance, again.source, again.sha256) == ("cache", address, dataset.sha256)
    assert capfd.readouterr() == ("", "")


def test_a_download_with_another_checksum_or_none_at_all_is_a_reason(grey, server):
    folder, address = server
    content = tar_of(IDX_FILES)
    grey(tar_source(content, url=address))
    with pytest.raises(InputError, match=rf"{address}small.tgz \(small.tgz: HTTP status 404\)"):
        datasets.load("grey")
    put(folder, {"small.tgz": content[:-1]})
    with pytest.raises(InputError, match=r"small.tgz: .*does not match the known hash"):
        datasets.load("grey")


def test_sources_are_tried_in_turn(grey, server):
    folder, address = server
    content = tar_of(IDX_FILES)
    grey(tar_source(content, url="http://nobody.invalid/"), tar_source(content, url=address))
    put(folder, {"small.tgz": content})
    assert datasets.load("grey").source == f"{address}small.tgz"


def test_nowhere_to_be_had_lists_every_place_and_the_fix(tmp_path):
    with pytest.raises(InputError) as error:
        datasets.load("cifar10", n=5_001)
    message = str(error.value)
    assert "\n" not in message
    for part in (
        "complete dataset 'cifar10': nowhere to be had",
        f"{tmp_path / 'cache' / 'datasets' / 'cifar10.npz'} (not there)",
        "the folder DEEPPHENOMENA_MIRROR (not set)",
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz (cifar-10-binary.tar.gz: ConnectionError)",
        "set DEEPPHENOMENA_MIRROR to a folder with its files (cifar-10-binary.tar.gz)",
        "or ask for n of at most 5000 (train) or 1000 (test), which needs neither",
    ):
        assert part in message


# Datasets in parts


@pytest.fixture
def in_parts(declare, tmp_path):
    """Declare a dataset of two archives of five images each at an address; return their contents by name."""
    files = {}
    for k in range(2):
        stream = io.BytesIO()
        rows = slice(5 * k, 5 * k + 5)
        np.savez(stream, X=COLOUR["train"][rows], Y=LABELS[10][rows])
        files[f"part{k}.npz"] = stream.getvalue()

    def write(url="http://nobody.invalid/", checksums=(None, None)):
        entry = declared({}, None, (32, 32, 3), 10, 1, canonical=False)
        del entry["splits"]["test"]
        archives = dict(zip(files, checksums, strict=True))
        declare(large=entry | {"sources": [{"form": "parts", "url": url, "archives": archives}]})
        return files

    return write


@pytest.mark.parametrize("place", [".", "large"])
def test_the_first_images_are_read_across_the_parts_that_are_needed(in_parts, mirror, place):
    files = in_parts()
    put(mirror / place, {"part0.npz": files["part0.npz"]})
    assert datasets.load("large", n=5).labels.tolist() == LABELS[10][:5].tolist()
    with pytest.raises(InputError, match=r"part1.npz is nowhere to be had.*a folder with large/part1.npz"):
        datasets.load("large", n=6)
    put(mirror / place, files)
    dataset = datasets.load("large", n=7, scaled=False)
    assert dataset.images.dtype == np.uint8
    assert np.array_equal(dataset.images, COLOUR["train"][:7])
    assert np.array_equal(dataset.labels, LABELS[10][:7])
    assert (dataset.provenance, dataset.canonical) == ("mirror", False)
    scaled = datasets.load("large", n=7)
    assert np.array_equal(scaled.images, dataset.images / np.float32(255))
    assert scaled.sha256 == dataset.sha256
    assert datasets.load("large").labels.shape == (10,)


def test_parts_are_downloaded_once_and_only_as_many_as_needed(in_parts, server, tmp_path):
    folder, address = server
    put(folder, in_parts(address))
    dataset = datasets.load("large", n=4)
    assert (dataset.provenance, dataset.source) == ("download", address)
    cache = tmp_path / "cache" / "datasets" / "large"
    assert {file.name for file in cache.iterdir()} == {"part0.npz", "part0.npz.sha256"}
    shutil.rmtree(folder)
    assert datasets.load("large", n=4).provenance == "cache"
    np.savez(cache / "part0.npz", X=COLOUR["train"][5:10], Y=LABELS[10][5:10])
    with pytest.raises(InputError, match=r"part0.npz is not the expected file: .*delete this file and run again"):
        datasets.load("large", n=4)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"X": COLOUR["train"].astype(float), "Y": LABELS[10]}, "holds X float64.* not 5 images of 32 x 32 x 3 bytes"),
        ({"X": COLOUR["train"][:3], "Y": LABELS[10][:3]}, r"holds X uint8 \(3, 32, 32, 3\) and Y \(3,\), not 5 images"),
        ({"X": COLOUR["train"], "Y": LABELS[10] + 2}, "its labels run from 2 to 10, not from 0 to 9"),
        (None, "cannot be read"),
    ],
)
def test_a_part_that_holds_something_else_is_named(in_parts, mirror, content, words):
    in_parts()
    put(mirror, {"part0.npz": b"no archive"})
    if content:
        np.savez(mirror / "part0.npz", **content)
    with pytest.raises(InputError, match=rf"dataset file .*part0.npz: {words}.*delete this file"):
        datasets.load("large", n=5)


def test_a_part_with_a_checksum_is_compared_with_it(in_parts, mirror):
    files = in_parts()
    put(mirror, files)
    in_parts(checksums=(f"sha256:{sha256(files['part0.npz'])}", f"sha256:{'0' * 64}"))
    assert datasets.load("large", n=5).labels.shape == (5,)
    with pytest.raises(InputError, match=r"part1.npz is not the expected file"):
        datasets.load("large", n=6)


# The cache


@pytest.fixture
def cached(grey, mirror, tmp_path):
    grey()
    put(mirror, IDX_FILES)
    datasets.load("grey")
    return tmp_path / "cache" / "datasets" / "grey.npz"


def test_the_cache_is_one_file_that_serves_both_splits_alone(cached, mirror):
    assert list(cached.parent.iterdir()) == [cached]
    shutil.rmtree(mirror)
    assert is_grey(datasets.load("grey"))
    assert is_grey(datasets.load("grey", "test"), "test")
    assert datasets.load("grey", n=2).provenance == "cache"


@pytest.mark.parametrize("damage", ["a pixel", "cut off", "emptied", "rubbish", "another dataset"])
def test_a_damaged_cache_file_is_named_with_both_checksums_and_the_fix(cached, damage):
    content = cached.read_bytes()
    with np.load(cached) as archive:
        arrays = dict(archive)
    if damage == "another dataset":
        arrays["train_images"] = arrays["train_images"] ^ 1
        np.savez(cached, **arrays)
    else:
        flipped = content.replace(GREY["train"].tobytes(), GREY["train"][::-1].tobytes())
        assert flipped != content
        cached.write_bytes({"a pixel": flipped, "cut off": content[:-200], "emptied": b"", "rubbish": b"no"}[damage])
    expected = (
        sha256(GREY["train"].tobytes() + LABELS[12].astype("<i4").tobytes()) if damage == "another dataset" else ""
    )
    with pytest.raises(
        InputError, match=rf"cached dataset .*grey.npz: damaged .*expected .*{expected}.*delete this file"
    ):
        datasets.load("grey")
    cached.unlink()
    assert is_grey(datasets.load("grey"))


def test_many_at_once_leave_one_whole_file(grey, mirror, tmp_path):
    grey()
    put(mirror, IDX_FILES)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda _: datasets.load("grey"), range(24)))
    assert all(map(is_grey, loaded))
    assert [file.name for file in (tmp_path / "cache" / "datasets").iterdir()] == ["grey.npz"]


def test_a_cache_that_cannot_be_written_is_told_and_the_data_are_served(grey, mirror, tmp_path, monkeypatch):
    grey()
    put(mirror, IDX_FILES)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DEEPPHENOMENA_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be written .*DEEPPHENOMENA_CACHE"):
        assert is_grey(datasets.load("grey"))


# How the embedded files are made


@pytest.fixture
def maker():
    """The script data/make_embedded.py as a module."""
    script = Path(__file__).parents[1] / "data" / "make_embedded.py"
    specification = importlib.util.spec_from_file_location("make_embedded", script)
    maker = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(maker)
    return maker


@pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 3)])
def test_packing_is_lossless_and_makes_the_same_bytes_again(side, channels, maker):
    images = np.random.default_rng(2).integers(0, 256, (200, side, side, channels), np.uint8)
    content = maker.packed(images)
    assert content == maker.packed(images)
    columns = maker.COLUMNS[side]
    grid = np.asarray(Image.open(io.BytesIO(content)))[..., :channels]
    for i in (0, 1, columns - 1, columns, 199):
        y, x = side * (i // columns), side * (i % columns)
        assert np.array_equal(grid[y : y + side, x : x + side], images[i])


def test_the_embedded_rule_takes_the_classes_in_turn(maker, unchecked_types):
    labels = np.random.default_rng(3).integers(0, 10, 500)
    arrays = maker.Arrays(np.arange(500)[:, None, None, None], labels)
    taken = maker.balanced(arrays, 100).ravel()
    for label in range(10):
        assert np.array_equal(taken[label::10], np.flatnonzero(labels == label)[:10])
