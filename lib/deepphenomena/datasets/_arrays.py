"""From files to arrays: the formats in which datasets are published and embedded. Nothing is fetched here.

The original files are restored bit for bit and compared with their published checksums before they are read.
"""

import dataclasses
import gzip
import hashlib
import io
import itertools
import lzma
import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Int32, UInt8
from PIL import Image

from deepphenomena.datasets import _medical
from deepphenomena.datasets._catalogue import Entry, Source

_LARGEST = 1 << 30  # bytes that an archive may hold unpacked; the largest known one holds 0.2 GB
FAULTS = (OSError, EOFError, ValueError, KeyError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


class Unusable(Exception):
    """Why a source cannot be used, in a few words."""


class Absent(Unusable):
    """The source does not exist."""


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """A split: images as bytes 0 to 255, labels from 0, and the class names if the files contain them."""

    images: UInt8[np.ndarray, "n height width channels"]
    labels: Int32[np.ndarray, " n"]
    class_names: tuple[str, ...] = ()


def digest(images: np.ndarray, labels: np.ndarray) -> str:
    """Compute sha256 over the pixels (uint8, C order, NHWC), then the labels (int32, little-endian).

    Example:
        >>> digits = datasets.load("mnist", n=10, scaled=False)
        >>> datasets.digest(digits.images, digits.labels) == digits.sha256
        True
    """
    checksum = hashlib.sha256(np.ascontiguousarray(images, np.uint8))
    checksum.update(np.ascontiguousarray(labels, "<i4"))
    return checksum.hexdigest()


def read(entry: Entry, source: Source | None, folder: Path) -> dict[str, Arrays]:
    """Read every split of a dataset from a source whose archives are in a folder. Raise Unusable if that fails.

    Without a source, read the original files themselves, plain or gzipped.
    """
    try:
        splits = _read(entry, source, folder)
    except FAULTS as fault:
        raise Unusable(f"cannot be read: {' '.join(str(fault).split()) or type(fault).__name__}") from None
    for name, declared in entry.splits.items():
        arrays, expected = splits[name], (declared.size, *entry.shape)
        if arrays.images.shape != expected or arrays.labels.shape != expected[:1]:
            raise Unusable(f"its {name} images have the shape {arrays.images.shape}, not {expected}")
        if declared.sha256 and (found := digest(arrays.images, arrays.labels)) != declared.sha256:
            raise Unusable(
                f"its {name} images are not the canonical ones: their sha256 is {found}, not {declared.sha256}"
            )
    return splits


def tiles(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cut a grid into images, row by row: (rows·height, columns·width, ...) to (rows·columns, height, width, ...)."""
    rows, columns = grid.shape[0] // height, grid.shape[1] // width
    cut = grid.reshape(rows, height, columns, width, *grid.shape[2:]).swapaxes(1, 2)
    return cut.reshape(rows * columns, height, width, *grid.shape[2:])


def archive_file(folder: Path, name: str, checksum: str | None) -> Path:
    """Find an archive in a folder. Raise Absent if it is missing, Unusable if its checksum is wrong."""
    file = folder / name
    if not file.is_file():
        raise Absent(f"no {name}")
    if checksum:
        with file.open("rb") as stream:
            found = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
        if found != checksum:
            raise Unusable(f"{name} is not the expected file: its checksum is {found}, not {checksum}")
    return file


def _read(entry: Entry, source: Source | None, folder: Path) -> dict[str, Arrays]:
    archives = [archive_file(folder, name, checksum) for name, checksum in source.archives.items()] if source else []
    match source.form if source else "loose":
        case "omniglot-zip":
            background, evaluation = archives
            return {"train": _omniglot_zip(background), "test": _omniglot_zip(evaluation)}
        case "omniglot-npz":
            return _omniglot_npz(archives[0])
        case "grid-npz":
            return _grid_npz(archives[0], entry)
        case "chest" | "mri" | "malaria" as collection:
            return _medical_npz(archives[0], collection, entry)
        case "loose":
            return _canonical(entry, {name: _loose(folder, name, entry) for name in entry.files})
        case "tar":
            with archives[0].open("rb") as archive:
                return _canonical(entry, _tar_files(archive, source.folder, entry))


def _loose(folder: Path, name: str, entry: Entry) -> bytes:
    plain, gzipped = folder / name, folder / f"{name}.gz"
    if not plain.is_file() and not gzipped.is_file():
        raise Absent(f"no {name}")
    with plain.open("rb") if plain.is_file() else gzip.open(gzipped) as stream:
        return _exactly(stream, entry.files[name].bytes, name)


def _canonical(entry: Entry, contents: dict[str, bytes]) -> dict[str, Arrays]:
    """Read the splits from the original files, after checking that each file is the published one."""
    for name, declared in entry.files.items():
        if name not in contents:
            raise Unusable(f"no {name} in it")
        if (found := hashlib.sha256(contents[name]).hexdigest()) != declared.sha256:
            raise Unusable(f"its {name} is not the canonical file: its sha256 is {found}, not {declared.sha256}")
    parse = {"idx": _idx, "cifar": _cifar}[entry.layout]
    return {
        name: parse([contents[file] for file in split.files], split.size, entry.shape)
        for name, split in entry.splits.items()
    }


def _idx(files: list[bytes], size: int, shape: tuple[int, int, int]) -> Arrays:
    images, labels = (np.frombuffer(file, np.uint8) for file in files)
    return Arrays(images[16:].reshape(size, *shape), labels[8:].astype(np.int32))


def _cifar(files: list[bytes], size: int, shape: tuple[int, int, int]) -> Arrays:
    height, width, channels = shape
    records = np.frombuffer(b"".join(files), np.uint8).reshape(size, -1)
    label_bytes = records.shape[1] - height * width * channels  # CIFAR-100: the coarse label, then the fine one
    planes = records[:, label_bytes:].reshape(size, channels, height, width)
    return Arrays(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, label_bytes - 1].astype(np.int32))


def _exactly(stream: io.BufferedIOBase, size: int, name: str) -> bytes:
    """Read a stream that should hold `size` bytes, without unpacking more than that."""
    content = stream.read(size + 1)
    if len(content) != size:
        raise Unusable(f"its {name} holds {'more' if len(content) > size else 'fewer'} than {size} bytes")
    return content


def _tar_files(archive: BinaryIO, folder: str, entry: Entry) -> dict[str, bytes]:
    """Read the original files from a folder of a tar archive, plain or gzipped."""
    contents, unpacked = {}, 0
    with tarfile.open(fileobj=archive) as members:
        for member in members:
            if member.name.startswith("/") or ".." in member.name.split("/"):
                raise Unusable(f"refused: its member '{member.name}' points out of the archive")
            unpacked += member.size
            if unpacked > _LARGEST:
                raise Unusable(f"refused: it would unpack to more than {_LARGEST} bytes")
            directory, file = posixpath.split(posixpath.normpath(member.name))
            name = file.removesuffix(".gz")
            if member.isfile() and directory == folder and name in entry.files:
                stream = members.extractfile(member)
                stream = stream if file == name else gzip.GzipFile(fileobj=stream)
                contents[name] = _exactly(stream, entry.files[name].bytes, name)
    return contents


def _omniglot_zip(archive: Path) -> Arrays:
    """Read one of Omniglot's two archives: alphabets by name, characters by number, twenty drawings of each."""
    with zipfile.ZipFile(archive) as members:
        if sum(member.file_size for member in members.infolist()) > _LARGEST:
            raise Unusable(f"refused: it would unpack to more than {_LARGEST} bytes")
        names = sorted(name for name in members.namelist() if name.endswith(".png"))
        drawings = [Image.open(io.BytesIO(members.read(name))).convert("L") for name in names]
    images = np.stack([_shrunk(np.asarray(drawing) < 128) for drawing in drawings])
    characters, labels = np.unique(["/".join(name.split("/")[-3:-1]) for name in names], return_inverse=True)
    return Arrays(images[..., None], labels.astype(np.int32), tuple(characters.tolist()))


# Area weights from 105 to 28 pixels: new pixel i covers 15/4 old ones, counted here in quarters.
_AREA = np.zeros((28, 105), np.float32)
np.add.at(_AREA, (np.arange(420) // 15, np.arange(420) // 4), 1)


def _shrunk(ink: np.ndarray) -> UInt8[np.ndarray, "28 28"]:
    """Reduce a 105 x 105 drawing to 28 x 28: the exact share of each new pixel that is ink, in 255ths, rounded."""
    return np.rint(_AREA @ ink.astype(np.float32) @ _AREA.T * (255 / 225)).astype(np.uint8)


def _omniglot_npz(file: Path) -> dict[str, Arrays]:
    with np.load(file, allow_pickle=False) as archive:
        images, of_split, names = archive["images"][..., None], archive["split"], archive["character_names"]
        characters = archive["character"].astype(np.int32)
    splits = {}
    for name, number in (("train", 0), ("test", 1)):
        rows = of_split == number
        first = characters[rows].min()
        labels = characters[rows] - first
        splits[name] = Arrays(images[rows], labels, tuple(names[first : first + labels.max() + 1].tolist()))
    return splits


def _grid_npz(file: Path, entry: Entry) -> dict[str, Arrays]:
    with np.load(file, allow_pickle=False) as archive:
        return {
            name: Arrays(_grid(archive, name, entry.shape), archive[f"{name}_labels"].astype(np.int32))
            for name in entry.splits
        }


def _grid(archive: Mapping[str, np.ndarray], name: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Read grids of image tiles from concatenated image files, cut at given offsets. Blank tiles may end the last."""
    content, cuts = archive[f"{name}_bytes"].tobytes(), archive[f"{name}_offsets"]
    pictures = [Image.open(io.BytesIO(content[i:j])) for i, j in itertools.pairwise(cuts)]
    images = np.concatenate([tiles(np.asarray(picture), *shape[:2]) for picture in pictures])
    return images[: len(archive[f"{name}_labels"])].reshape(-1, *shape)


def _medical_npz(file: Path, collection: str, entry: Entry) -> dict[str, Arrays]:
    with np.load(file, allow_pickle=False) as archive:
        images = archive["images"][..., None] if "images" in archive else _grid(archive, "all", entry.shape)
        packed = _medical.READERS[collection](archive)
    rows = {name: packed.splits == number for number, name in enumerate(_medical.SPLITS)}
    labels = packed.labels.astype(np.int32)
    return {name: Arrays(images[of], labels[of], packed.class_names) for name, of in rows.items()}
