"""Real datasets by name: embedded, cached, mirrored or downloaded, and verified by checksum.

`mnist`, `fashion_mnist` and `cifar10` have an embedded subset of the original pixels, balanced over the classes.
`datasets.load` uses it for every `n` that fits; a larger `n` loads the complete set, whose first images differ.
`cifar100` and `omniglot` are always complete, and `glyphs` is entirely embedded. `catalogue()` lists every dataset with
its licence and source.

Example:
    >>> datasets.load("mnist", n=1000).provenance  # no network
    'embedded'
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
    """Images, float32 in 0..1 or uint8, with their labels and their source. The arrays are read-only.

    `sha256` covers the pixels as bytes (uint8, C order, NHWC) and then the labels (int32, little-endian). It is the
    same for the same images from every source. `source` describes the first source in one line. `canonical` is False
    for a lossy copy. `class_names[label]` names a class.

    Example:
        >>> digits = datasets.load("mnist", n=10)
        >>> digits.class_names[digits.labels[3]]
        '3'
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


def load(name: str, split: str = "train", n: int | np.integer | None = None, *, scaled: bool = True) -> Dataset:
    """Load the first `n` images of a split, scaled from bytes to 0..1, with their labels from 0.

    Args:
        name: a name in `catalogue()`.
        split: "train" or "test"; some datasets also have "validation".
        n: number of images. None loads the embedded subset if there is one, and the complete split otherwise.
        scaled: False keeps the images as bytes (uint8, 0 to 255), which take a quarter of the memory.

    `mnist` and `fashion_mnist` are (n, 28, 28, 1), `cifar10` and `cifar100` (n, 32, 32, 3). Up to 10,000 training and
    2,000 test images (`cifar10`: 5,000 and 1,000) come from the embedded subset. It takes each class's images in their
    original order and the classes in turn, 0 to 9 and again, so that the first 10k images hold k of each class. A
    larger `n` loads the first `n` of the complete set in its original order.

    `omniglot` is (n, 28, 28, 1) with ink 1 on paper 0: the 105 x 105 originals reduced by exact area averages. "train"
    holds the 964 background characters and "test" the 659 for evaluation, with twenty consecutive drawings of each.
    Class names are alphabet/character. `glyphs`, embedded and made for this book in the style of Omniglot, has letters
    of different scripts in "train", "validation" and "test", with twenty renderings of each, the letters in turn.
    `cifar10_jpeg92` is a lossy stand-in for all of CIFAR-10, available from a mirror only.

    `chest_xray_64` and `brain_mri_64`, (n, 64, 64, 1), and `malaria_cells_50`, (n, 50, 50, 1), are medical images in
    "train", "validation" and "test", available from a mirror only. As far as patients are known, no patient is in two
    splits.

    `cifar5m`, (n, 32, 32, 3), has only "train": six files of 1,000,448 images and 3 GB each. Only the files needed for
    `n` are fetched. Give `n`, and `scaled=False` for millions of images.

    Raises:
        InputError: for an unknown name or split, an impossible `n`, a damaged file, or a dataset that no source has.

    Example:
        >>> datasets.load("mnist", n=10).images.shape
        (10, 28, 28, 1)
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


def _checked_size(n: int | np.integer | None, name: str, split: str, entry: Entry) -> int | None:
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
    """Read at least the first n images of an embedded subset. Its labels need no file, because the classes come in
    turn.
    """
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
