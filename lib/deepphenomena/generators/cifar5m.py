"""CIFAR-5m, the paper's own data: six million images sampled from a diffusion model of CIFAR-10 and labelled by a net.

Source: Nakkiran, Neyshabur and Sedghi 2020; https://github.com/preetum/cifar5m. Six files of 1,000,448 images, about
3 GB each, with arrays `X` (uint8, NHWC) and `Y`.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from deepphenomena.datasets import Dataset, digest
from deepphenomena.runtime import paths
from deepphenomena.runtime.errors import InputError

ADDRESS = "https://storage.googleapis.com/gresearch/cifar5m/"
PART_SIZE = 1_000_448
PARTS = 6
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# The authors publish no checksums. A file's sha256 that is entered here, as "part0.npz": "...", is compared whenever
# the file is opened; without one, the run's record names the checksum of the images that it used.
CHECKSUMS: Mapping[str, str] = {}


def cifar5m(n: int) -> Dataset:
    """The first `n` images of the six files in their order. Unlike other datasets' its images stay bytes, 0 to 255.

    Files are looked for as `part0.npz` to `part5.npz` in the folder `cifar5m` of DEEPPHENOMENA_MIRROR, then in the
    cache, then at the authors' address, from where the cache keeps them.

    Raises:
        InputError: an impossible `n`, a file that is damaged or has another content, or one that is nowhere to be had.
    """
    if not 1 <= n <= PARTS * PART_SIZE:
        raise InputError(f"cifar5m: n cannot be {n}; give 1 to {PARTS * PART_SIZE}")
    names = [f"part{part}.npz" for part in range(-(-n // PART_SIZE))]
    parts = [_part(name, min(PART_SIZE, n - i * PART_SIZE)) for i, name in enumerate(names)]
    images, labels, provenances = zip(*parts, strict=True)
    images, labels = np.concatenate(images), np.concatenate(labels)
    return Dataset(
        images=images,
        labels=labels,
        name="cifar5m",
        split="train",
        sha256=digest(images, labels),
        licence="none stated; cite the paper",
        provenance=provenances[0],
        source=ADDRESS + ", ".join(names),
        class_names=CLASSES,
        canonical=all(name in CHECKSUMS for name in names),
    )


def _part(name: str, n: int) -> tuple[np.ndarray, np.ndarray, str]:
    """(images, labels, where from) of the first n images of a file."""
    file, provenance = _located(name)
    if (expected := CHECKSUMS.get(name)) and (found := _sha256(file)) != expected:
        raise InputError(f"cifar5m file {file}: damaged (sha256 expected {expected}, found {found}); delete it")
    try:
        with np.load(file, allow_pickle=False) as archive:
            images, labels = archive["X"][:n], archive["Y"][:n].astype(np.int32)
    except Exception as fault:  # there is no end to what a damaged file makes a reader raise
        raise InputError(f"cifar5m file {file}: cannot be read ({type(fault).__name__}); delete it") from None
    if images.dtype != np.uint8 or images.shape != (n, 32, 32, 3) or labels.shape != (n,):
        raise InputError(
            f"cifar5m file {file}: holds X {images.dtype} {images.shape} and Y {labels.shape}; {n} images of "
            "32 x 32 x 3 bytes and their labels were expected"
        )
    if labels.min() < 0 or labels.max() >= len(CLASSES):
        raise InputError(f"cifar5m file {file}: labels run from {labels.min()} to {labels.max()}, not from 0 to 9")
    return images, labels, provenance


def _located(name: str) -> tuple[Path, str]:
    """(the file, where it came from)."""
    folder = os.environ.get("DEEPPHENOMENA_MIRROR")
    if folder and (file := Path(folder, "cifar5m", name)).is_file():
        return file, "mirror"
    cached = paths.cache() / "datasets" / "cifar5m" / name
    if cached.is_file():
        return cached, "cache"
    import pooch  # it loads an HTTP library, which embedded data never need

    checksum = CHECKSUMS.get(name)
    try:
        pooch.retrieve(
            ADDRESS + name,
            checksum and f"sha256:{checksum}",
            fname=name,
            path=cached.parent,
            downloader=pooch.HTTPDownloader(timeout=(5, 60), chunk_size=1 << 20),
        )
    except (OSError, ValueError) as fault:
        raise InputError(
            f"cifar5m: {name} is nowhere to be had; looked in the folder cifar5m of DEEPPHENOMENA_MIRROR "
            f"({folder or 'not set'}), in {cached} and at {ADDRESS} ({type(fault).__name__}); set DEEPPHENOMENA_MIRROR "
            "to a folder with cifar5m/" + name
        ) from None
    return cached, "download"


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
