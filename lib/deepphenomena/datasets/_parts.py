"""Datasets in parts: large archives, of which a request downloads only the first ones that it needs.

The cache keeps each archive as published and, if no checksum is published, the one that it had when it was downloaded.
"""

import hashlib
from pathlib import Path

import numpy as np

from deepphenomena.datasets._arrays import FAULTS, Arrays, Unusable, archive_file
from deepphenomena.datasets._catalogue import Entry, Source
from deepphenomena.datasets._complete import MIRROR_VARIABLE, Served, download, mirror
from deepphenomena.runtime import documents, paths, text
from deepphenomena.runtime.errors import InputError


def leading(name: str, split: str, entry: Entry, n: int) -> Served:
    """Return the first n images of a dataset in parts, from the cache, the mirror folder or the canonical address.

    `provenance` and `source` name the source of the last archive.

    Raises:
        InputError: an archive that is not available, is damaged or has other contents.
    """
    (source,) = entry.sources
    share = entry.splits[split].size // len(source.archives)  # images in each part
    parts = []
    for number, archive in enumerate(list(source.archives)[: -(-n // share)]):
        folder, provenance = _located(name, source, archive)
        try:
            file = archive_file(folder, archive, source.archives[archive] or _when_downloaded(folder / archive))
            parts.append(_read(file, min(share, n - number * share), entry))
        except Unusable as why:
            raise InputError(
                f"dataset file {folder / archive}: {why}; delete this file and run again, or restore it"
            ) from None
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Served({split: Arrays(images, labels)}, provenance, source.title)


def _located(name: str, source: Source, archive: str) -> tuple[Path, str]:
    """Return (folder that holds the archive, kind of its source)."""
    cache, served = paths.cache() / "datasets" / name, mirror()
    places = {cache: "cache"} | ({served / name: "mirror", served: "mirror"} if served else {})
    for folder, provenance in places.items():
        if (folder / archive).is_file():
            return folder, provenance
    try:
        download(source, archive, cache)
    except Unusable as why:
        raise InputError(
            f"dataset '{name}': {archive} is nowhere to be had; looked in {cache / archive} (not there); the folder "
            f"{MIRROR_VARIABLE} ({served or 'not set'}); {source.url} ({why}); connect to the network, or set "
            f"{MIRROR_VARIABLE} to a folder with {name}/{archive}"
        ) from None
    with (cache / archive).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    documents.write_whole(_checksum_of(cache / archive), f"sha256:{digest}")
    return cache, "download"


def _checksum_of(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.sha256")


def _when_downloaded(archive: Path) -> str | None:
    """Return the checksum that an archive had when it was downloaded, or None if it came another way."""
    kept = _checksum_of(archive)
    return text.read(kept, f"checksum {kept}").strip() if kept.is_file() else None


def _read(file: Path, n: int, entry: Entry) -> tuple[np.ndarray, np.ndarray]:
    """Return the first n images `X` (NHWC, uint8) and labels `Y` of an archive."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            images, labels = archive["X"][:n], archive["Y"][:n].astype(np.int32)
    except FAULTS as fault:
        raise Unusable(f"cannot be read ({type(fault).__name__})") from None
    if images.dtype != np.uint8 or images.shape != (n, *entry.shape) or labels.shape != (n,):
        raise Unusable(
            f"holds X {images.dtype} {images.shape} and Y {labels.shape}, not {n} images of "
            f"{' x '.join(map(str, entry.shape))} bytes and their labels"
        )
    if labels.min() < 0 or labels.max() >= len(entry.classes):
        raise Unusable(f"its labels run from {labels.min()} to {labels.max()}, not from 0 to {len(entry.classes) - 1}")
    return images, labels
