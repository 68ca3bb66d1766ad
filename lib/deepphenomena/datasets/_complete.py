"""Complete datasets, from the user's cache or from the first available source."""

import contextlib
import dataclasses
import functools
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from deepphenomena.datasets._arrays import Absent, Arrays, Unusable, digest, read
from deepphenomena.datasets._catalogue import Entry, Source
from deepphenomena.runtime import paths, progress
from deepphenomena.runtime.errors import InputError

MIRROR_VARIABLE = "DEEPPHENOMENA_MIRROR"

_CONNECT_SECONDS, _READ_SECONDS = 5, 60


@dataclasses.dataclass(frozen=True)
class Served:
    """Every split of a dataset, with the kind and the name of its source."""

    splits: dict[str, Arrays]
    provenance: str
    source: str


def complete(name: str, split: str, entry: Entry) -> Served:
    """Return a split from the cache, or all splits from a source, and store them in the cache.

    Raise InputError if the cached file is damaged, the mirror is not a folder, or no source is available. The error
    lists the places that were tried.
    """
    file = paths.cache() / "datasets" / f"{name}.npz"
    if file.is_file():
        return _cached(file, split, entry)
    served = fetched(name, entry, mirror(), looked=[f"{file} (not there)"])
    _keep(file, served)
    return served


def mirror() -> Path | None:
    """Return the folder of DEEPPHENOMENA_MIRROR, or None if it is not set. Raise InputError if it is not a folder."""
    value = os.environ.get(MIRROR_VARIABLE)
    if not value:
        return None
    if not Path(value).is_dir():
        raise InputError(
            f"{MIRROR_VARIABLE} is '{value}', which is not a folder; give the absolute path of a folder, or unset it"
        )
    return Path(value)


def fetched(name: str, entry: Entry, mirror: Path | None, looked: list[str]) -> Served:
    """Return a dataset from the first available source: the mirror, then the sources of the entry in order.

    `looked` lists the places that the caller has tried. InputError lists them and every place tried here, with reasons.
    """
    attempts = [(f"the folder {MIRROR_VARIABLE}", functools.partial(_from_mirror, name, entry, mirror))]
    for source in entry.sources:
        if source.url:
            attempts.append((source.title, functools.partial(_from_source, entry, source)))
    for place, attempt in attempts:
        try:
            return attempt()
        except Unusable as why:
            looked = [*looked, f"{place} ({why})"]
    archives = dict.fromkeys(archive for source in entry.sources for archive in source.archives)
    smaller = " or ".join(f"{subset.size} ({split})" for split, subset in entry.embedded.items())
    raise InputError(
        f"complete dataset '{name}': nowhere to be had; looked in {'; '.join(looked)}; connect to the network, or set "
        f"{MIRROR_VARIABLE} to a folder with its files ({', '.join(archives)})"
        + (f", or ask for n of at most {smaller}, which needs neither" if smaller else "")
    )


def _from_mirror(name: str, entry: Entry, mirror: Path | None) -> Served:
    if mirror is None:
        raise Unusable("not set")
    sources: list[Source | None] = [source for source in entry.sources if source.form != "loose"]
    if entry.files:
        sources.insert(0, None)
    faults = []
    # MNIST and Fashion-MNIST have the same file names: a mirror keeps them in folders named after the dataset.
    for folder in (mirror / name, mirror):
        for source in sources:
            files = ", ".join(source.archives if source else entry.files)
            try:
                return Served(read(entry, source, folder), "mirror", f"{files} in a mirror folder")
            except Absent:
                continue
            except Unusable as why:
                faults.append(str(why))
    raise Unusable("; ".join(faults) or f"none of its files in {mirror}")


def _from_source(entry: Entry, source: Source) -> Served:
    with tempfile.TemporaryDirectory(prefix="deepphenomena-") as folder:
        for archive in source.archives:
            download(source, archive, Path(folder))
        return Served(read(entry, source, Path(folder)), "download", source.title)


def download(source: Source, archive: str, folder: Path) -> None:
    """Download one archive of a source into a folder, atomically. Raise Unusable with the reason if it fails."""
    import pooch  # it imports an HTTP library, which embedded data do not need

    try:
        # pooch sets the total of the bar when it knows it, and ignores a bar with total 0.
        with _quiet(pooch.get_logger()), progress.bar(total=1, description=archive, unit="B") as bar:
            timeout = (_CONNECT_SECONDS, _READ_SECONDS)
            downloader = pooch.HTTPDownloader(timeout=timeout, chunk_size=1 << 16, progressbar=bar)
            pooch.retrieve(source.url + archive, source.archives[archive], archive, folder, downloader=downloader)
    except (OSError, ValueError) as fault:
        answer = getattr(fault, "response", None)
        why = f"HTTP status {answer.status_code}" if answer is not None else type(fault).__name__
        raise Unusable(f"{archive}: {fault if type(fault) is ValueError else why}") from None


@contextlib.contextmanager
def _quiet(logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)


def _cached(file: Path, split: str, entry: Entry) -> Served:
    expected, found = entry.splits[split].sha256, "none, for it cannot be read"
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            expected = expected or str(archive[f"{split}_sha256"])
            names = tuple(archive[f"{split}_class_names"].tolist())
            arrays = Arrays(archive[f"{split}_images"], archive[f"{split}_labels"], names)
            source = str(archive["source"])
        found = digest(arrays.images, arrays.labels)
    except Exception:  # a damaged file can raise any exception
        pass
    if found != expected:
        raise InputError(
            f"cached dataset {file}: damaged (sha256 of its {split} images expected {expected}, found {found}); "
            "delete this file and run again"
        )
    return Served({split: arrays}, "cache", source)


def _keep(file: Path, served: Served) -> None:
    """Write every split next to the cache file and rename it: atomic, also with concurrent writers."""
    contents = {"source": np.array(served.source)}
    for name, arrays in served.splits.items():
        contents[f"{name}_images"] = arrays.images
        contents[f"{name}_labels"] = arrays.labels
        contents[f"{name}_class_names"] = np.array(arrays.class_names, np.str_)
        contents[f"{name}_sha256"] = np.array(digest(arrays.images, arrays.labels))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as beside:
            np.savez(Path(beside, file.name), **contents)
            os.replace(Path(beside, file.name), file)
    except OSError as fault:
        warnings.warn(
            f"dataset cache {file}: cannot be written ({fault.strerror}); the dataset will be fetched again next time, "
            "unless DEEPPHENOMENA_CACHE names a folder with room",
            stacklevel=4,
        )
