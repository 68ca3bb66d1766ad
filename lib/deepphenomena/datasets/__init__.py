"""Real datasets by name: embedded, cached, mirrored or downloaded, and always known by their checksum.

    digits = datasets.load("mnist", n=1000)          # embedded with the book: no network
    digits = datasets.load("mnist", n=60_000)        # the complete training set: fetched once, then cached

`mnist`, `fashion_mnist` and `cifar10` have an embedded subset of the canonical pixels, balanced over the classes. As
long as a request fits in it, it serves; a larger `n` asks for the complete set, whose first images are other ones.
`cifar100` and `omniglot` are always complete, and `glyphs` is embedded whole. `catalogue()` says what there is, under
which licence and from where.
"""

import dataclasses
import hashlib
import operator
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int32, UInt8
from PIL import Image

from deepphenomena.datasets._arrays import Arrays, digest, tiles
from deepphenomena.datasets._catalogue import Entry, catalogue
from deepphenomena.datasets._complete import Served, complete
from deepphenomena.datasets._parts import leading
from deepphenomena.runtime import paths
from deepphenomena.runtime.errors import InputError, unknown

__all__ = ["Dataset", "catalogue", "digest", "load"]

_Images = Float32[np.ndarray, "n height width channels"] | UInt8[np.ndarray, "n height width channels"]


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images, float32 in 0..1 or as bytes, with their labels, and where they are from. The arrays are read-only.

    `sha256` is over the pixels as bytes (uint8, C order, NHWC) and then the labels (int32, little-endian): the same
    images have the same one, whatever served them. `source` is one line on what served them first; `canonical` is
    False for a lossy copy. `class_names[label]` names a class.
    """

    images: _Images = dataclasses.field(repr=False)
    labels: Int32[np.ndarray, " n"] = dataclasses.field(repr=False)
    name: str
    split: str
    sha256: str
    licence: str
    provenance: Literal["embedded", "cache", "mirror", "download"]
    source: str
    class_names: tuple[str, ...] = dataclasses.field(repr=False)
    canonical: bool


def load(name: str, split: str = "train", n: int | None = None, *, scaled: bool = True) -> Dataset:
    """The first `n` images of a split ("train" or "test"), scaled from bytes to 0..1, with their labels from 0.

    `scaled=False` leaves the images as bytes (uint8, 0 to 255), which take a quarter of the memory.

    `mnist` and `fashion_mnist` are (n, 28, 28, 1), `cifar10` and `cifar100` (n, 32, 32, 3). Up to 10,000 training and
    2,000 test images (`cifar10`: 5,000 and 1,000) come from the embedded subset, and `n=None` means all of these. It
    takes each class's images in canonical order and the classes in turn, 0 to 9 and again, so that any first 10k
    images hold k of each class. A larger `n` means the first `n` of the complete set in canonical order.

    `omniglot` is (n, 28, 28, 1) with ink 1 on paper 0, the 105 x 105 originals reduced by exact area averages: "train"
    holds the 964 background characters, "test" the 659 for evaluation, twenty drawings of each in a row. Its class
    names are alphabet/character. `glyphs`, embedded, made for this book in Omniglot's image, has letters of different
    scripts in "train", "validation" and "test", twenty renderings of each, the letters in turn. `cifar10_jpeg92` is a
    lossy stand-in for all of CIFAR-10, served from a mirror only.

    `chest_xray_64` and `brain_mri_64`, (n, 64, 64, 1), and `malaria_cells_50`, (n, 50, 50, 1), are medical images in
    "train", "validation" and "test", served from a mirror only. No patient, as far as patients are known, is in two.

    `cifar5m`, (n, 32, 32, 3), has only "train": six files of 1,000,448 images and 3 GB each. Only the first files that
    `n` needs are fetched. Give `n`, and `scaled=False` for millions of images.

    InputError for an unknown name or split, an impossible `n`, a damaged file, or a set that is nowhere to be had.
    """
    entries = catalogue()
    if not isinstance(name, str) or name not in entries:
        raise unknown("dataset", str(name), entries)
    entry = entries[name]
    if not isinstance(split, str) or split not in entry.splits:
        raise unknown(f"split of dataset {name}", str(split), entry.splits)
    n = _checked_size(n, name, split, entry)
    embedded = entry.embedded.get(split)
    if embedded and (n is None or n <= embedded.size):
        served = Served({split: _embedded(entry, split, n or embedded.size)}, "embedded", "embedded with the book")
    elif entry.in_parts:
        served = leading(name, split, entry, n or entry.splits[split].size)
    else:
        served = complete(name, split, entry)
    arrays = served.splits[split]
    images, labels = arrays.images[:n], arrays.labels[:n].copy()
    pixels = np.divide(images, 255, dtype=np.float32) if scaled else images.copy()
    pixels.flags.writeable = labels.flags.writeable = False
    return Dataset(
        images=pixels,
        labels=labels,
        name=name,
        split=split,
        sha256=digest(images, labels),
        licence=entry.licence,
        provenance=served.provenance,
        source=served.source,
        class_names=arrays.class_names or tuple(entry.classes),
        canonical=entry.canonical,
    )


def _checked_size(n: int | None, name: str, split: str, entry: Entry) -> int | None:
    if n is None:
        return None
    largest = entry.splits[split].size
    try:
        size = 0 if isinstance(n, bool | np.bool_) else operator.index(n)
    except TypeError:
        size = 0
    if not 1 <= size <= largest:
        raise InputError(
            f"dataset {name}, split {split}: n cannot be {n!r}; give a whole number from 1 to {largest}, "
            f"for example n={min(1000, largest)}"
        )
    return size


def _embedded(entry: Entry, split: str, n: int) -> Arrays:
    """At least the first n images of an embedded subset; its labels need no file, for the classes come in turn."""
    batches, held = [], 0
    for name, expected in entry.embedded[split].files.items():
        if held >= n:
            break
        file = paths.data() / "embedded" / name
        try:
            grid = np.asarray(Image.open(file))
        except OSError as fault:
            raise InputError(
                f"embedded dataset {file}: cannot be read ({fault.strerror or fault}); restore this file, "
                "or install deepphenomena again"
            ) from None
        height, width, channels = entry.shape
        # WebP knows no grey: three equal channels stand for one.
        batch = np.ascontiguousarray(tiles(grid[..., :channels], height, width))
        if (found := hashlib.sha256(batch).hexdigest()) != expected:
            raise InputError(
                f"embedded dataset {file}: damaged (sha256 of its pixels expected {expected}, found {found}); "
                "restore this file, or install deepphenomena again"
            )
        batches.append(batch)
        held += len(batch)
    images, names = np.concatenate(batches), tuple(entry.classes)
    if (listed := entry.embedded[split].class_names) is not None:
        names = tuple((paths.data() / "embedded" / listed).read_text(encoding="utf-8").splitlines())
    return Arrays(images, np.arange(len(images), dtype=np.int32) % len(names), names)
